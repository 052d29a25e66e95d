"""LeNet-5 as published: scaled tanh, trainable sub-sampling, a sparse C3, Euclidean RBF output.

Source: LeCun, Bottou, Bengio, Haffner, Proc. IEEE 86(11), 1998, section II.B, table I, appendix A."""

from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn


def _rows(digits: str) -> tuple[tuple[int, ...], ...]:
    """ "012 345" → ((0, 1, 2), (3, 4, 5))."""
    return tuple(tuple(map(int, row)) for row in digits.split())


THREES = _rows("012 123 234 345 450 501")
FOURS = _rows("0123 1234 2345 3450 4501 5012 0134 1245 0235")
C3_TABLE = (*THREES, *FOURS, (0, 1, 2, 3, 4, 5))  # the S2 maps that each of the 16 maps of C3 sees

DIGITS = (  # 0 to 9 side by side, 7 × 12 pixels each, drawn for cnnviz after the idea of the paper's figure 3
    "..###.. ...#... ..###.. .#####. .....#. ####### ...###. ####### ..###.. ..###..",
    ".#...#. ..##... .#...#. #.....# ....##. #...... ..#.... ......# .#...#. .#...#.",
    "#.....# .#.#... #.....# ......# ....##. #...... .#..... ......# #.....# #.....#",
    "#.....# #..#... ......# ......# ...#.#. #...... #...... .....#. #.....# #.....#",
    "#.....# ...#... ......# .....#. ..#..#. #.###.. #...... .....#. .#...#. #.....#",
    "#.....# ...#... .....#. ..###.. ..#..#. ##...#. #.###.. ....#.. ..###.. .#...##",
    "#.....# ...#... ....#.. .....#. .#...#. ......# ##...#. ....#.. .#...#. ..###.#",
    "#.....# ...#... ...#... ......# #....#. ......# #.....# ...#... #.....# ......#",
    "#.....# ...#... ..#.... ......# ####### ......# #.....# ...#... #.....# ......#",
    "#.....# ...#... .#..... ......# .....#. ......# #.....# ..#.... #.....# .....#.",
    ".#...#. ...#... #...... #.....# .....#. #....#. .#...#. ..#.... .#...#. ....#..",
    "..###.. .#####. ####### .#####. .....#. .####.. ..###.. ..#.... ..###.. .###...",
)


class ScaledTanh(nn.Module):
    """The squashing function 1.7159 · tanh(2x/3), which is ±1 at ±1 (appendix A)."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(x * (2 / 3))


class SubSampling(nn.Module):
    """(N, maps, H, W) → (N, maps, H/2, W/2): sum of 2×2 inputs · coefficient + bias, both trained per map."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.sum = nn.AvgPool2d(2, divisor_override=1)
        self.coefficient = nn.Parameter(torch.full((maps, 1, 1), 0.25))  # starts as the mean
        self.bias = nn.Parameter(torch.zeros(maps, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.sum(x) * self.coefficient + self.bias


class SparseC3(nn.Module):
    """(N, 6, H, W) → (N, 16, H-4, W-4): each map sees the input maps of its row of C3_TABLE alone.

    Every row is a group of its own: 6 of three input maps, 9 of four, one of all six, each repeated in
    the order of the table, so that only the published connections exist."""

    def __init__(self) -> None:
        super().__init__()
        self.of_three = nn.Conv2d(18, 6, 5, groups=6)
        self.of_four = nn.Conv2d(36, 9, 5, groups=9)
        self.of_six = nn.Conv2d(6, 1, 5)

    def forward(self, x: Tensor) -> Tensor:
        threes = self.of_three(x[:, list(chain(*THREES))])
        fours = self.of_four(x[:, list(chain(*FOURS))])
        return torch.cat([threes, fours, self.of_six(x)], 1)


class EuclideanRbf(nn.Module):
    """(N, 84) → (N, num_classes): minus the squared distance to each class's fixed code of ±1.

    The paper's unit is the distance, and the smallest wins; with the sign the largest does, and softmax
    cross-entropy is the paper's discriminative loss, equation 9, without its rubbish class. Ten classes
    have the drawn digits as codes, other numbers fixed pseudo-random signs."""

    codes: Tensor  # (num_classes, 84)

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.register_buffer("codes", torch.tensor(class_codes(num_classes)))

    def forward(self, x: Tensor) -> Tensor:
        return -(x[:, None] - self.codes).square().sum(2)


def class_codes(num_classes: int) -> np.ndarray:
    """(num_classes, 84) float32 of ±1, the same at every call: 7 × 12 bitmaps row by row, ink = 1."""
    if num_classes != 10:
        signs = np.random.default_rng(1998).integers(0, 2, (num_classes, 84))
        return (2 * signs - 1).astype(np.float32)
    columns = [row.split() for row in DIGITS]
    bitmaps = ["".join(row[digit] for row in columns) for digit in range(10)]
    return np.array([[1 if pixel == "#" else -1 for pixel in bitmap] for bitmap in bitmaps], np.float32)


class LeNet5Original(nn.Module):
    """(N, 1, 32, 32) → (N, num_classes) answers, minus squared distances: the largest wins."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, 5)
        self.squash1 = ScaledTanh()
        self.s2 = SubSampling(6)
        self.squash2 = ScaledTanh()
        self.c3 = SparseC3()
        self.squash3 = ScaledTanh()
        self.s4 = SubSampling(16)
        self.squash4 = ScaledTanh()
        self.c5 = nn.Conv2d(16, 120, 5)
        self.squash5 = ScaledTanh()
        self.f6 = nn.Linear(120, 84)
        self.squash6 = ScaledTanh()
        self.output = EuclideanRbf(num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                _initialise(module)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squash2(self.s2(self.squash1(self.c1(x))))
        x = self.squash4(self.s4(self.squash3(self.c3(x))))
        x = self.squash5(self.c5(x)).flatten(1)
        return self.output(self.squash6(self.f6(x)))


def _initialise(layer: nn.Conv2d | nn.Linear) -> None:
    """Weights uniform in ±2.4 / fan-in (appendix A), biases zero."""
    bound = 2.4 / layer.weight[0].numel()
    nn.init.uniform_(layer.weight, -bound, bound)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
