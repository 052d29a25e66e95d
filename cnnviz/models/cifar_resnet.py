"""The CIFAR-10 ResNets with option A shortcuts, and their plain twins.

Source: He, Zhang, Ren, Sun, CVPR 2016, section 4.2: 6n+2 layers, three stages of n two-layer blocks
with 16, 32 and 64 maps; option A: stride-2 subsampling and zero-padded channels, no parameters."""

from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from cnnviz.models.preprocessing import CIFAR_MEAN, CIFAR_STD, Preprocessing
from cnnviz.models.registry import Architecture, add


class ShortcutA(nn.Module):
    """Option A: every second pixel, and as many zero channels as the block adds. No parameters."""

    def __init__(self, added: int, stride: int) -> None:
        super().__init__()
        self.added, self.stride = added, stride

    def forward(self, x: Tensor) -> Tensor:
        before = self.added // 2
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.added - before))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions with batch norm; `shortcut=False` is the plain twin."""

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.ReLU(inplace=True)
        self.shortcut: nn.Module | None = None
        if shortcut:
            same = stride == 1 and inputs == outputs
            self.shortcut = nn.Identity() if same else ShortcutA(outputs - inputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.shortcut is not None:
            y = y + self.shortcut(x)
        return self.relu2(y)


class CifarResNet(nn.Module):
    """(N, 3, 32, 32) → (N, num_classes) logits. `depth` = 6n+2."""

    def __init__(self, num_classes: int = 10, depth: int = 20, shortcut: bool = True) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = _stage(16, 16, 1, blocks, shortcut)
        self.layer2 = _stage(16, 32, 2, blocks, shortcut)
        self.layer3 = _stage(32, 64, 2, blocks, shortcut)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.avgpool(x).flatten(1))


def _stage(inputs: int, outputs: int, stride: int, blocks: int, shortcut: bool) -> nn.Sequential:
    first = BasicBlock(inputs, outputs, stride, shortcut)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs, 1, shortcut) for _ in range(blocks - 1)))


for _depth in (20, 32, 44, 56, 110):
    for _kind, _shortcut in (("resnet", True), ("plain", False)):
        add(
            Architecture(
                name=f"{_kind}{_depth}_cifar",
                title=f"{'ResNet' if _shortcut else 'Plain'}-{_depth} (CIFAR)",
                family="CIFAR ResNet",
                builder=partial(CifarResNet, depth=_depth, shortcut=_shortcut),
                preprocessing=Preprocessing((32, 32), mean=CIFAR_MEAN, std=CIFAR_STD),
                classes=10,
                labels="cifar10",
                source="He et al., CVPR 2016, section 4.2, option A" + ("" if _shortcut else "; shortcuts removed"),
            )
        )
