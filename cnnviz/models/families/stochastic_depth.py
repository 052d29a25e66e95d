"""Stochastic depth: in training, whole residual branches are dropped, the later the more often.

Source: Huang, Sun, Liu, Sedra, Weinberger, ECCV 2016 (arXiv:1603.09382), section 3; the authors' Torch release
for the shortcuts that change the shape."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnviz.data.preprocessing import CIFAR_MEAN, CIFAR_STD, Preprocessing
from cnnviz.errors import BadInput
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.cifar_resnet import CifarResNet
from cnnviz.models.families.residual import BasicBlock


def survival_probabilities(units: int, last: float = 0.5) -> list[float]:
    """p_l = 1 − l/L · (1 − p_L) for l = 1 … L: L = `units`, p_L = `last`. Section 3, equation 4.

    Raises BadInput unless 0 < last <= 1."""
    if not 0 < last <= 1:
        raise BadInput(f"The survival probability of the last unit must be above 0 and at most 1, got {last}.")
    return [1 - unit / units * (1 - last) for unit in range(1, units + 1)]


class PooledShortcut(nn.Module):
    """Means of `stride` × `stride` pixels, then zero channels behind those that there are. No parameters.

    (N, C, H, W) → (N, C + added, ⌈H/stride⌉, ⌈W/stride⌉)."""

    def __init__(self, added: int, stride: int) -> None:
        super().__init__()
        self.added = added
        self.pool = nn.AvgPool2d(stride, ceil_mode=True)  # odd sides: as long as the strided branch's

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(self.pool(x), (0, 0, 0, 0, 0, self.added))

    def extra_repr(self) -> str:
        return f"added={self.added}"


def pooled_shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Identity where the shape stays, else average pooling and zero channels."""
    same = stride == 1 and inputs == outputs
    return nn.Identity() if same else PooledShortcut(outputs - inputs, stride)


class StochasticBlock(BasicBlock):
    """ReLU(b · F(x) + h(x)). In training b is drawn anew for each mini-batch, 1 with probability `survival`, else
    0, and then F is not computed at all; in evaluation b is `survival`."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, survival: float = 1.0) -> None:
        super().__init__(inputs, outputs, stride, pooled_shortcut)
        self.relu2 = nn.ReLU()  # not in place: a dropped unit hands it the tensor of the unit before
        self.survival = survival

    def joined(self, x: Tensor) -> Tensor:
        skipped = self.shortcut_of(x)
        if not self.training:
            return self.survival * self.branch(x) + skipped
        return self.branch(x) + skipped if self.survives() else skipped

    def survives(self) -> bool:
        """One draw from PyTorch's CPU generator, also for networks on other devices."""
        return float(torch.rand((), device="cpu")) < self.survival

    def extra_repr(self) -> str:
        return f"survival={self.survival:.4g}"


class StochasticDepth(CifarResNet):
    """(N, 3, 32, 32) → (N, num_classes) logits. `depth` = 6n+2.

    `last_survival`: p_L, probability that the last unit is kept in training; 1 is the constant depth."""

    def __init__(self, num_classes: int = 10, depth: int = 110, *, last_survival: float = 0.5) -> None:
        survival = iter(survival_probabilities((depth - 2) // 2, last_survival))  # units are made input side first
        super().__init__(num_classes, depth, lambda i, o, s: StochasticBlock(i, o, s, next(survival)))


for _depth, _published in ((110, "5.25 %"), (1202, "4.91 %")):
    add(
        Architecture(
            name=f"stochastic_depth{_depth}",
            title=f"ResNet-{_depth} with stochastic depth (CIFAR)",
            family="Stochastic depth",
            builder=partial(StochasticDepth, depth=_depth),
            preprocessing=Preprocessing((32, 32), mean=CIFAR_MEAN, std=CIFAR_STD),
            classes=10,
            labels="cifar10",
            source="Huang et al., ECCV 2016 (arXiv:1603.09382)",
            year=2016,
            published=f"{_published} error, CIFAR-10 with flips and crops",
            note="Convolutions have no bias, which batch norm would cancel; those of the authors' Torch code have.",
        )
    )
