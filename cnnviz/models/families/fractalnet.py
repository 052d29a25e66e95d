"""FractalNet: blocks of columns of different depth that meet in means, trained with drop-path.

Source: Larsson, Maire, Shakhnarovich, ICLR 2017 (arXiv:1605.07648); layer order of the authors' generator:
dropout before batch norm, and each column pooled before the last join of its block."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from cnnviz.data.preprocessing import CIFAR_MEAN, CIFAR_STD, Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.blocks import he_normal

WIDTHS, DROPOUTS = (64, 128, 256, 512, 512), (0.0, 0.1, 0.2, 0.3, 0.4)  # a block each
COLUMNS = 3


def _random() -> float:
    """Uniform in 0..1 from PyTorch's CPU generator, also under torch.device("meta")."""
    return float(torch.rand((), device="cpu"))


def _conv(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    """3×3 convolution without bias, dropout, batch norm, ReLU."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(conv=nn.Conv2d(inputs, outputs, 3, padding=1, bias=False))
    if dropout:
        layers["drop"] = nn.Dropout(dropout)
    layers["bn"] = nn.BatchNorm2d(outputs)
    layers["relu"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)


class Join(nn.Module):
    """Mean of the columns that meet here. In training each is dropped with probability `drop_path`, at
    least one is kept, and the mean is over those kept. Section 4, local drop-path."""

    def __init__(self, drop_path: float) -> None:
        super().__init__()
        self.drop_path = drop_path

    def forward(self, paths: list[Tensor]) -> Tensor:
        kept = self._draw(paths) if self.training else paths
        total = kept[0]
        for path in kept[1:]:
            total = total + path
        return total / len(kept)

    def _draw(self, paths: list[Tensor]) -> list[Tensor]:
        kept = [path for path in paths if _random() >= self.drop_path]
        return kept or [paths[int(_random() * len(paths))]]

    def extra_repr(self) -> str:
        return f"drop_path={self.drop_path}"


class FractalBlock(nn.Module):
    """`COLUMNS` columns of 1, 2, 4, … convolutions: (N, inputs, H, W) → (N, outputs, H/2, W/2).

    Column c ends a convolution at every 2^(COLUMNS − 1 − c)-th of the depths; where several end, they
    join, and each goes on from the mean."""

    def __init__(self, inputs: int, outputs: int, dropout: float, drop_path: float) -> None:
        super().__init__()
        self.columns = nn.ModuleList(
            nn.ModuleList(_conv(outputs if i else inputs, outputs, dropout) for i in range(2**c))
            for c in range(COLUMNS)
        )  # shallowest first
        self.pools = nn.ModuleList(nn.MaxPool2d(2) for _ in range(COLUMNS))
        self.joins = nn.ModuleDict({str(depth): Join(drop_path) for depth in range(2, self.depth + 1, 2)})

    @property
    def depth(self) -> int:
        """Convolutions of the deepest column."""
        return 2 ** (COLUMNS - 1)

    def _column(self, number: int) -> nn.ModuleList:
        layers = self.columns[number]
        assert isinstance(layers, nn.ModuleList)
        return layers

    def forward(self, x: Tensor, column: int | None = None) -> Tensor:
        """`column`: run this one alone; None: all of them with their joins."""
        if column is not None:
            for layer in self._column(column):
                x = layer(x)
            return self.pools[column](x)
        states = [x] * COLUMNS
        for depth in range(1, self.depth + 1):
            ending = [c for c in range(COLUMNS) if depth % (self.depth >> c) == 0]
            for c in ending:
                states[c] = self._column(c)[depth * 2**c // self.depth - 1](states[c])
                if depth == self.depth:
                    states[c] = self.pools[c](states[c])
            if len(ending) > 1:
                joined = self.joins[str(depth)]([states[c] for c in ending])
                states[ending[0] :] = [joined] * len(ending)
        return states[-1]


class FractalNet(nn.Module):
    """(N, 3, 32, 32) → (N, num_classes) logits; five blocks of three columns, 21 layers deep.

    In training each mini-batch goes, with probability `global_share`, through one column throughout
    (global drop-path), else through joins that drop paths with probability `drop_path` (local). In
    evaluation all columns run and every join is a plain mean."""

    def __init__(self, num_classes: int = 10, *, drop_path: float = 0.15, global_share: float = 0.5) -> None:
        super().__init__()
        self.global_share = global_share
        self.blocks = nn.ModuleList(
            FractalBlock(inputs, outputs, dropout, drop_path)
            for inputs, outputs, dropout in zip((3, *WIDTHS), WIDTHS, DROPOUTS, strict=False)
        )
        self.fc = nn.Linear(WIDTHS[-1], num_classes)
        he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        column = self._draw_column() if self.training else None
        for block in self.blocks:
            x = block(x, column)
        return self.fc(x.flatten(1))

    def _draw_column(self) -> int | None:
        return int(_random() * COLUMNS) if _random() < self.global_share else None


add(
    Architecture(
        name="fractalnet_c3b5",
        title="FractalNet, 3 columns, 5 blocks",
        family="FractalNet",
        builder=FractalNet,
        preprocessing=Preprocessing((32, 32), mean=CIFAR_MEAN, std=CIFAR_STD),
        classes=10,
        labels="cifar10",
        source="Larsson et al., ICLR 2017; the authors' generator",
        year=2017,
        published="10.18 % error, CIFAR-10; 5.22 % with shifts and flips; 7.33 % and 4.60 % with drop-path and dropout",
        note="33.7 M parameters, as the authors' generator gives; tables that quote 38.6 M are not reproduced by it.",
    )
)
