"""ResNet-18 to 152 with a 3×3 stem for CIFAR-10, a pre-activation ResNet-18 and a squeeze-and-excitation ResNet-18.

Source: github.com/kuangliu/pytorch-cifar; He et al., CVPR 2016 and ECCV 2016; Hu, Shen, Sun, CVPR 2018."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from cnnviz.models.families.blocks import he_normal
from cnnviz.models.families.cifar_zoo import add_zoo
from cnnviz.models.families.residual import BasicBlock, Bottleneck, Maker, ResidualUnit, fill_running_variance, stage
from cnnviz.models.families.residual import settle as settle_stages

LAYERS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
WIDTHS = (64, 128, 256, 512)


def projection(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Nothing where the shape stays, else a 1×1 convolution and batch norm; option B under the name `shortcut`."""
    if stride == 1 and inputs == outputs:
        return nn.Sequential()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class PreActivationBlock(ResidualUnit):
    """h(x) + F(x), F twice batch norm, ReLU, 3×3 convolution.

    A unit that changes the shape normalises and rectifies x before the paths part; its shortcut is a 1×1 convolution.
    `squeeze`: each map of F is weighed by a gate, the sigmoid of two 1×1 convolutions on the means of all maps, the
    first to a sixteenth of them."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, squeeze: bool = False) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU(inplace=False)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.shortcut: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False))
        self.squeeze = squeeze
        if squeeze:
            self.avgpool = nn.AdaptiveAvgPool2d(1)
            self.fc1, self.relu3 = nn.Conv2d(outputs, outputs // 16, 1), nn.ReLU(inplace=True)
            self.fc2, self.sigmoid = nn.Conv2d(outputs // 16, outputs, 1), nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        activated = self.relu1(self.bn1(x))
        skipped = x if self.shortcut is None else self.shortcut(activated)
        y = self.conv2(self.relu2(self.bn2(self.conv1(activated))))
        if self.squeeze:
            y = y * self.sigmoid(self.fc2(self.relu3(self.fc1(self.avgpool(y)))))
        return y + skipped

    def settle(self, variance: float) -> float:
        """See `residual.settle`: only `bn1` meets a sum; a projection starts from what it normalised."""
        fill_running_variance(self.bn1, variance)
        return 1.0 + (variance if self.shortcut is None else 1.0)


class SmallImageResNet(nn.Module):
    """(N, 3, 32, 32) → (N, num_classes) logits: 3×3 stem of stride 1, no pool before the stages.

    `depths`: blocks of each of the four stages. `block`: makes one. `expansion`: maps a stage puts out, in multiples of
    64, 128, 256 and 512. `normalised`: the stem has batch norm and ReLU."""

    def __init__(
        self,
        num_classes: int = 10,
        depths: tuple[int, ...] = LAYERS[18],
        block: Maker = BasicBlock,
        expansion: int = 1,
        normalised: bool = True,
    ) -> None:
        super().__init__()
        first, second, third, fourth = (expansion * width for width in WIDTHS)
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64) if normalised else None
        self.relu = nn.ReLU(inplace=True) if normalised else None
        self.layer1 = stage(block, 64, first, depths[0], 1)
        self.layer2 = stage(block, first, second, depths[1], 2)
        self.layer3 = stage(block, second, third, depths[2], 2)
        self.layer4 = stage(block, third, fourth, depths[3], 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(fourth, num_classes)
        he_normal(self)
        settle_stages(self.layer1, self.layer2, self.layer3, self.layer4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        if self.bn1 is not None and self.relu is not None:
            x = self.relu(self.bn1(x))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.linear(self.avgpool(x).flatten(1))


_ACCURACY = {18: "93.02 %", 50: "93.62 %", 101: "93.75 %"}
for _depth, _depths in LAYERS.items():
    _wide = _depth >= 50
    add_zoo(
        f"resnet{_depth}_cifar",
        f"ResNet-{_depth}, 3×3 stem",
        partial(
            SmallImageResNet,
            depths=_depths,
            block=partial(Bottleneck, shortcut=projection, late_stride=True)
            if _wide
            else partial(BasicBlock, shortcut=projection),
            expansion=4 if _wide else 1,
            normalised=True,
        ),
        paper="He et al., CVPR 2016",
        accuracy=_ACCURACY.get(_depth, ""),
        note=f"resnet{_depth} with conv1 of 3×3, stride 1, and no max pool; also torchvision's network changed so. "
        "The narrow networks of He et al. for CIFAR are resnet20_cifar to resnet1202_cifar.",
    )
add_zoo(
    "preact_resnet18",
    "Pre-activation ResNet-18",
    partial(SmallImageResNet, depths=LAYERS[18], block=PreActivationBlock, expansion=1, normalised=False),
    paper="He et al., ECCV 2016",
    accuracy="95.11 %",
    note="Batch norm and ReLU before each convolution; none after the last sum.",
)
add_zoo(
    "senet18_cifar",
    "SE-ResNet-18",
    partial(
        SmallImageResNet,
        depths=LAYERS[18],
        block=partial(PreActivationBlock, squeeze=True),
        expansion=1,
        normalised=True,
    ),
    paper="Hu, Shen and Sun, CVPR 2018",
    accuracy="",
    note="Pre-activation blocks, each map of a branch weighed by squeeze and excitation.",
)
