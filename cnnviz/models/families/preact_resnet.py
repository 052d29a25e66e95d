"""Pre-activation ResNets of CIFAR-10: batch norm and ReLU before each convolution, nothing on the sum.

Source: He, Zhang, Ren, Sun, ECCV 2016 (arXiv:1603.05027), figure 4(e) and appendix; the authors' Torch release for
the units that change the shape."""

from functools import partial

from torch import Tensor, nn

from cnnviz.data.preprocessing import CIFAR_MEAN, CIFAR_STD, Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.blocks import he_normal
from cnnviz.models.families.residual import Maker, ResidualUnit, fill_running_variance, settle, stage


class PreActivationUnit(ResidualUnit):
    """Base of units that normalise their input in `bn1`; `downsample` is their projection, or None."""

    bn1: nn.BatchNorm2d
    downsample: nn.Conv2d | None

    def settle(self, variance: float) -> float:
        """See `residual.settle`: only `bn1` meets a sum; a projection starts from what it normalised."""
        fill_running_variance(self.bn1, variance)
        return 1.0 + (variance if self.downsample is None else 1.0)


class PreActivationBottleneck(PreActivationUnit):
    """x + F(x), F three times batch norm, ReLU, convolution: 1×1 to a quarter of `outputs`, 3×3, 1×1 back.

    A unit that changes the shape normalises and rectifies x before the paths part; its shortcut is a 1×1
    convolution. The stride is that of the first 1×1."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        width = outputs // 4
        self.bn1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(inputs, width, 1, stride, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.relu3 = nn.ReLU(inplace=True)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.downsample = projection(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        activated = self.relu1(self.bn1(x))
        y = self.conv1(activated)
        y = self.conv2(self.relu2(self.bn2(y)))
        y = self.conv3(self.relu3(self.bn3(y)))
        return y + (x if self.downsample is None else self.downsample(activated))


def projection(inputs: int, outputs: int, stride: int) -> nn.Conv2d | None:
    """The shortcut of a unit that changes the shape, a 1×1 convolution without batch norm; None if it does not."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Conv2d(inputs, outputs, 1, stride, bias=False)


class PreActivationResNet(nn.Module):
    """(N, 3, 32, 32) → (N, num_classes) logits.

    `blocks`: units of each stage. `widths`: maps that the three stages put out. `block`: makes a unit."""

    def __init__(
        self,
        num_classes: int = 10,
        blocks: int = 18,
        widths: tuple[int, int, int] = (64, 128, 256),
        block: Maker = PreActivationBottleneck,
    ) -> None:
        super().__init__()
        first, second, third = widths
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.layer1 = stage(block, 16, first, blocks, 1)
        self.layer2 = stage(block, first, second, blocks, 2)
        self.layer3 = stage(block, second, third, blocks, 2)
        self.bn = nn.BatchNorm2d(third)
        self.relu = nn.ReLU(inplace=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(third, num_classes)
        he_normal(self)
        fill_running_variance(self.bn, settle(self.layer1, self.layer2, self.layer3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.fc(self.avgpool(self.relu(self.bn(x))).flatten(1))


for _depth, _published in (
    (164, "5.46 % error, CIFAR-10 with flips and crops"),
    (1001, "4.92 % error, 4.62 % with batches of 64, CIFAR-10 with flips and crops"),
):
    add(
        Architecture(
            name=f"preact_resnet{_depth}",
            title=f"Pre-activation ResNet-{_depth} (CIFAR)",
            family="Pre-activation ResNet",
            builder=partial(
                PreActivationResNet, blocks=(_depth - 2) // 9, widths=(64, 128, 256), block=PreActivationBottleneck
            ),
            preprocessing=Preprocessing((32, 32), mean=CIFAR_MEAN, std=CIFAR_STD),
            classes=10,
            labels="cifar10",
            source="He et al., ECCV 2016 (arXiv:1603.05027)",
            year=2016,
            published=_published,
            note="Strides on the first 1×1 convolution of a stage; pytorchcv's network has them on the 3×3.",
        )
    )
