"""Chains as an entry like those of a zoo: `chain:1x28x28-conv6k5p2-relu-max2-flatten-linear10` describes itself."""

from __future__ import annotations

from functools import partial

from cnnviz.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD, MNIST_MEAN, MNIST_STD, Preprocessing
from cnnviz.models.catalogue.architecture import Architecture
from cnnviz.models.chains.chain import Chain, parse_chain
from cnnviz.models.chains.network import build_by_name

FAMILY = "Chain"


def architecture(rest: str) -> Architecture:
    """The entry of chain:`rest`. Raises BadInput, saying which step does not fit, if it is no network."""
    chain = parse_chain(rest)
    return Architecture(
        name=chain.name,
        title=chain.title,
        family=FAMILY,
        builder=partial(build_by_name, name=chain.name),
        preprocessing=expect_preprocessing(chain),
        classes=chain.classes,
        labels=_guess_labels(chain),
        source="described by its name",
        note="Activation and pooling are as the name says, whatever the weights were trained with.",
    )


def names() -> list[str]:
    """None: there is a chain for every description."""
    return []


def expect_preprocessing(chain: Chain) -> Preprocessing:
    """The usual one for inputs of this size: MNIST's for gray digits, 0.5/0.5 for small photographs, ImageNet's for
    larger ones. Nothing in a chain says that it is the right one."""
    channels, height, width = chain.input_size
    half = ((0.5,) * channels,) * 2
    mean, std = half
    if channels == 1 and max(height, width) <= 32:
        mean, std = MNIST_MEAN, MNIST_STD
    elif channels == 3 and max(height, width) > 64:
        mean, std = IMAGENET_MEAN, IMAGENET_STD
    return Preprocessing((height, width), mean=mean, std=std)


def _guess_labels(chain: Chain) -> str | tuple[str, ...]:
    channels, height, width = chain.input_size
    if chain.classes == 10 and height == width <= 32:
        return "mnist" if channels == 1 else "cifar10" if channels == 3 else ()
    return "imagenet" if chain.classes == 1000 else ()
