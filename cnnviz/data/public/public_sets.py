"""CIFAR-10, MNIST, Imagenette and Flowers-102 as corpora, and as folders to train on: downloaded once, read safely.

`torchvision.datasets.CIFAR10(root)` and its like read the same folder. torchvision itself is not imported:
its downloads report no progress, and its CIFAR-10 reader trusts any pickle."""

from __future__ import annotations

import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cnnviz.data import folders
from cnnviz.data.class_names import CIFAR10, MNIST
from cnnviz.data.corpus import Corpus, MemoryCorpus
from cnnviz.data.idx import find_idx, read_idx
from cnnviz.data.listing import list_images
from cnnviz.data.public import public_files
from cnnviz.data.public.flowers import list_flowers
from cnnviz.data.public.public_files import BATCHES, DOWNLOADED, Progress, prefetch
from cnnviz.errors import BadInput, unknown
from cnnviz.wording import plural

IMAGENETTE = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}  # WordNet id, the name of the folder: class

TRAINING_SETS = ("mnist", "cifar10", "imagenette", "flowers")  # names that `load_labelled` takes


def open_set(name: str, progress: Progress | None = None) -> Corpus:
    """The corpus "cifar10" (50,000), "cifar10-test" (10,000), "mnist" (60,000), "mnist-test" (10,000),
    "imagenette" (9,469), "imagenette-val" (3,925), "flowers" (1,020), "flowers-val" (1,020) or "flowers-test" (6,149).
    Raises as `prefetch` does."""
    if name not in DOWNLOADED:
        unknown("corpus", name, DOWNLOADED)
    family, _, split = name.partition("-")
    home, split = prefetch(family, progress), split or "train"
    if family == "imagenette":
        found = list_images(home, split)
        wnids = [path.split("/")[1] for path in found.paths]
        labels = [IMAGENETTE.get(wnid, wnid) for wnid in wnids]
        return folders.FileCorpus(name, home, found.paths, labels, list(IMAGENETTE.values()), facts=found.facts)
    if family == "flowers":
        files, numbers, classes = list_flowers(home, split)
        paths = [path.relative_to(home).as_posix() for path in files]
        return folders.FileCorpus(name, home, paths, [classes[number] for number in numbers], classes)
    corpus = _read_cifar(home, [split], name) if family == "cifar10" else _read_mnist(home, [split], name)
    assert corpus is not None  # prefetch saw the files
    return corpus


def open_folder(path: Path) -> Corpus | None:
    """The images of a folder in MNIST's or CIFAR-10's own layout, all splits; None if it is another one.

    MNIST: `path`, `path/raw` or `path/MNIST/raw` holds IDX files, gzipped or not, of any number of images.
    CIFAR-10: `path` or `path/cifar-10-batches-py` holds the Python batches. Raises BadInput if damaged."""
    for home in (path, path / "raw", path / "MNIST" / "raw"):
        if (found := _read_mnist(home, ["train", "test"], path.resolve().name)) is not None:
            return found
    for home in (path, path / "cifar-10-batches-py"):
        if (found := _read_cifar(home, ["train", "test"], path.resolve().name)) is not None:
            return found
    return None


def prepare_training_folder(name: str, progress: Progress | None = None) -> Path:
    """A folder that `load_labelled` reads, of a name of TRAINING_SETS: MNIST's IDX files, Flowers-102 as published, or
    train/ and test/ (val/) class folders.

    CIFAR-10 is written out as PNG class folders once. Raises as `prefetch` does."""
    family = public_files.family_of(name)
    home = prefetch(family, progress)
    if family != "cifar10":
        return home
    target = public_files.data_folder() / "cifar10"
    with public_files.busy[family]:
        if not target.is_dir():
            with public_files.fill_folder(target) as partial:
                for split in BATCHES:
                    _write_classes(home, split, partial)
    return target


