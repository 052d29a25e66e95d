"""Answers on a labelled set at hand: they tell activation, kind of pooling and normalisation, which no tensor says.

Cross-entropy tells more than accuracy. Digits drawn by cnnviz are not those that a network was trained on, and average
pooling makes every answer to strange images milder: it is only believed to be the right one where it is clearly
better, at a temperature that suits each reading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.data.idx import find_idx, read_idx
from cnnviz.data.labelled import SPLITS, list_class_folders, load_labelled
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.data.public import public_files
from cnnviz.data.public.public_sets import read_batch
from cnnviz.data.samples import digits
from cnnviz.errors import BadInput
from cnnviz.wording import plural

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_MOST = 500  # images of a public set or of the user's
_TEMPERATURES = 24
_BENT, _SHEARED = 0.73, 0.25  # pixels (standard deviation) and rows by which drawn digits are bent for a second set


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """`title`: "300 drawn digits". `images`: uint8 (N, H, W, C). `labels`: (N,) int64. `own`: True where the network
    was trained on images of this kind, False for the drawn digits, which only resemble them."""

    title: str
    images: torch.Tensor
    labels: torch.Tensor
    own: bool


@dataclass(frozen=True, slots=True)
class Answers:
    """How well a reading answers. `accuracy`: 0..1. `loss`: cross-entropy, nats. `tempered`: the same at the
    temperature that makes it least, which does not depend on the scale of the scores."""

    accuracy: float
    loss: float
    tempered: float


def find_labelled(size: tuple[int, int, int], classes: int, folder: str | Path | None = None) -> LabelledImages | None:
    """A labelled set that fits the network's input (C, H, W) and its number of classes: the user's own class folders;
    else MNIST or CIFAR-10 if it is on this machine; else the digits that cnnviz draws. None if there is none; nothing
    is downloaded. Raises BadInput if `folder` has another number of classes."""
    if folder is not None:
        return _read_folder(Path(folder), size, classes)
    return next((found() for found in _find_sets(size, classes).values()), None)


def list_labelled(size: tuple[int, int, int], classes: int) -> list[str]:
    """Names of the labelled sets at hand that fit, the best first: "MNIST", "CIFAR-10", "drawn digits"."""
    return list(_find_sets(size, classes))


def open_labelled(name: str, size: tuple[int, int, int], classes: int) -> LabelledImages:
    """A set of `list_labelled`. Raises BadInput for any other name."""
    sets = _find_sets(size, classes)
    if name not in sets:
        raise BadInput(
            f"No labelled set {name!r} fits {size} and {plural(classes, 'class')}; at hand: {', '.join(sets)}."
        )
    return sets[name]()


def _find_sets(size: tuple[int, int, int], classes: int) -> dict[str, Callable[[], LabelledImages]]:
    channels, height, width = size
    sets: dict[str, Callable[[], LabelledImages]] = {}
    if classes != 10 or height != width or height > 64:
        return sets
    if channels == 1:
        if (mnist := _read_public("mnist", size)) is not None:
            sets["MNIST"] = lambda: mnist
        return sets | {"drawn digits": lambda: _draw(size)}
    if channels == 3 and height == 32 and (cifar := _read_public("cifar10", size)) is not None:
        sets["CIFAR-10"] = lambda: cifar
    return sets


def answer(module: nn.Module, labelled: LabelledImages, norm: Preprocessing) -> Answers | None:
    """How well a network answers under a normalisation; None where it cannot run."""
    import torch
    from torch.nn import functional

    try:
        with torch.inference_mode():
            scores = module(norm.normalise(labelled.images))
    except RuntimeError:
        return None
    if isinstance(scores, tuple | list):
        scores = scores[0]
    scores = scores.flatten(1).float().nan_to_num(0.0, 0.0, 0.0)
    accuracy = float((scores.argmax(1) == labelled.labels).float().mean())
    temperatures = torch.logspace(-1, 2.5, _TEMPERATURES)
    losses = [float(functional.cross_entropy(scores / t, labelled.labels)) for t in temperatures]
    return Answers(accuracy, float(functional.cross_entropy(scores, labelled.labels)), min(losses))


def _read_folder(folder: Path, size: tuple[int, int, int], classes: int) -> LabelledImages:
    channels, height, width = size
    receiver = Preprocessing((height, width), mean=(0.5,) * channels, std=(0.5,) * channels)
    held = next((folder / name for name in SPLITS["test"] if (folder / name).is_dir()), folder)
    plain = held.is_dir() and not any(find_idx(raw, "train", "images") for raw in (held, held / "MNIST" / "raw"))
    names = list_class_folders(held) if plain else []
    split = any((held / name).is_dir() for names_of in SPLITS.values() for name in names_of)
    if plain and not split and len(names) != classes:  # before all files of a large folder are listed
        raise BadInput(_describe_folder(folder, len(names), classes))
    found = load_labelled(held, "train", receiver, lazy=True)
    if len(found.class_names) != classes:
        raise BadInput(_describe_folder(folder, len(found.class_names), classes))
    chosen = np.unique(np.linspace(0, len(found) - 1, min(_MOST, len(found))).astype(int))
    return _gather(
        f"{plural(len(chosen), 'image')} of {folder.name}", found.batch(chosen), found.labels[chosen], own=True
    )


def _describe_folder(folder: Path, found: int, classes: int) -> str:
    return f"{folder.name or folder} has {plural(found, 'class')}, the network {classes}. Give images of its classes."


@lru_cache(4)
def _read_public(name: str, size: tuple[int, int, int]) -> LabelledImages | None:
    """The first test images of MNIST or CIFAR-10 where they are on this machine."""
    home = public_files.home_of(name)
    if name == "mnist":
        images, labels = find_idx(home, "test", "images"), find_idx(home, "test", "labels")
        if images is None or labels is None:
            return None
        pixels, answers = read_idx(images)[:_MOST], read_idx(labels)[:_MOST].astype(np.int64)
    else:
        batch = home / public_files.BATCHES["test"][0]
        if not batch.is_file():
            return None
        pixels, answers = read_batch(batch)
        pixels, answers = pixels[:_MOST], answers[:_MOST]
    receiver = Preprocessing(size[1:], mean=(0.5,) * size[0], std=(0.5,) * size[0])
    title = f"{len(pixels)} test images of {'MNIST' if name == 'mnist' else 'CIFAR-10'}"
    return _gather(title, np.stack([receiver.receive(image) for image in pixels]), answers, own=True)


@lru_cache(4)
def _draw(size: tuple[int, int, int]) -> LabelledImages:
    """The drawn digits, and the same bent a little, as hands do."""
    import torch

    corpus = digits()
    receiver = Preprocessing(size[1:], mean=(0.5,), std=(0.5,))
    drawn = torch.from_numpy(np.stack([receiver.receive(corpus.image(i)) for i in range(len(corpus))]))
    labels = torch.tensor([int(label) for label in corpus.labels or ()])
    both = torch.cat([drawn, _bend(drawn)])
    return LabelledImages(f"{len(both)} drawn digits", both, torch.cat([labels, labels]), own=False)


def _bend(images: Tensor) -> Tensor:
    """uint8 (N, H, W, 1) bent by smooth random displacements and sheared; the same at every call."""
    import torch
    from torch.nn import functional

    count, height, width, _ = images.shape
    random = torch.Generator().manual_seed(0)
    coarse = torch.randn(count, 2, 6, 6, generator=random)
    bent = functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)
    bent = bent / bent.std() * _BENT * 2 / 28
    shear = (2 * torch.rand(count, generator=random) - 1) * _SHEARED
    turn = torch.zeros(count, 2, 3)
    turn[:, 0, 0] = turn[:, 1, 1] = 1.0
    turn[:, 0, 1] = shear
    grid = functional.affine_grid(turn, [count, 1, height, width], align_corners=False)
    moved = functional.grid_sample(
        images.movedim(-1, 1).float(), grid + bent.movedim(1, -1), mode="bilinear", align_corners=False
    )
    return moved.round().clamp(0, 255).to(torch.uint8).movedim(1, -1).contiguous()


def _gather(title: str, images: np.ndarray, labels: np.ndarray, own: bool) -> LabelledImages:
    import torch

    return LabelledImages(title, torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(labels), own)
