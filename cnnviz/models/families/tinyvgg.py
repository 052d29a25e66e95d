"""TinyVGG: two blocks of two 3×3 convolutions and a pool, ten maps each, and one linear layer.

Source: CNN Explainer, Wang et al., IEEE VIS 2020 (arXiv:2004.15004), as the course Zero to Mastery Learn PyTorch builds
it; layers carry the names that they have there."""

from collections import OrderedDict
from functools import partial

from torch import nn

from cnnviz.data.class_names import FASHION_MNIST
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add

WIDTH = 10


def tiny_vgg(
    num_classes: int = 3, channels: int = 3, side: int = 64, padding: int = 0, block: str = "conv_block"
) -> nn.Sequential:
    """(N, channels, side, side) → (N, num_classes) logits.

    `padding`: of the 3×3 convolutions. `block`: first part of the blocks' names."""
    for _ in range(2):
        side = (side - 4 * (1 - padding)) // 2
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers[f"{block}_1"] = _block(channels, padding)
    layers[f"{block}_2"] = _block(WIDTH, padding)
    layers["classifier"] = nn.Sequential(nn.Flatten(), nn.Linear(WIDTH * side * side, num_classes))
    return nn.Sequential(layers)


def _block(inputs: int, padding: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, WIDTH, 3, padding=padding),
        nn.ReLU(),
        nn.Conv2d(WIDTH, WIDTH, 3, padding=padding),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


_SOURCE = "CNN Explainer, Wang et al., IEEE VIS 2020; the course Zero to Mastery Learn PyTorch"
add(
    Architecture(
        name="tinyvgg_28",
        title="TinyVGG, 28×28",
        family="TinyVGG",
        builder=partial(tiny_vgg, channels=1, side=28, padding=1, block="block"),
        preprocessing=Preprocessing((28, 28), mean=(0.0,), std=(1.0,)),
        classes=10,
        labels=FASHION_MNIST,
        source=_SOURCE,
        year=2022,
        note="The course's network for Fashion-MNIST: padded convolutions, pixels of 0 to 1 without normalisation.",
    )
)
add(
    Architecture(
        name="tinyvgg_64",
        title="TinyVGG, 64×64",
        family="TinyVGG",
        builder=partial(tiny_vgg, channels=3, side=64, padding=0, block="conv_block"),
        preprocessing=Preprocessing((64, 64), mean=(0.0,) * 3, std=(1.0,) * 3),
        classes=3,
        labels=("pizza", "steak", "sushi"),
        source=_SOURCE,
        year=2022,
        note="The course's network for colour images: convolutions without padding, pixels of 0 to 1 without "
        "normalisation.",
    )
)
