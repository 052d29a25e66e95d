"""Wide ResNets of CIFAR-10: few pre-activation units of two 3×3 convolutions, k times as many maps.

Source: Zagoruyko, Komodakis, BMVC 2016 (arXiv:1605.07146), table 1: 6n+4 layers, 16k, 32k and 64k maps."""

from functools import partial

from torch import Tensor, nn

from cnnviz.data.preprocessing import CIFAR_MEAN, CIFAR_STD, Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.preact_resnet import PreActivationResNet, PreActivationUnit, projection
from cnnviz.models.families.residual import require_rate


class WideBlock(PreActivationUnit):
    """x + F(x), F twice batch norm, ReLU, 3×3 convolution; `dropout`: rate before the second convolution.

    A unit that changes the shape normalises and rectifies x before the paths part; its shortcut is a 1×1
    convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout) if dropout else None
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.downsample = projection(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        activated = self.relu1(self.bn1(x))
        y = self.relu2(self.bn2(self.conv1(activated)))
        if self.dropout is not None:
            y = self.dropout(y)
        return self.conv2(y) + (x if self.downsample is None else self.downsample(activated))


def wide_resnet(num_classes: int = 10, depth: int = 16, width: int = 4, *, dropout: float = 0.0) -> nn.Module:
    """WRN-`depth`-`width`, `depth` = 6n+4. Raises BadInput unless 0 <= dropout < 1; the paper takes 0.3 on CIFAR."""
    require_rate("dropout", dropout)
    widths = (16 * width, 32 * width, 64 * width)
    return PreActivationResNet(num_classes, (depth - 4) // 6, widths, partial(WideBlock, dropout=dropout))


for _depth, _width, _published in (
    (16, 4, "1.64 % error, SVHN, with dropout"),
    (16, 8, "4.81 % error, CIFAR-10 with flips and crops"),
    (28, 10, "4.00 % error, 3.89 % with dropout, CIFAR-10 with flips and crops; 4.17 % after ZCA whitening"),
):
    add(
        Architecture(
            name=f"wrn_{_depth}_{_width}",
            title=f"Wide ResNet-{_depth}-{_width} (CIFAR)",
            family="Wide ResNet",
            builder=partial(wide_resnet, depth=_depth, width=_width),
            preprocessing=Preprocessing((32, 32), mean=CIFAR_MEAN, std=CIFAR_STD),
            classes=10,
            labels="cifar10",
            source="Zagoruyko and Komodakis, BMVC 2016 (arXiv:1605.07146)",
            year=2016,
            published=_published,
            note="torchvision's wide_resnet50_2 is another network: bottlenecks, for ImageNet.",
        )
    )
