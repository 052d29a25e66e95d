"""Class names: those of the public data sets, and the order of names that are given as lists or dicts."""

import importlib.util
import runpy
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck".split()
MNIST = [str(digit) for digit in range(10)]
FASHION_MNIST = (*"T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag".split(), "Ankle boot")
_CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""
CIFAR100 = [name.replace("_", " ") for name in _CIFAR100.split()]  # the fine labels in the data set's order
KNOWN = {"cifar10": CIFAR10, "cifar100": CIFAR100, "mnist": MNIST, "svhn": MNIST}


def class_names(key: str | tuple[str, ...], count: int) -> list[str]:
    """`count` class names: `key` itself if it holds names, else those of the data set `key` ("imagenet" or
    a key of KNOWN); "class 0", … when the number of classes is another one."""
    names: list[str] = []
    if key == "imagenet" and count == 1000:
        names = list(_imagenet_names())
    elif key != "imagenet":
        names = list(KNOWN.get(key, [])) if isinstance(key, str) else list(key)
    return names if len(names) == count else [f"class {i}" for i in range(count)]


@cache
def _imagenet_names() -> list[str]:
    """The list that every weight of torchvision carries, out of its file alone: the whole of torchvision takes a second
    to import, which the first picture would wait for."""
    package = importlib.util.find_spec("torchvision")
    for folder in (package.submodule_search_locations if package else None) or ():
        with suppress(OSError, KeyError):
            values = runpy.run_path(str(Path(folder) / "models" / "_meta.py"))
            return list(values["_IMAGENET_CATEGORIES"])
    from cnnviz.torchvision_import import models

    return list(models._meta._IMAGENET_CATEGORIES)


def order_names(given: Any) -> list[str] | None:
    """Class names in the order of the outputs, from a list or tuple of names, from {index: name} or from ImageFolder's
    {name: index}, in any order and with indices written as text too; None for anything else, such as a set, which has
    no order, or for indices that are not 0, 1, 2, …."""
    if isinstance(given, Mapping):
        pairs = {_read_index(key): value for key, value in given.items()}
        if sorted(pairs, key=str) != sorted(range(len(given)), key=str) or _holds_indices(given):
            pairs = {_read_index(value): key for key, value in given.items()}
        if sorted(pairs, key=str) != sorted(range(len(given)), key=str):
            return None
        given = [pairs[index] for index in range(len(pairs))]
    elif hasattr(given, "tolist"):  # an array of text
        given = given.tolist()
    if not isinstance(given, Sequence) or isinstance(given, str | bytes) or not given:
        return None
    return [str(name) for name in given] if all(isinstance(name, str | int | float) for name in given) else None


def _read_index(value: Any) -> Any:
    """A class number, also as text; the value itself where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return value
    return int(value) if isinstance(value, int) or (value.isascii() and value.isdigit()) else value


def _holds_indices(given: Mapping[Any, Any]) -> bool:
    """Whether {name: index}, of which the names are numbers too, counts in whole numbers and names in text."""
    values = list(given.values())
    return all(isinstance(value, int) for value in values) and all(isinstance(key, str) for key in given)
