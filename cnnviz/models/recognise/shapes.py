"""Shapes of the catalogue's networks, from builds without memory, for recognition and error messages.

To build all architectures takes seconds, and recognition needs the few that have as many tensors as the file: the
numbers of tensors of most are listed here. A network that is not listed, a new one or a plugin, is built once a
process to count its tensors, milliseconds or for a deep one a tenth of a second; among networks with the same tensors
it comes last."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from cnnviz.models.catalogue.registry import architectures, find
from cnnviz.models.checkpoint.match import Shapes, shapes
from cnnviz.models.variants.description import find_base

if TYPE_CHECKING:
    from cnnviz.models.catalogue.architecture import Architecture

# A number of tensors, counters left out, then the networks that have so many; the likelier comes first: torchvision's
# own, then the commonest, then twins whose tensors are the same: plain networks (shortcuts have no parameters), scaled
# or gated shortcuts, blocks that training drops, other strides or normalisation.
_LISTED = """
4 mlp   8 mnist_32_64_128 mnist_10_20_50 mnist_20_50_500 maxout_mnist
10 lenet5 lenet_cifar maxout_cifar10 lenet5_avg lenet5_tanh lenet5_sigmoid lenet5_unpadded lenet5_c5 lenet5_c5_tanh
tinyvgg_28 tinyvgg_64   14 all_cnn_a
16 alexnet alexnet_2012 caffenet alexnet_one_tower zfnet zfnet_b cnn_f cnn_m cnn_s cnn_m_2048 cnn_m_1024 cnn_m_128
alexnet_d2l alexnet_d2l_gray   17 lenet5_1998   18 all_cnn_b all_cnn_c nin_cifar10   22 vgg11 vgg11_lrn
24 dsn_cifar10 nin_imagenet   26 vgg13   32 vgg16 vgg16_c   38 vgg19   50 vgg11_cifar   52 squeezenet1_0 squeezenet1_1
54 vgg11_bn   62 vgg13_cifar   66 highway19_cifar10 vgg13_bn   70 wrn_16_4 wrn_16_8   80 vgg16_cifar   84 vgg16_bn
86 preact_resnet18   87 resnet18_a plain18   97 resnet20_cifar plain20_cifar   98 vgg19_cifar
102 resnet18 vgg19_bn resnet18_cifar   107 resnet20_cifar_b   116 googlenet_2014   122 senet18_cifar   130 wrn_28_10
137 mobilenet_v1 mobilenet_v1_cifar   157 resnet32_cifar plain32_cifar   167 resnet34_a plain34   177 fractalnet_c3b5
182 resnet34 resnet34_cifar   197 densenet_40_k12   210 mobilenet_v3_small   217 resnet44_cifar plain44_cifar
247 resnet34_c efficientnet_lite0 shufflenet_g2_cifar shufflenet_g3_cifar   262 mobilenet_v2   266 mobilenet_v3_large
267 resnet50 resnet50_v1 resnet50_cifar   277 resnet56_cifar resnet56_noshort plain56_cifar
287 googlenet resnet56_cifar_b mobilenet_v2_cifar   347 bn_inception   386 googlenet_cifar   472 inception_v3
497 densenet_100_k12 densenet_100_k24 densenet_bc_100_k12   522 resnet101 resnet101_v1 resnet101_cifar
547 resnet110_cifar plain110_cifar stochastic_depth110 resnet110_constant_scaling resnet110_dropout_shortcut
557 resnet110_cifar_b   601 resnet110_conv_shortcut   602 densenet121_cifar   606 densenet121
655 resnet110_exclusive_gating resnet110_shortcut_gating   777 resnet152 resnet152_v1 resnet152_cifar
820 preact_resnet164   846 densenet169   947 densenet_bc_190_k40   1006 densenet201   1247 densenet_bc_250_k24
1326 densenet264   5005 preact_resnet1001   6007 resnet1202_cifar stochastic_depth1202
"""


def _parse(listed: str) -> dict[str, int]:
    """{network: number of tensors}, in the order of the list."""
    counts: dict[str, int] = {}
    count = 0
    for word in listed.split():
        if word.isdigit():
            count = int(word)
        else:
            counts[word] = count
    return counts


COUNTS = _parse(_LISTED)
_RANKS = {name: rank for rank, name in enumerate(COUNTS)}


@dataclass(frozen=True, slots=True)
class Outline:
    """Shapes of an architecture; `head`: the keys whose first dimension is the number of classes."""

    shapes: Shapes
    head: frozenset[str]

    def sized(self, classes: int) -> Shapes:
        """The shapes with another number of classes."""
        return {key: (classes, *shape[1:]) if key in self.head else shape for key, shape in self.shapes.items()}


def outline(name: str) -> Outline:
    """Shapes and head of an architecture, from two builds without memory.

    Kept for the catalogue's entry, not for its name: a plugin may be changed and registered again."""
    return _outline(find(name))


def published_shapes(name: str) -> Shapes:
    """{key: shape} of an architecture with its own number of classes, from one build without memory."""
    return _shapes(find(name))


def sized_shapes(name: str, classes: int | None) -> Shapes:
    """{key: shape} of an architecture with another number of classes; None: with its own."""
    return published_shapes(name) if classes in (None, find(name).classes) else outline(name).sized(classes)


def tensor_count(name: str) -> int:
    """Number of tensors without counters; -1 for a plugin that cannot be built, which is warned of."""
    if name in COUNTS:
        return COUNTS[name]
    try:
        return len(published_shapes(name))
    except Exception as error:  # other people's code; their mistake must not forbid all recognition
        warnings.warn(f"{name} cannot be built ({type(error).__name__}: {error}) and is not recognised.", stacklevel=2)
        return -1


def find_by_count(count: int) -> list[str]:
    """Names of the networks with `count` tensors, likeliest first; blocks without a classifier left out."""
    return sorted((name for name in _list_networks() if tensor_count(name) == count), key=rank)


def find_nearest(count: int, limit: int = 10) -> list[str]:
    """Names of the `limit` networks whose numbers of tensors are closest to `count`, closest first."""
    return sorted(_list_networks(), key=lambda name: (abs(tensor_count(name) - count), rank(name)))[:limit]


def rank(name: str) -> tuple[int, str]:
    """Sort key among architectures that have the same tensors: as listed above, plugins last by name. A variant has
    the place of the network that it changes."""
    return _RANKS.get(find_base(name), len(_RANKS)), name


def _list_networks() -> list[str]:
    return [name for name in architectures() if find(name).classifier]


@lru_cache(1024)
def _outline(entry: Architecture) -> Outline:
    ours = _shapes(entry)
    other = _shapes(entry, entry.classes + 1) if entry.resizable else ours
    return Outline(ours, frozenset(key for key in ours if ours[key] != other[key]))


@lru_cache(1024)
def _shapes(entry: Architecture, classes: int | None = None) -> Shapes:
    import torch

    with torch.device("meta"):
        return shapes(entry.builder(entry.classes if classes is None else classes).state_dict())
