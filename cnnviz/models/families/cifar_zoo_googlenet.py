"""GoogLeNet for CIFAR-10: nine Inception modules with batch norm behind a 3×3 stem.

Source: github.com/kuangliu/pytorch-cifar; Szegedy et al., CVPR 2015, table 1."""

from functools import partial

from torch import Tensor, nn

from cnnviz.models.families.blocks import Concat, he_normal
from cnnviz.models.families.cifar_zoo import add_zoo
from cnnviz.models.families.googlenet import MODULES


def _steps(*widths: int, kernels: tuple[int, ...]) -> list[nn.Module]:
    """Convolutions with bias from width to width, each with batch norm and ReLU, that keep the size of the map."""
    steps: list[nn.Module] = []
    for inputs, outputs, kernel in zip(widths, widths[1:], kernels, strict=False):
        conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
        steps += [conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return steps


class NormalisedInception(Concat):
    """Four branches side by side: 1×1, 3×3 and twice 3×3 behind their reductions, and a projected max pool."""

    def __init__(self, inputs: int, one: int, three_in: int, three: int, five_in: int, five: int, pool: int) -> None:
        super().__init__(
            b1=nn.Sequential(*_steps(inputs, one, kernels=(1,))),
            b2=nn.Sequential(*_steps(inputs, three_in, three, kernels=(1, 3))),
            b3=nn.Sequential(*_steps(inputs, five_in, five, five, kernels=(1, 3, 3))),
            b4=nn.Sequential(nn.MaxPool2d(3, 1, 1), *_steps(inputs, pool, kernels=(1,))),
        )


class SmallImageGoogLeNet(nn.Module):
    """(N, 3, 32, 32) → (N, num_classes) logits: maps of 32×32 in modules a3 and b3, then 16×16, then 8×8."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.pre_layers = nn.Sequential(*_steps(3, 192, kernels=(3,)))
        self.a3, self.b3 = NormalisedInception(*MODULES["3a"]), NormalisedInception(*MODULES["3b"])
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.a4, self.b4 = NormalisedInception(*MODULES["4a"]), NormalisedInception(*MODULES["4b"])
        self.c4, self.d4 = NormalisedInception(*MODULES["4c"]), NormalisedInception(*MODULES["4d"])
        self.e4 = NormalisedInception(*MODULES["4e"])
        self.maxpool2 = nn.MaxPool2d(3, 2, 1)
        self.a5, self.b5 = NormalisedInception(*MODULES["5a"]), NormalisedInception(*MODULES["5b"])
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(1024, num_classes)
        he_normal(self, "fan_in")

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.b3(self.a3(self.pre_layers(x))))
        x = self.maxpool2(self.e4(self.d4(self.c4(self.b4(self.a4(x))))))
        x = self.b5(self.a5(x))
        return self.linear(self.avgpool(x).flatten(1))


add_zoo(
    "googlenet_cifar",
    "GoogLeNet",
    partial(SmallImageGoogLeNet),
    paper="Szegedy et al., CVPR 2015",
    accuracy="",
    note="The modules of googlenet_2014 with batch norm and two 3×3 kernels for the 5×5, behind a stem of one 3×3.",
)
