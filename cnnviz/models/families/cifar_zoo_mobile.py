"""MobileNet, MobileNet v2 and ShuffleNet for CIFAR-10: the published blocks with strides for 32×32.

Source: github.com/kuangliu/pytorch-cifar; Howard et al. 2017, Sandler et al., CVPR 2018, Zhang et al., CVPR 2018."""

from functools import partial

import torch
from torch import Tensor, nn

from cnnviz.models.families.blocks import he_normal
from cnnviz.models.families.cifar_zoo import add_zoo
from cnnviz.wording import plural

V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
V2 = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
# V1: (maps, stride) of each block; V2: (expansion, maps, blocks, stride of the first) of each stage


class DepthwiseBlock(nn.Module):
    """A 3×3 filter of its own for each map, then a 1×1 convolution that mixes them; batch norm and ReLU each."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu2(self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x))))))


class InvertedBlock(nn.Module):
    """1×1 to `expansion` · inputs maps, depthwise 3×3, 1×1 back, batch norm each; ReLU after the first two.

    With stride 1 the input is added, through a 1×1 convolution and batch norm where the number of maps changes."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        width = expansion * inputs
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, groups=width, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride == 1 and inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu2(self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x))))))
        y = self.bn3(self.conv3(y))
        return y + self.shortcut(x) if self.stride == 1 else y


class ChannelShuffle(nn.Module):
    """(N, C, H, W), C in `groups` groups: the first map of every group, then the second of every group, …"""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        images, maps, height, width = x.shape
        x = x.reshape(images, self.groups, maps // self.groups, height, width)
        return x.transpose(1, 2).reshape(images, maps, height, width)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"


class ShuffleBlock(nn.Module):
    """Grouped 1×1 to a quarter of the maps, shuffle, depthwise 3×3, grouped 1×1, batch norm each.

    With stride 2 its maps and the input's averages stand side by side, else the input is added; ReLU on the result.
    The first block, of 24 maps, has no groups in its first convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int) -> None:
        super().__init__()
        width, first = outputs // 4, 1 if inputs == 24 else groups
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, groups=first, bias=False), nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU(inplace=True)
        self.shuffle1 = ChannelShuffle(first)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, groups=width, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, groups=groups, bias=False), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential(nn.AvgPool2d(3, 2, 1)) if stride == 2 else nn.Sequential()
        self.relu3 = nn.ReLU(inplace=True)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y = self.shuffle1(self.relu1(self.bn1(self.conv1(x))))
        y = self.bn3(self.conv3(self.relu2(self.bn2(self.conv2(y)))))
        skipped = self.shortcut(x)
        return self.relu3(torch.cat([y, skipped], 1) if self.stride == 2 else y + skipped)


class SmallImageMobileNet(nn.Module):
    """(N, 3, 32, 32) → (N, num_classes) logits: MobileNet v1, the stem of stride 1."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)
        self.relu1 = nn.ReLU(inplace=True)
        inputs = (32, *(maps for maps, _ in V1))
        self.layers = nn.Sequential(*(DepthwiseBlock(i, maps, s) for i, (maps, s) in zip(inputs, V1, strict=False)))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(1024, num_classes)
        he_normal(self, "fan_in")

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(self.relu1(self.bn1(self.conv1(x))))
        return self.linear(self.avgpool(x).flatten(1))


class SmallImageMobileNetV2(nn.Module):
    """(N, 3, 32, 32) → (N, num_classes) logits: MobileNet v2, stem and second stage of stride 1, ReLU not cut at 6."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)
        self.relu1 = nn.ReLU(inplace=True)
        blocks, inputs = [], 32
        for expansion, maps, count, stride in V2:
            for number in range(count):
                blocks.append(InvertedBlock(inputs, maps, expansion, 1 if number else stride))
                inputs = maps
        self.layers = nn.Sequential(*blocks)
        self.conv2, self.bn2 = nn.Conv2d(inputs, 1280, 1, bias=False), nn.BatchNorm2d(1280)
        self.relu2 = nn.ReLU(inplace=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(1280, num_classes)
        he_normal(self, "fan_in")

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(self.relu1(self.bn1(self.conv1(x))))
        x = self.relu2(self.bn2(self.conv2(x)))
        return self.linear(self.avgpool(x).flatten(1))


class SmallImageShuffleNet(nn.Module):
    """(N, 3, 32, 32) → (N, num_classes) logits: a 1×1 stem, three stages of 4, 8 and 4 blocks.

    `widths`: maps that the stages put out. `groups`: of the 1×1 convolutions."""

    def __init__(self, num_classes: int = 10, widths: tuple[int, int, int] = (200, 400, 800), groups: int = 2) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 24, 1, bias=False), nn.BatchNorm2d(24)
        self.relu1 = nn.ReLU(inplace=True)
        first, second, third = widths
        self.layer1 = _shuffle_stage(24, first, 4, groups)
        self.layer2 = _shuffle_stage(first, second, 8, groups)
        self.layer3 = _shuffle_stage(second, third, 4, groups)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(third, num_classes)
        he_normal(self, "fan_in")

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(self.relu1(self.bn1(self.conv1(x))))))
        return self.linear(self.avgpool(x).flatten(1))


def _shuffle_stage(inputs: int, outputs: int, count: int, groups: int) -> nn.Sequential:
    """The first block halves the map, and its branch adds to the maps that it was given."""
    rest = (ShuffleBlock(outputs, outputs, 1, groups) for _ in range(count - 1))
    return nn.Sequential(ShuffleBlock(inputs, outputs - inputs, 2, groups), *rest)


add_zoo(
    "mobilenet_v1_cifar",
    "MobileNet v1",
    partial(SmallImageMobileNet),
    paper="Howard et al. 2017, arXiv:1704.04861",
    accuracy="",
    note="The blocks of mobilenet_v1; the first convolution keeps the size.",
)
add_zoo(
    "mobilenet_v2_cifar",
    "MobileNet v2",
    partial(SmallImageMobileNetV2),
    paper="Sandler et al., CVPR 2018",
    accuracy="94.43 %",
    note="Where stride is 1 and the number of maps changes it adds the input through a projection; mobilenet_v2 adds "
    "none there. The first block keeps its 1×1 convolution.",
)
for _groups, _widths in ((2, (200, 400, 800)), (3, (240, 480, 960))):
    add_zoo(
        f"shufflenet_g{_groups}_cifar",
        f"ShuffleNet, {plural(_groups, 'group')}",
        partial(SmallImageShuffleNet, widths=_widths, groups=_groups),
        paper="Zhang et al., CVPR 2018",
        accuracy="",
        note="Half the width of the paper's networks, on 32×32; the stem is a 1×1 convolution.",
    )
