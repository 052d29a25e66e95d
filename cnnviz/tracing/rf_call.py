"""One executed ATen operation, as the receptive-field rules see it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from cnnviz.tracing.rf_intervals import Axis
from cnnviz.tracing.rf_tensor import Shape, TensorField


@dataclass(frozen=True, slots=True)
class AtenCall:
    """One executed operation. `func`: it, in the form that returns a new tensor. `args`: by the schema's names,
    defaults filled in. `inputs`: its tensors that depend on the image, with their fields. `outputs`: shapes.
    `field_of`: field of any tensor, None if it does not depend on the image."""

    func: Any
    name: str
    args: dict[str, Any]
    inputs: Sequence[tuple[Tensor, TensorField]]
    outputs: Sequence[Shape]
    field_of: Callable[[Tensor], TensorField | None]

    @property
    def source(self) -> TensorField:
        """The field of the main input: the first tensor argument."""
        found = self.field_of(next(find_tensors(self.args.values())))
        assert found is not None
        return found

    @property
    def rank(self) -> int:
        """Number of spatial dimensions of the operation, the 2 of `avg_pool2d`."""
        found = re.search(r"(\d)d", self.name)
        return int(found[1]) if found else 2

    def spatial(self, how: Callable[..., Axis], rank: int | None = None) -> TensorField:
        """The main input's field after how(axis, i, count, dim, length) for each of the last `rank` dimensions, the
        i-th: `dim`, of `length` units before and `count` after."""
        source, shape = self.source, self.outputs[0]
        count = self.rank if rank is None else rank

        def apply(axis: Axis) -> Axis:
            for i, dim in enumerate(range(len(shape) - count, len(shape))):
                axis = how(axis, i, shape[dim], dim, source.shape[dim])
            return axis

        return source.map(apply, shape)


Rule = Callable[[AtenCall], TensorField | list[TensorField | None] | None]
"""The field of all outputs, or of each; None if the call is one that the rule does not cover."""


def find_tensors(values: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists and dicts, in order."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list | dict):
            yield from find_tensors(value.values() if isinstance(value, dict) else value)
