"""The catalogue of architectures: list them, find one by its name, build it."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

from cnnviz.errors import BadInput, CnnvizError, unknown
from cnnviz.models.catalogue import plugins
from cnnviz.models.catalogue.architecture import Architecture, published, registered
from cnnviz.models.variants.description import PREFIX
from cnnviz.models.zoo import zoos
from cnnviz.wording import plural

if TYPE_CHECKING:
    from torch import nn


def _fill() -> None:
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
    return sorted(registered())


def find(name: str) -> Architecture:
    """The entry of the catalogue, or of another zoo where `name` has its prefix ("timm:resnet18").

    Raises UnknownName with the closest names; for a zoo also CnnvizError if its package is not installed
    and BadInput if the network is no image classifier."""
    if name.startswith(PREFIX):
        _fill()
    if zoos.is_prefixed(name):
        return zoos.find(name)
    _fill()
    if name not in registered():
        unknown("architecture", name, registered())
    return registered()[name]


def is_known(name: str) -> bool:
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
    if not entry.resizable and classes != entry.classes:
        raise BadInput(
            f"{name} always has {plural(entry.classes, 'class')}, got num_classes={classes}. Let its class or "
            "function take the "
            "number, and register it again."
        )
    if extra := sorted(options.keys() - _list_options(entry)):
        offered = ", ".join(sorted(_list_options(entry))) or "none"
        raise BadInput(f"{name} has no option {extra[0]!r}. It offers: {offered}.")
    return entry.builder(classes, **options)


def _list_options(entry: Architecture) -> set[str]:
    fixed = getattr(entry.builder, "keywords", {})  # of a partial
    found = signature(entry.builder).parameters.items()
    return {key for key, value in found if value.kind == value.KEYWORD_ONLY and key not in fixed}
