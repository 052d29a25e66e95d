"""DenseNet-121 for CIFAR-10: four dense blocks of growth 12 behind a 3×3 stem.

Source: github.com/kuangliu/pytorch-cifar; Huang et al., CVPR 2017."""

from functools import partial

import torch
from torch import Tensor, nn

from cnnviz.models.families.blocks import he_normal
from cnnviz.models.families.cifar_zoo import add_zoo


class DenseUnit(nn.Module):
    """(N, inputs, H, W) → (N, growth + inputs, H, W), the new maps first.

    Batch norm, ReLU, 1×1 convolution to 4 · growth maps; batch norm, ReLU, 3×3 convolution to growth."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(self.relu1(self.bn1(x)))
        return torch.cat([self.conv2(self.relu2(self.bn2(y))), x], 1)


class DenseTransition(nn.Module):
    """(N, inputs, H, W) → (N, outputs, H/2, W/2): batch norm, ReLU, 1×1 convolution, average pool."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(inputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.conv(self.relu(self.bn(x))))


class SmallImageDenseNet(nn.Module):
    """(N, 3, 32, 32) → (N, num_classes) logits. `blocks`: units of each dense block. `growth`: maps that one adds.

    Each transition halves the maps."""

    def __init__(self, num_classes: int = 10, blocks: tuple[int, ...] = (6, 12, 24, 16), growth: int = 12) -> None:
        super().__init__()
        maps = 2 * growth
        self.conv1 = nn.Conv2d(3, maps, 3, padding=1, bias=False)
        self.steps: list[str] = []
        for number, count in enumerate(blocks, 1):
            units = [DenseUnit(maps + i * growth, growth) for i in range(count)]
            maps += count * growth
            self._append(f"dense{number}", nn.Sequential(*units))
            if number < len(blocks):
                self._append(f"trans{number}", DenseTransition(maps, maps // 2))
                maps //= 2
        self.bn = nn.BatchNorm2d(maps)
        self.relu = nn.ReLU(inplace=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(maps, num_classes)
        he_normal(self, "fan_in")

    def _append(self, name: str, step: nn.Module) -> None:
        self.add_module(name, step)
        self.steps.append(name)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        for name in self.steps:
            x = self.get_submodule(name)(x)
        return self.linear(self.avgpool(self.relu(self.bn(x))).flatten(1))


add_zoo(
    "densenet121_cifar",
    "DenseNet-121, growth 12",
    partial(SmallImageDenseNet, blocks=(6, 12, 24, 16), growth=12),
    paper="Huang et al., CVPR 2017",
    accuracy="",
    note="The blocks of densenet121 with growth 12. A unit puts its new maps before those it was given; in Huang's "
    "networks they come last.",
)
