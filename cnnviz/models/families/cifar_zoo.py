"""The CIFAR-10 networks of github.com/kuangliu/pytorch-cifar: what they share as entries of the catalogue.

They take images of 32×32 without shrinking them in the first layer, and layers carry the names that they have there, so
that files of its users fit by name. The networks: `cifar_zoo_resnet`, `cifar_zoo_vgg`, `cifar_zoo_dense`,
`cifar_zoo_googlenet`, `cifar_zoo_mobile`."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from cnnviz.data.preprocessing import CIFAR_MEAN, Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add

SOURCE = "github.com/kuangliu/pytorch-cifar"
STD = (0.2023, 0.1994, 0.2010)  # of its training script: the mean over images of an image's own deviation


def add_zoo(name: str, title: str, builder: Callable[..., nn.Module], paper: str, accuracy: str, note: str) -> None:
    """Enter one network. `accuracy`: of the repository's table, "" where it has none."""
    add(
        Architecture(
            name=name,
            title=f"{title} (CIFAR)",
            family="CIFAR zoo",
            builder=builder,
            preprocessing=Preprocessing((32, 32), mean=CIFAR_MEAN, std=STD),
            classes=10,
            labels="cifar10",
            source=f"{SOURCE}; after {paper}",
            year=2017,
            published=accuracy and f"{accuracy} accuracy, CIFAR-10 with flips and crops",
            note=note,
        )
    )
