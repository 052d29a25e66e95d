"""The catalogue of architectures: a name, how to build it, what it expects, where it was published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput, CnnvizError, unknown

if TYPE_CHECKING:
    from torch import nn

FAMILIES = (
    "torchvision_nets", "lenet", "mlp", "alexnet", "zfnet", "cnn_fms", "vgg", "nin", "all_cnn", "dsn", "maxout",
    "googlenet", "bn_inception", "resnet", "cifar_resnet", "shortcuts", "preact_resnet", "stochastic_depth",
    "wide_resnet", "highway", "fractalnet", "densenet", "mobilenet",
)  # modules of cnnviz.models.families that register  # fmt: skip


@dataclass(frozen=True, slots=True)
class Architecture:
    """One entry of the catalogue.

    `builder(num_classes, **options)` returns the published network with random weights. `classes`: its
    default number of classes. `labels`: the default class names, or their key in `labels.KNOWN`
    ("imagenet", "cifar10", "mnist", …). `pretrained`: torchvision's weights entry, e.g.
    "SqueezeNet1_0_Weights.IMAGENET1K_V1", or another zoo's, e.g. "timm:resnet18.a1_in1k"; None if there is
    no public file. `source`: paper or package that defines it. `year`: of publication. `published`:
    error or accuracy in the paper, with data set and condition, in one line. `note`: how it differs from
    what carries the same name elsewhere. `classifier`: False for a building block without a classifier.
    """

    name: str
    title: str
    family: str
    builder: Callable[[int], nn.Module]
    preprocessing: Preprocessing
    classes: int
    labels: str | tuple[str, ...]
    source: str
    pretrained: str | None = None
    year: int = 0
    published: str = ""
    note: str = ""
    classifier: bool = True

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(C, H, W) of the default input."""
        return (self.preprocessing.channels, *self.preprocessing.size)


_CATALOGUE: dict[str, Architecture] = {}


def add(*entries: Architecture) -> None:
    """Enter architectures, all or none. Raises BadInput if a name is taken."""
    names = [entry.name for entry in entries]
    for i, name in enumerate(names):
        if name in _CATALOGUE or name in names[:i]:
            raise BadInput(f"An architecture named {name!r} is registered already.")
    _CATALOGUE.update(zip(names, entries, strict=True))


def replace(entry: Architecture) -> None:
    """Put an architecture in the place of the one of its name."""
    _CATALOGUE[entry.name] = entry


def taken(name: str) -> bool:
    """True if an architecture of this name is in the catalogue."""
    return name in _CATALOGUE


@cache
def published() -> frozenset[str]:
    """Names of cnnviz's own catalogue, without networks of the user's own."""
    for family in FAMILIES:
        import_module(f"cnnviz.models.families.{family}")
    return frozenset(_CATALOGUE)


def _fill() -> None:
    from cnnviz.models.catalogue import plugins  # it enters networks here

    published()
    plugins.load_configured()


def architectures() -> list[str]:
    """Sorted names of the catalogue: published networks, and the user's own from plugins.

    `build` and `load` also take `timm:NAME`, `pytorchcv:NAME` and `torchvision:NAME`.

    Example:
        >>> import cnnviz
        >>> "resnet20_cifar" in cnnviz.architectures()
        True
    """
    _fill()
    return sorted(_CATALOGUE)


def find(name: str) -> Architecture:
    """The entry of the catalogue, or of another zoo where `name` has its prefix ("timm:resnet18").

    Raises UnknownName with the closest names; for a zoo also CnnvizError if its package is not installed
    and BadInput if the network is no image classifier."""
    from cnnviz.models.zoo import zoos

    if zoos.is_prefixed(name):
        return zoos.find(name)
    _fill()
    if name not in _CATALOGUE:
        unknown("architecture", name, _CATALOGUE)
    return _CATALOGUE[name]


def known(name: str) -> bool:
    """True if `find` would find `name`."""
    try:
        find(name)
    except CnnvizError:
        return False
    return True


def build(name: str, num_classes: int | None = None, **options: Any) -> nn.Module:
    """The published network with random weights, in training mode.

    `num_classes`: width of the classifier; None keeps the published one. `options`: what the
    architecture's builder offers beside it, e.g. aux=True for "googlenet_2014". Works under
    `torch.device("meta")`. Raises UnknownName, and BadInput if num_classes < 1 or an option is unknown.

    Example:
        >>> import cnnviz, torch
        >>> with torch.device("meta"):  # shapes alone, no memory
        ...     network = cnnviz.build("vgg16", num_classes=10)
        >>> network.classifier[6].weight.shape
        torch.Size([10, 4096])
    """
    entry = find(name)
    classes = entry.classes if num_classes is None else num_classes
    if classes < 1:
        raise BadInput(f"num_classes must be at least 1, got {classes}.")
    if extra := sorted(options.keys() - _offered(entry)):
        offered = ", ".join(sorted(_offered(entry))) or "none"
        raise BadInput(f"{name} has no option {extra[0]!r}. It offers: {offered}.")
    return entry.builder(classes, **options)


def _offered(entry: Architecture) -> set[str]:
    fixed = getattr(entry.builder, "keywords", {})  # of a partial
    found = signature(entry.builder).parameters.items()
    return {key for key, value in found if value.kind == value.KEYWORD_ONLY and key not in fixed}
