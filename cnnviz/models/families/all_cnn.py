"""The all-convolutional networks: strided convolutions where others pool, and a global mean at the end.

Source: Springenberg, Dosovitskiy, Brox, Riedmiller, ICLR 2015 workshop (arXiv:1412.6806), tables 1 and 2."""

from collections import OrderedDict
from functools import partial

from torch import Tensor, nn

from cnnviz.data.preprocessing import CIFAR_MEAN, CIFAR_STD, Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.blocks import he_normal

Row = tuple[int, int, int, int]  # width, kernel, stride, padding
_DOWN_96, _DOWN_192 = (96, 3, 2, 1), (192, 3, 2, 1)  # convolutions in place of pools
_ONE_96, _ONE_192 = (96, 1, 1, 0), (192, 1, 1, 0)
TABLE: dict[str, tuple[Row, ...]] = {
    "a": ((96, 5, 1, 2), _DOWN_96, (192, 5, 1, 2), _DOWN_192, (192, 3, 1, 1), _ONE_192),
    "b": ((96, 5, 1, 2), _ONE_96, _DOWN_96, (192, 5, 1, 2), _ONE_192, _DOWN_192, (192, 3, 1, 1), _ONE_192),
    "c": (*((96, 3, 1, 1),) * 2, _DOWN_96, *((192, 3, 1, 1),) * 2, _DOWN_192, (192, 3, 1, 0), _ONE_192),
}  # the last 1×1 convolution, one map a class, comes after these


class AllConvolutional(nn.Module):
    """(N, 3, 32, 32) → (N, num_classes) logits: the means of the class maps, never below 0, since the last
    layer has a ReLU too. Dropout 0.2 on the image, 0.5 after each convolution that stands for a pool."""

    def __init__(self, num_classes: int, rows: tuple[Row, ...]) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict(drop0=nn.Dropout(0.2))
        inputs = 3
        for number, (width, kernel, stride, padding) in enumerate((*rows, (num_classes, 1, 1, 0)), 1):
            layers[f"conv{number}"] = nn.Conv2d(inputs, width, kernel, stride, padding)
            layers[f"relu{number}"] = nn.ReLU(inplace=True)
            if stride > 1:
                layers[f"drop{number}"] = nn.Dropout(0.5)
            inputs = width
        self.features = nn.Sequential(layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        he_normal(self, "fan_in")

    def forward(self, x: Tensor) -> Tensor:
        return self.avgpool(self.features(x)).flatten(1)


_PUBLISHED = {
    "a": "10.30 % error, CIFAR-10",
    "b": "9.10 % error, CIFAR-10",
    "c": "9.08 % error, CIFAR-10; 7.25 % with shifts and flips",
}
for _letter, _rows in TABLE.items():
    add(
        Architecture(
            name=f"all_cnn_{_letter}",
            title=f"All-CNN-{_letter.upper()}",
            family="All-CNN",
            builder=partial(AllConvolutional, rows=_rows),
            preprocessing=Preprocessing((32, 32), mean=CIFAR_MEAN, std=CIFAR_STD),
            classes=10,
            labels="cifar10",
            source="Springenberg et al., ICLR 2015 workshop",
            year=2015,
            published=_PUBLISHED[_letter],
            note="The third 3×3 convolution of 192 maps is padded (8×8 maps), unlike that of All-CNN-C."
            if _letter != "c"
            else "",
        )
    )
