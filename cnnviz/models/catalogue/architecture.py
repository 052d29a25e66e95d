"""One architecture of the catalogue, `Architecture`, and where families and plugins enter theirs: `add`.

`registry` looks architectures up and builds them."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput
from cnnviz.models import families

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Architecture:
    """One entry of the catalogue.

    `builder(num_classes, **options)` returns the published network with random weights. `classes`: its
    default number of classes. `labels`: the default class names, or their key in `class_names.KNOWN`
    ("imagenet", "cifar10", "mnist", …). `pretrained`: torchvision's weights entry, e.g.
    "SqueezeNet1_0_Weights.IMAGENET1K_V1", or another zoo's, e.g. "timm:resnet18.a1_in1k"; None if there is
    no public file. `source`: paper or package that defines it. `year`: of publication. `published`:
    error or accuracy in the paper, with data set and condition, in one line. `note`: how it differs from
    what carries the same name elsewhere. `classifier`: False for a building block without a classifier.
    `resizable`: False for a network of the user's own that always has `classes` outputs.
    """

    name: str
    title: str
    family: str
    builder: Callable[..., nn.Module]
    preprocessing: Preprocessing
    classes: int
    labels: str | tuple[str, ...]
    source: str
    pretrained: str | None = None
    year: int = 0
    published: str = ""
    note: str = ""
    classifier: bool = True
    resizable: bool = True

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(C, H, W) of the default input."""
        return (self.preprocessing.channels, *self.preprocessing.size)


_CATALOGUE: dict[str, Architecture] = {}


def add(*entries: Architecture) -> None:
    """Enter architectures, all or none. Raises BadInput if there is one of such a name already."""
    names = [entry.name for entry in entries]
    for i, name in enumerate(names):
        if name in _CATALOGUE or name in names[:i]:
            raise BadInput(f"An architecture named {name!r} is registered already.")
    _CATALOGUE.update(zip(names, entries, strict=True))


def replace(entry: Architecture) -> None:
    """Put an architecture in the place of the one of its name."""
    _CATALOGUE[entry.name] = entry


def is_registered(name: str) -> bool:
    """True if an architecture of this name has been entered."""
    return name in _CATALOGUE


def registered() -> Mapping[str, Architecture]:
    """{name: architecture} of all that have been entered so far, to be read; `published` enters cnnviz's own."""
    return MappingProxyType(_CATALOGUE)


@cache
def published() -> frozenset[str]:
    """Names of cnnviz's own catalogue, without networks of the user's own: those that the modules of
    `cnnviz.models.families` enter when they are imported, which is done here."""
    for module in pkgutil.iter_modules(families.__path__):
        import_module(f"{families.__name__}.{module.name}")
    return frozenset(_CATALOGUE)
