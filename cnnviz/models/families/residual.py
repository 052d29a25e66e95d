"""Blocks of the residual networks: y = ReLU(F(x) + h(x)), their shortcuts h, and stages of them.

Source: He, Zhang, Ren, Sun, CVPR 2016, section 3 and figure 5; shortcut options A, B, C: section 4.1."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from cnnviz.errors import BadInput

Shortcut = Callable[[int, int, int], nn.Module | None]  # (inputs, outputs, stride) → the module; None: plain
Maker = Callable[[int, int, int], nn.Module]  # (inputs, outputs, stride) → a block


class ShortcutA(nn.Module):
    """Option A: every `stride`-th pixel, and as many zero channels as the block adds. No parameters.

    (N, C, H, W) → (N, C + added, ⌈H/stride⌉, ⌈W/stride⌉); half of the zero channels come first."""

    def __init__(self, added: int, stride: int) -> None:
        super().__init__()
        self.added, self.stride = added, stride

    def forward(self, x: Tensor) -> Tensor:
        before = self.added // 2
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.added - before))

    def extra_repr(self) -> str:
        return f"added={self.added}, stride={self.stride}"


class ProjectionShortcut(nn.Sequential):
    """Options B and C: 1×1 convolution without bias, and batch norm."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


def option_a(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Identity where the shape stays, else subsampling and zero channels."""
    same = stride == 1 and inputs == outputs
    return nn.Identity() if same else ShortcutA(outputs - inputs, stride)


def option_b(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Identity where the shape stays, else a projection."""
    same = stride == 1 and inputs == outputs
    return nn.Identity() if same else ProjectionShortcut(inputs, outputs, stride)


def option_c(inputs: int, outputs: int, stride: int) -> nn.Module:
    """A projection in every block."""
    return ProjectionShortcut(inputs, outputs, stride)


def no_shortcut(inputs: int, outputs: int, stride: int) -> None:
    """None: the block of a plain network."""


class ResidualUnit(nn.Module):
    """Base of all units with a sum in them, whose norms `settle` gives running variances."""

    def settle(self, variance: float) -> float:
        """Set the running variances for an input of this variance; the variance that leaves the unit."""
        raise NotImplementedError


class ResidualBlock(ResidualUnit):
    """Base of blocks ReLU(F(x) + h(x)): `branch` is F, `skip` is h.

    A projection is called `downsample`, torchvision's name, so that weights match by name; any other
    shortcut is called `shortcut`. A plain block has neither."""

    shortcut: nn.Module | None
    downsample: ProjectionShortcut | None
    last_norm: str  # name of the norm that ends the branch

    def add_shortcut(self, path: nn.Module | None) -> None:
        """Call it last: files list a shortcut's tensors behind those of the branch."""
        self.shortcut = None if isinstance(path, ProjectionShortcut) else path
        self.downsample = path if isinstance(path, ProjectionShortcut) else None

    def branch(self, x: Tensor) -> Tensor:
        """F(x), before it meets the shortcut."""
        raise NotImplementedError

    def skip(self, x: Tensor) -> Tensor | None:
        """h(x); None in a plain block."""
        path = self.shortcut if self.downsample is None else self.downsample
        return None if path is None else path(x)

    def shortcut_of(self, x: Tensor) -> Tensor:
        """h(x) of a block that has a shortcut."""
        skipped = self.skip(x)
        assert skipped is not None
        return skipped

    def joined(self, x: Tensor) -> Tensor:
        """F(x) + h(x), before the last ReLU."""
        y, skipped = self.branch(x), self.skip(x)
        return y if skipped is None else y + skipped

    def settle(self, variance: float) -> float:
        """See `settle` below. A branch, a projection too, brings the variance of its input back to 1."""
        fill_running_variance(self.get_submodule(self.last_norm), variance)
        if self.downsample is not None:
            fill_running_variance(self.downsample[1], variance)
        return self.summed(1.0 if self.downsample is not None else variance)

    def summed(self, skipped: float) -> float:
        """Variance of the sum of a branch of variance 1 and a shortcut of variance `skipped`."""
        return 1.0 + skipped if self.downsample is not None or self.shortcut is not None else 1.0


class BasicBlock(ResidualBlock):
    """Two 3×3 convolutions with batch norm: (N, inputs, H, W) → (N, outputs, ⌈H/stride⌉, ⌈W/stride⌉)."""

    last_norm = "bn2"

    def __init__(self, inputs: int, outputs: int, stride: int = 1, shortcut: Shortcut = option_a) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.ReLU(inplace=True)
        self.add_shortcut(shortcut(inputs, outputs, stride))

    def branch(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))

    def forward(self, x: Tensor) -> Tensor:
        return self.relu2(self.joined(x))


class Bottleneck(ResidualBlock):
    """1×1 to a quarter of `outputs`, 3×3, 1×1 back, each with batch norm.

    The stride is that of the first 1×1 convolution, as published ("v1"); `late_stride`: of the 3×3 ("v1.5")."""

    last_norm = "bn3"

    def __init__(
        self, inputs: int, outputs: int, stride: int = 1, shortcut: Shortcut = option_b, late_stride: bool = False
    ) -> None:
        super().__init__()
        width = outputs // 4
        self.conv1 = nn.Conv2d(inputs, width, 1, 1 if late_stride else stride, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, stride if late_stride else 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu3 = nn.ReLU(inplace=True)
        self.add_shortcut(shortcut(inputs, outputs, stride))

    def branch(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.relu2(self.bn2(self.conv2(y)))
        return self.bn3(self.conv3(y))

    def forward(self, x: Tensor) -> Tensor:
        return self.relu3(self.joined(x))


def stage(block: Maker, inputs: int, outputs: int, count: int, stride: int) -> nn.Sequential:
    """`count` blocks of `outputs` maps; the first takes `inputs` maps and has the stride."""
    return nn.Sequential(block(inputs, outputs, stride), *(block(outputs, outputs, 1) for _ in range(count - 1)))


def settle(*stages: nn.Sequential) -> float:
    """Give the norms of a new network the running variances that its initial weights let one expect.

    With variances of 1, evaluation would double the signal in each unit, and 1,000 layers overflow. Training
    replaces them from its first batches on. Returns the variance that leaves the last unit."""
    variance = 1.0
    for units in stages:
        for unit in units:
            assert isinstance(unit, ResidualUnit)
            variance = unit.settle(variance)
    return variance


def fill_running_variance(norm: nn.Module, variance: float) -> None:
    """Set the running variance of every channel of a batch norm."""
    assert isinstance(norm, nn.BatchNorm2d) and norm.running_var is not None
    norm.running_var.fill_(variance)


def require_rate(name: str, value: float) -> None:
    """Raise BadInput unless `value` is a share of units that dropout may set to zero, 0 <= value < 1."""
    if not 0 <= value < 1:
        raise BadInput(f"{name} is the share of values set to zero, 0 <= {name} < 1, got {value}.")