def read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """A CIFAR-10 batch: pixels (N, 32, 32, 3) uint8 and labels (N,) int64.

    Only arrays and plain values are unpickled, never code. Raises BadInput otherwise.
    Source: Krizhevsky 2009; rows are 1,024 red, 1,024 green, 1,024 blue values."""
    try:
        with path.open("rb") as file:
            content = _ArrayUnpickler(file, encoding="latin1").load()
        pixels = np.asarray(content["data"], np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        labels = np.asarray(content["labels"], np.int64)
    except Exception as error:  # a damaged pickle raises anything
        raise BadInput(f"{path.name} is no CIFAR-10 batch ({error}). Delete it and get it again.") from error
    if labels.shape != (len(pixels),) or (len(labels) and not 0 <= labels.min() <= labels.max() <= 9):
        raise BadInput(f"{path.name} holds {plural(len(pixels), 'image')}, but its labels do not fit them.")
    return pixels, labels


class _ArrayUnpickler(pickle.Unpickler):
    """Rebuilds NumPy arrays and refuses every other class."""

    _ALLOWED = {
        "numpy.core.multiarray._reconstruct": np.empty(0).__reduce__()[0],
        "numpy._core.multiarray._reconstruct": np.empty(0).__reduce__()[0],
        "numpy.ndarray": np.ndarray,
        "numpy.dtype": np.dtype,
        "_codecs.encode": lambda text, _codec: text.encode("latin1"),  # how Python 3 writes bytes for Python 2
    }

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in self._ALLOWED:
            raise pickle.UnpicklingError(f"it would run {module}.{name}")
        return self._ALLOWED[f"{module}.{name}"]


def _read_cifar(home: Path, splits: list[str], name: str) -> Corpus | None:
    here = {split: [home / b for b in BATCHES[split] if (home / b).is_file()] for split in splits}
    if not any(here.values()):
        return None
    parts = {split: [read_batch(path) for path in paths] for split, paths in here.items() if paths}
    pixels = np.concatenate([batch[0] for batches in parts.values() for batch in batches])
    answers = np.concatenate([batch[1] for batches in parts.values() for batch in batches])
    ids = _number_ids({split: sum(len(labels) for _, labels in batches) for split, batches in parts.items()})
    return MemoryCorpus(name, ids, pixels, labels=[CIFAR10[i] for i in answers], classes=CIFAR10)


def _read_mnist(home: Path, splits: list[str], name: str) -> Corpus | None:
    images: dict[str, np.ndarray] = {}
    answers: dict[str, np.ndarray] = {}
    for split in splits:
        if (path := find_idx(home, split, "images")) is not None:
            images[split] = _read_idx(path, 3)
            labelled = find_idx(home, split, "labels")
            answers[split] = _read_idx(labelled, 1) if labelled else np.zeros(0, np.uint8)
    if not images:
        return None
    pixels = np.concatenate(list(images.values()))
    numbers = np.concatenate(list(answers.values()))
    if len(numbers) not in (0, len(pixels)):
        raise BadInput(f"{home} holds {plural(len(pixels), 'image')} in IDX form, but {plural(len(numbers), 'label')}.")
    labels, classes = None, None
    if len(numbers):
        labels = [str(number) for number in numbers]
        classes = MNIST if numbers.max() < 10 else [str(i) for i in range(int(numbers.max()) + 1)]
    ids = _number_ids({split: len(part) for split, part in images.items()})
    return MemoryCorpus(name, ids, pixels, labels=labels, classes=classes)


def _read_idx(path: Path, rank: int) -> np.ndarray:
    try:
        values = read_idx(path)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise BadInput(f"{path.name} is damaged: {error} Delete it and get it again.") from error
    if values.ndim != rank:
        raise BadInput(f"{path.name} should have {rank} dimensions, its shape is {values.shape}.")
    return values


def _number_ids(counts: dict[str, int]) -> list[str]:
    return [f"{split}/{i:05d}" for split, count in counts.items() for i in range(count)]


def _write_classes(home: Path, split: str, target: Path) -> None:
    number = 0
    for batch in BATCHES[split]:
        for pixels, label in zip(*read_batch(home / batch), strict=True):
            folder = target / split / CIFAR10[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{number:05d}.png", compress_level=1)
            number += 1
