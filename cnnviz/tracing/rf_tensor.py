"""The receptive field of a whole tensor: which rows and which columns of the image each of its elements can see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cnnviz.tracing.rf_intervals import Axis, collapse_axis, image_axis, merge

Shape = tuple[int, ...]
AxisMap = Callable[[Axis], Axis]


@dataclass(frozen=True, slots=True, eq=False)
class TensorField:
    """`shape`: of the tensor. `axes`: the rows and the columns that its elements see; see `rf_intervals.Axis`."""

    shape: Shape
    axes: tuple[Axis, Axis]

    def map(self, how: AxisMap, shape: Shape | None = None) -> TensorField:
        """The field with `how` applied to both axes, of a tensor of `shape` (None: as before)."""
        rows, cols = self.axes
        return TensorField(self.shape if shape is None else shape, (how(rows), how(cols)))


def image_field(shape: Shape) -> TensorField:
    """The network's input (N, C, H, W)."""
    rank = len(shape)

    def along(dim: int) -> Axis:
        sizes = [shape[dim] if d == dim else 1 for d in range(rank)]
        return image_axis(shape[dim]).map_bounds(lambda bound: bound.reshape(sizes), dim)

    return TensorField(shape, (along(rank - 2), along(rank - 1)))


def blend(fields: Sequence[TensorField], shape: Shape) -> TensorField:
    """Elementwise combination of tensors, broadcast to `shape`, as for a sum."""
    placed = [_broadcast(field, shape) for field in fields]
    rows, cols = (merge([field.axes[which] for field in placed]) for which in (0, 1))
    return TensorField(shape, (rows, cols))


def _broadcast(field: TensorField, shape: Shape) -> TensorField:
    """`field` with leading dimensions of length 1 up to the rank of `shape`."""
    more = len(shape) - len(field.shape)

    def place(axis: Axis) -> Axis:
        dim = None if axis.dim is None else axis.dim + more
        if dim is not None and len(axis) == 1 and shape[dim] != 1:
            dim = None
        return axis.map_bounds(lambda bound: bound.reshape((1,) * more + bound.shape), dim)

    same = more == 0 and field.shape == shape
    return field if same else field.map(place, shape)


def unite(fields: Sequence[TensorField], shape: Shape) -> TensorField:
    """Every element of a tensor of `shape` sees all that any of `fields` sees."""
    flat = [TensorField((), field.map(collapse_axis).map(_drop_dims).axes) for field in fields]
    return blend(flat, shape)


def _drop_dims(axis: Axis) -> Axis:
    return axis.map_bounds(lambda bound: bound.reshape(()), None)
