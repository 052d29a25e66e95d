"""The catalogue of architectures: a name, how to build it, what it expects, where it was published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from cnnviz.errors import BadInput, unknown
from cnnviz.models.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import nn

FAMILIES = ("lenet", "cifar_resnet", "torchvision_nets")  # modules of cnnviz.models that register


@dataclass(frozen=True, slots=True)
class Architecture:
    """One entry of the catalogue.

    `builder(num_classes)` returns the published network with random weights. `classes`: its default
    number of classes. `labels`: key of the default class names ("imagenet", "cifar10", "mnist").
    `pretrained`: torchvision's weights entry, e.g. "SqueezeNet1_0_Weights.IMAGENET1K_V1"; None if there
    is no public file. `source`: paper or package that defines it.
    """

    name: str
    title: str
    family: str
    builder: Callable[[int], nn.Module]
    preprocessing: Preprocessing
    classes: int
    labels: str
    source: str
    pretrained: str | None = None

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(C, H, W) of the default input."""
        return (self.preprocessing.channels, *self.preprocessing.size)


_CATALOGUE: dict[str, Architecture] = {}


def add(architecture: Architecture) -> Architecture:
    """Enter an architecture. Raises BadInput if the name is taken."""
    if architecture.name in _CATALOGUE:
        raise BadInput(f"An architecture named {architecture.name!r} is registered already.")
    _CATALOGUE[architecture.name] = architecture
    return architecture


@cache
def _fill() -> None:
    for family in FAMILIES:
        import_module(f"cnnviz.models.{family}")


def architectures() -> list[str]:
    """Sorted names that `build` and `load` accept."""
    _fill()
    return sorted(_CATALOGUE)


def find(name: str) -> Architecture:
    """The catalogue's entry. Raises UnknownName with the closest names."""
    _fill()
    if name not in _CATALOGUE:
        unknown("architecture", name, _CATALOGUE)
    return _CATALOGUE[name]


def build(name: str, num_classes: int | None = None) -> nn.Module:
    """The published network with random weights, in training mode.

    `num_classes`: width of the classifier; None keeps the published one. Works under
    `torch.device("meta")`. Raises UnknownName, and BadInput if num_classes < 1."""
    entry = find(name)
    classes = entry.classes if num_classes is None else num_classes
    if classes < 1:
        raise BadInput(f"num_classes must be at least 1, got {classes}.")
    return entry.builder(classes)
