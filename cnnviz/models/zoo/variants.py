"""Variants as entries like those of a zoo: `variant:resnet18.tanh.512b-256`, a network of the catalogue, changed."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING

from cnnviz.data.preprocessing import MNIST_MEAN, MNIST_STD, Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, registered
from cnnviz.models.variants.description import NetworkVariant, describe_assumption, parse_variant
from cnnviz.wording import plural

if TYPE_CHECKING:
    from torch import nn


_ACTIVATIONS = {"relu": "ReLU", "tanh": "tanh", "sigmoid": "sigmoid", "leaky": "leaky ReLU"}


def names() -> list[str]:
    """None: there is a variant for every description."""
    return []


def architecture(rest: str) -> Architecture:
    """The entry of variant:`rest`. Raises UnknownName for a network that the catalogue has not, BadInput for changes
    that cannot be read or that the network does not allow."""
    variant = parse_variant(rest)
    return _make_entry(variant, registered()[variant.base])


@lru_cache(4096)  # a description may be anybody's
def _make_entry(variant: NetworkVariant, base: Architecture) -> Architecture:
    labels, classes = base.labels, base.classes
    preprocessing = base.preprocessing
    if variant.channels:
        preprocessing = _expect_images(base, variant.channels)
        if preprocessing.mean == MNIST_MEAN:
            labels, classes = "mnist", 10
    return Architecture(
        name=variant.name,
        title=_describe(base, variant),
        family=base.family,
        builder=partial(_build, variant=variant),
        preprocessing=preprocessing,
        classes=classes,
        labels=labels,
        source=f"{base.source}; changed as its name says",
        year=base.year,
        note=f"{base.name} otherwise. " + describe_assumption(variant.name),
        resizable=base.resizable,
    )


def _build(num_classes: int, variant: NetworkVariant) -> nn.Module:
    from cnnviz.models.variants.network import build_variant

    return build_variant(num_classes, variant)


def _expect_images(base: Architecture, channels: int) -> Preprocessing:
    """For one channel and a residual network MNIST's digits, which it is changed for most; else 0.5/0.5."""
    if channels == 1 and "ResNet" in base.title:
        return Preprocessing((28, 28), mean=MNIST_MEAN, std=MNIST_STD)
    half = (0.5,) * channels
    return Preprocessing(base.preprocessing.size, base.preprocessing.resize, half, half)


def _describe(base: Architecture, variant: NetworkVariant) -> str:
    parts = [base.title]
    if variant.channels:
        parts.append(f"{plural(variant.channels, 'input channel')}")
    if variant.head:
        hidden = variant.head.hidden
        parts.append(f"head {'-'.join(str(layer.width) for layer in hidden)}" if hidden else "one linear layer")
    parts += [_ACTIVATIONS[variant.activation]] if variant.activation else []
    parts += [] if variant.norm else ["no batch norm"]
    if variant.dropout is not None:
        parts.append(f"dropout {variant.dropout} %" if variant.dropout else "no dropout")
    return ", ".join(parts)
