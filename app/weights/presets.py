"""What the form about one's own weights offers, and how its answers are read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cnnviz.data import preprocessing as known
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.models.recognise.inspect import Inspection

TOLD, OTHER = "From the file", "As the network expects"
NUMBERED = "class 0, class 1, …"
Norm = tuple[tuple[float, ...], tuple[float, ...]]
Titles = dict[str | tuple[str, ...], str]  # {data set, or class names themselves: how the form calls them}


def name_presets(found: Inspection, name: str) -> dict[str, list[str]]:
    """{preset: class names}, those for the file's number of classes, the likeliest for the network `name` first."""
    from cnnviz.data.class_names import class_names
    from cnnviz.models.catalogue.registry import find

    count, expected = found.classes, find(name).labels
    sets: Titles = {"imagenet": "ImageNet", "cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "mnist": "Digits"}
    numbered = [f"class {i}" for i in range(count)]
    presets: dict[str, list[str]] = {TOLD: list(found.class_names)} if found.class_names else {}
    titles: Titles = {expected: OTHER, **sets}
    for key, title in titles.items():
        if (names := class_names(key, count)) != numbered:
            presets[sets.get(key, title)] = names
    return {**presets, NUMBERED: numbered}


def parse_names(text: str, count: int) -> tuple[str, ...]:
    """Class names, one a line, or on a single line separated by commas.

    Raises BadInput unless there are `count`, all different from nothing."""
    text = text.strip()
    parts = text.split("\n" if "\n" in text else ",")
    names = tuple(part.strip() for part in parts)
    if len(names) != count or not all(names):
        given = sum(map(bool, names))
        raise BadInput(f"The network has {plural(count, 'class')}, got {plural(given, 'name')}. Give one a line.")
    return names


def channels_of(name: str) -> int:
    """Channels of the network's input."""
    from cnnviz.models.catalogue.registry import find

    return find(name).preprocessing.channels


def parse_numbers(label: str, text: str, count: int) -> tuple[float, ...]:
    """`count` numbers, separated by commas or blanks. Raises BadInput for anything else."""
    try:
        values = tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        values = ()
    if len(values) != count or not all(map(math.isfinite, values)):
        wanted = "3 numbers, e.g. 0.485, 0.456, 0.406" if count == 3 else plural(count, "number")
        raise BadInput(f"The {label} needs {wanted} (one a channel), got {text[:60]!r}.")
    return values


def preprocessing_of(found: Inspection, name: str) -> Preprocessing:
    """What the file tells, or what its inspection decided or assumed for the network that stands first; for another
    network what cnnviz.load assumes."""
    from cnnviz.models.catalogue.registry import find
    from cnnviz.models.recognise.assume import assume_preprocessing

    if found.preprocessing is not None:
        return found.preprocessing
    return found.normalised if name == found.candidates[0] else assume_preprocessing(find(name))[0]


def norm_presets(found: Inspection, name: str) -> dict[str, Norm]:
    """{preset: (mean, std)} for the channels of the network, what the file tells first."""
    channels = channels_of(name)
    presets: dict[str, Norm] = {}
    if found.preprocessing is not None:
        presets[TOLD] = (found.preprocessing.mean, found.preprocessing.std)
    presets |= {
        "ImageNet": (known.IMAGENET_MEAN, known.IMAGENET_STD),
        "CIFAR-10": (known.CIFAR_MEAN, known.CIFAR_STD),
        "MNIST": (known.MNIST_MEAN, known.MNIST_STD),
        "0.5 / 0.5": ((0.5,) * channels, (0.5,) * channels),
        "0..1, as it is": ((0.0,) * channels, (1.0,) * channels),
    }
    fitting = {key: norm for key, norm in presets.items() if len(norm[0]) == channels}
    expects = preprocessing_of(found, name)
    if (expects.mean, expects.std) not in fitting.values():
        fitting = {OTHER: (expects.mean, expects.std), **fitting}
    return fitting


def preset_of(found: Inspection, name: str) -> str:
    """The preset that the form opens with."""
    expects = preprocessing_of(found, name)
    presets = norm_presets(found, name)
    return next(key for key, norm in presets.items() if norm == (expects.mean, expects.std))
