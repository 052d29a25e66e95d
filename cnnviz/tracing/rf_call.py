"""One executed ATen operation, as the receptive-field rules see it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from cnnviz.tracing.rf_intervals import Axis
from cnnviz.tracing.rf_tensor import AxisMap, Shape, TensorField, map_axes


@dataclass(frozen=True, slots=True)
class AtenCall:
    """One executed operation. `args`: by the schema's names, defaults filled in. `source`, `shape`: field
    and shape of the main input. `outputs`: shapes. `field_of`: field of any tensor, None if it does not
    depend on the image."""

    name: str
    args: dict[str, Any]
    source: TensorField
    shape: Shape
    outputs: list[Shape]
    field_of: Callable[[Tensor], TensorField | None]

    @property
    def rank(self) -> int:
        """Number of spatial dimensions of the operation, the 2 of `avg_pool2d`."""
        found = re.search(r"(\d)d", self.name)
        return int(found[1]) if found else 2

    def spatial(self, how: Callable[[Axis, int, int], Axis], rank: int | None = None) -> TensorField:
        """Apply how(axis, i, count) to each axis along the i-th of the last `rank` dimensions, giving
        `count` units."""
        first = len(self.shape) - (self.rank if rank is None else rank)

        def apply(axis: Axis, dim: int) -> tuple[Axis, int | None]:
            return (axis, dim) if dim < first else (how(axis, dim - first, self.outputs[0][dim]), dim)

        return map_axes(self.source, apply)

    def along(self, dim: int, how: AxisMap, shift: int = 0) -> TensorField:
        """Apply `how` to the axis along `dim`; later dimensions move by `shift`."""
        dim %= max(len(self.shape), 1)
        return map_axes(self.source, lambda a, d: how(a, d) if d == dim else (a, d + shift * (d > dim)))


Rule = Callable[[AtenCall], TensorField | list[TensorField]]
