"""GoogLeNet's table of costs with the cells that do not hold, its auxiliary heads, and two Inception modules."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cnnviz.studies.anatomy.anatomy import anatomy
from cnnviz.studies.anatomy.rows import Anatomy

K, M = 1024, 1e6  # what the table's "K" and "M" are
# block(s) of googlenet_2014 | row | parameters [K] | operations [M], both as printed in table 1
_PRINTED = """
conv1 | conv 7×7/2 | 2.7 | 34
conv2 conv3 | conv 1×1, 3×3 | 112 | 360
inception3a | 3a | 159 | 128
inception3b | 3b | 380 | 304
inception4a | 4a | 364 | 73
inception4b | 4b | 437 | 88
inception4c | 4c | 463 | 100
inception4d | 4d | 580 | 119
inception4e | 4e | 840 | 170
inception5a | 5a | 1072 | 54
inception5b | 5b | 1388 | 71
fc | linear | 1000 | 1
"""
TOLERANCE = 1.1  # in the last printed digit: rounded up, down, or with biases


@dataclass(frozen=True, slots=True)
class PrintedRow:
    """One row of GoogLeNet's table. `printed_k`, `printed_m`: parameters [1024] and operations [10⁶] as printed;
    `weights`: without, `parameters`: with biases; `macs`: multiply-adds."""

    name: str
    output: tuple[int, ...]
    printed_k: float
    printed_m: float
    weights: int
    parameters: int
    macs: int

    @property
    def wrong_parameters(self) -> bool:
        """The printed number is not that of the layer, whether or not biases count."""
        return not self.weights / K - TOLERANCE <= self.printed_k <= self.parameters / K + TOLERANCE

    @property
    def wrong_operations(self) -> bool:
        """The printed number is not the layer's multiply-adds, rounded."""
        return abs(self.macs / M - self.printed_m) > TOLERANCE


@dataclass(frozen=True, slots=True)
class AuxiliaryCost:
    """What the two auxiliary heads add in training. `heads`: parameters of the heads on 4a and on 4d."""

    without: int
    heads: tuple[int, int]

    @property
    def total(self) -> int:
        return self.without + sum(self.heads)


def googlenet_rows() -> tuple[PrintedRow, ...]:
    """Table 1 of Szegedy et al., CVPR 2015 (arXiv:1409.4842), beside the registered googlenet_2014."""
    blocks = {block.block: block for block in anatomy("googlenet_2014").blocks}
    made = []
    for line in _PRINTED.strip().splitlines():
        names, row, parameters, operations = (cell.strip() for cell in line.split("|"))
        own = [blocks[name] for name in names.split()]
        made.append(
            PrintedRow(
                row,
                own[-1].output,
                float(parameters),
                float(operations),
                weights=sum(block.weights for block in own),
                parameters=sum(block.parameters for block in own),
                macs=sum(block.macs for block in own),
            )
        )
    return tuple(made)


@lru_cache(maxsize=1)
def auxiliary_cost() -> AuxiliaryCost:
    """Parameters of the registered GoogLeNet without and in its auxiliary heads. Source: section 5."""
    import torch

    from cnnviz.models.families.googlenet import GoogLeNet

    with torch.device("meta"):
        net = GoogLeNet(aux=True)
    heads = [sum(p.numel() for p in head.parameters()) for head in (net.aux1, net.aux2) if head is not None]
    return AuxiliaryCost(sum(p.numel() for p in net.parameters()) - sum(heads), (heads[0], heads[1]))


@dataclass(frozen=True, slots=True)
class BranchCost:
    """One branch of a module: its layers in words, the channels it puts out, weights, and multiply-adds of each
    layer."""

    layers: tuple[str, ...]
    channels: int
    weights: int
    macs: tuple[int, ...]


def inception_branches(reduced: bool) -> tuple[BranchCost, ...]:
    """The four branches of the registered naive_inception or reduced_inception, on 28×28×256.

    Source: Szegedy et al., CVPR 2015, figure 2; widths of a common lecture example."""
    found = anatomy("reduced_inception" if reduced else "naive_inception")
    return tuple(_read_branch(found, f"branch{number}") for number in (1, 2, 3, 4))


def _read_branch(found: Anatomy, name: str) -> BranchCost:
    rows = [row for row in found.rows if row.layer.split(".")[0] == name and row.kind in ("conv", "pool")]
    macs = tuple(row.macs for row in rows if row.kind == "conv")
    return BranchCost(tuple(row.detail for row in rows), rows[-1].output[0], sum(row.weights for row in rows), macs)
