"""Network in Network: after each convolution two 1×1 convolutions, and no linear layer.

Source: Lin, Chen, Yan, ICLR 2014 (arXiv:1312.4400); layer sizes and pooling of the authors' published
definitions, whose pools round the map size up."""

from collections import OrderedDict
from functools import partial

import torch
from torch import Tensor, nn

from cnnviz.data.preprocessing import CIFAR_MEAN, CIFAR_STD, Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.blocks import he_normal

Row = tuple[int, int, int, tuple[int, ...]]  # kernel, stride, padding; widths of the convolution and of its 1×1s
IMAGENET_ROWS: tuple[Row, ...] = (
    (11, 4, 0, (96, 96, 96)),
    (5, 1, 2, (256, 256, 256)),
    (3, 1, 1, (384, 384, 384)),
    (3, 1, 1, (1024, 1024)),
)  # the last width is the number of classes
CIFAR_ROWS: tuple[Row, ...] = ((5, 1, 2, (192, 160, 96)), (5, 1, 2, (192, 192, 192)), (3, 1, 1, (192, 192)))


def mlpconv_layers(
    rows: tuple[Row, ...], num_classes: int, dropped: tuple[int, ...], last_relu: bool = True
) -> nn.Sequential:
    """mlpconv layers (conv, cccp, cccp, each with its ReLU), max pooling 3/2 between them.

    `dropped`: numbers of the pools, from 1, that dropout 0.5 follows. (N, 3, H, W) → one map a class.
    "cccp", cascaded cross-channel parametric pooling, is the paper's name of the 1×1 convolutions."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    inputs, one = 3, 0
    for number, (kernel, stride, padding, widths) in enumerate(rows, 1):
        last = number == len(rows)
        first, *others = (*widths, num_classes) if last else widths
        layers[f"conv{number}"] = nn.Conv2d(inputs, first, kernel, stride, padding)
        layers[f"relu{number}"] = nn.ReLU()
        inputs = first
        for width in others:
            one += 1
            layers[f"cccp{one}"] = nn.Conv2d(inputs, width, 1)
            layers[f"relu_cccp{one}"] = nn.ReLU()
            inputs = width
        if not last:
            layers[f"pool{number}"] = nn.MaxPool2d(3, 2, ceil_mode=True)
        if number in dropped:
            layers[f"drop{number}"] = nn.Dropout()
    if not last_relu:
        layers.popitem()
    return nn.Sequential(layers)


class NetworkInNetwork(nn.Module):
    """(N, 3, H, W) → (N, num_classes) logits: the means of the class maps, never below 0, since the last
    layer has a ReLU too.

    A class whose map is 0 everywhere gets no gradient and stays silent, and large first steps silence most of them. So
    the last convolution begins with a tenth of its weights and with biases of 1, and learns at a tenth of the rate."""

    def __init__(self, num_classes: int, rows: tuple[Row, ...], dropped: tuple[int, ...]) -> None:
        super().__init__()
        self.features = mlpconv_layers(rows, num_classes, dropped)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        he_normal(self, "fan_in")
        name, last = [(name, one) for name, one in self.named_modules() if isinstance(one, nn.Conv2d)][-1]
        self.learning_rate_scales = {name: 0.1}
        with torch.no_grad():
            last.weight.mul_(0.1)
            last.get_parameter("bias").fill_(1.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.avgpool(self.features(x)).flatten(1)


add(
    Architecture(
        name="nin_imagenet",
        title="Network in Network, ImageNet",
        family="Network in Network",
        builder=partial(NetworkInNetwork, rows=IMAGENET_ROWS, dropped=(3,)),
        preprocessing=Preprocessing((224, 224), resize=256),
        classes=1000,
        labels="imagenet",
        source="Lin et al., ICLR 2014; the authors' Caffe definition",
        year=2014,
        published="top-1 error 40.64 %, ILSVRC-2012 validation, one network, centre crop",
    )
)
add(
    Architecture(
        name="nin_cifar10",
        title="Network in Network, CIFAR",
        family="Network in Network",
        builder=partial(NetworkInNetwork, rows=CIFAR_ROWS, dropped=(1, 2)),
        preprocessing=Preprocessing((32, 32), mean=CIFAR_MEAN, std=CIFAR_STD),
        classes=10,
        labels="cifar10",
        source="Lin et al., ICLR 2014; the authors' cuda-convnet definition",
        year=2014,
        published="10.41 % error, CIFAR-10; 8.81 % with shifts and flips",
        note="The second pool takes the maximum, as in the authors' cuda-convnet file; their Caffe file and "
        "pytorchcv average there. Published inputs are contrast-normalised and whitened.",
    )
)
