"""LeNet-5's C3: which of the six maps of S2 each of its sixteen maps sees, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnviz.studies.anatomy.anatomy import anatomy
from cnnviz.studies.convolution.cost import Cost, conv_cost

KERNEL, SIDE = 5, 14  # of C3's kernels, and of the maps of S2


@dataclass(frozen=True, slots=True)
class ConnectionTable:
    """`sees` (6, 16) bool: whether C3's map (column) reads S2's map (row). `parameters` (16,): of each map of C3, with
    its bias. `macs`: multiply-adds. `dense`: the cost if every map saw all six."""

    sees: np.ndarray
    parameters: np.ndarray
    macs: int
    dense: Cost

    @property
    def kernels(self) -> int:
        """Pairs of maps that are connected, each by a kernel of its own."""
        return int(self.sees.sum())


def c3_connections() -> ConnectionTable:
    """The table of the registered lenet5_1998, and its cost beside that of a dense convolution.

    Source: LeCun, Bottou, Bengio, Haffner, Proc. IEEE 86(11), 1998, section II.B, table I."""
    from cnnviz.models.families.lenet_1998 import C3_TABLE

    sees = np.zeros((6, len(C3_TABLE)), bool)
    for column, rows in enumerate(C3_TABLE):
        sees[list(rows), column] = True
    built = [row for row in anatomy("lenet5_1998").rows if row.block == "c3" and row.kind == "conv"]
    parameters = np.concatenate([np.full(row.output[0], row.parameters // row.output[0]) for row in built])
    dense = conv_cost(6, len(C3_TABLE), KERNEL, SIDE, SIDE, padding=0)
    return ConnectionTable(sees, parameters, sum(row.macs for row in built), dense)
