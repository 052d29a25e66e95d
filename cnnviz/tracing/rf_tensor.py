"""The receptive field of a whole tensor: one interval axis for rows, one for columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from cnnviz.tracing.rf_intervals import Axis, collapse_axis, expand, image_axis, merge, scatter, unseen_axis

Shape = tuple[int, ...]
Dims = tuple[int | None, int | None]


@dataclass(frozen=True, slots=True, eq=False)
class TensorField:
    """`axes`: (rows, columns). `dims`: the tensor's dimension along which each axis runs; None where it
    has none, then the axis is one unit that stands for every element. `folded`: (shape, field) of the
    tensor (…, channels) before its leading dimensions were merged into one, so that it can return."""

    axes: tuple[Axis, Axis]
    dims: Dims
    folded: tuple[Shape, TensorField] | None = None


AxisMap = Callable[[Axis, int], tuple[Axis, int | None]]


def image_field(shape: Shape) -> TensorField:
    """The network's input (N, C, H, W)."""
    return TensorField((image_axis(shape[-2]), image_axis(shape[-1])), (len(shape) - 2, len(shape) - 1))


def map_axes(field: TensorField, how: AxisMap) -> TensorField:
    """`field` with (axis, dim) → how(axis, dim) for each axis that runs along a dimension."""
    pairs = [(axis, dim) if dim is None else how(axis, dim) for axis, dim in zip(field.axes, field.dims, strict=True)]
    return _of(pairs)


def _of(pairs: Sequence[tuple[Axis, int | None]]) -> TensorField:
    (rows, row_dim), (cols, col_dim) = pairs
    return TensorField((rows, cols), (row_dim, col_dim))


def collapse(field: TensorField) -> TensorField:
    """Every element sees all that any element sees."""
    return map_axes(field, lambda axis, _dim: (collapse_axis(axis), None))


def blend(fields: Sequence[TensorField], shapes: Sequence[Shape], shape: Shape) -> TensorField:
    """Elementwise combination of tensors of `shapes`, broadcast to `shape`, as for a sum."""
    if len(fields) == 1 and fields[0].folded and shapes[0][:-1] == shape[:-1]:
        return fields[0]
    pairs = []
    for which in (0, 1):
        places = [_broadcast(f.dims[which], s, shape) for f, s in zip(fields, shapes, strict=True)]
        pairs.append(_blend_axis([f.axes[which] for f in fields], places, shape))
    return _of(pairs)


def _broadcast(dim: int | None, before: Shape, after: Shape) -> int | None:
    """The dimension of `after` in which dimension `dim` of `before` lies, counted from the last one."""
    return None if dim is None else dim + len(after) - len(before)


def _blend_axis(axes: list[Axis], places: list[int | None], shape: Shape) -> tuple[Axis, int | None]:
    found = {place for place in places if place is not None}
    if len(found) > 1:  # one map is the transpose of another: no common layout
        return merge([collapse_axis(axis) for axis in axes]), None
    place = found.pop() if found else None
    merged = merge(axes)
    return (merged, None) if place is None else (expand(merged, shape[place]), place)


def unite(fields: Sequence[TensorField]) -> TensorField:
    """Every element sees all that any of `fields` sees."""
    flat = [collapse(field) for field in fields]
    return TensorField((merge([f.axes[0] for f in flat]), merge([f.axes[1] for f in flat])), (None, None))


def fit(field: TensorField, shape: Shape) -> TensorField:
    """`field`, collapsed along each axis that does not match a tensor of `shape`."""

    def check(axis: Axis, dim: int) -> tuple[Axis, int | None]:
        good = dim < len(shape) and shape[dim] == len(axis)
        return (axis, dim) if good else (collapse_axis(axis), None)

    return field if field.folded else map_axes(field, check)


def over_map(field: TensorField, shape: Shape) -> TensorField:
    """The field of a layer's map of `shape` (rows, columns) where it has lost both axes: every unit sees the same, as
    tokens do behind attention. Any other field as it is."""
    if field.dims != (None, None) or not all(shape):
        return field
    return TensorField((expand(field.axes[0], shape[0]), expand(field.axes[1], shape[1])), field.dims)


def reshape(field: TensorField, before: Shape, after: Shape) -> TensorField:
    """A view from shape `before` to `after`. An axis survives where its dimension does; merged leading
    dimensions are remembered, so that a linear layer on (N, H, W, C) is followed."""
    if field.folded and after[:-1] == field.folded[0]:
        return field.folded[1]

    def move(axis: Axis, dim: int) -> tuple[Axis, int | None]:
        tail = prod(before[dim + 1 :])
        same = [d for d, n in enumerate(after) if n == len(axis) and prod(after[d + 1 :]) == tail]
        if not same:
            return collapse_axis(axis), None
        from_end = dim - len(before)  # dimensions of length 1 are ambiguous: prefer the old place
        return axis, min(same, key=lambda d: abs(d - len(after) - from_end))

    moved = map_axes(field, move)
    if moved.dims[0] is not None and moved.dims[0] == moved.dims[1]:
        moved = TensorField(moved.axes, (None, moved.dims[1])) if len(moved.axes[0]) == 1 else collapse(moved)
    lost = None in moved.dims and None not in field.dims
    if lost and len(before) > 2 and before[-1] == after[-1] and len(before) - 1 not in field.dims:
        return replace(collapse(field), folded=(before[:-1], field))
    return moved


def write_slice(
    parent: TensorField | None, shape: Shape, dim: int | None, places: np.ndarray, new: TensorField
) -> TensorField:
    """Field of a tensor of `shape` after `new` was stored in its slice `places` of dimension `dim`
    (None: all of it). What the tensor saw before is kept, so nothing is ever missed."""
    if parent is None:
        empty = [
            (unseen_axis(1 if d is None else shape[d], axis.limit), d)
            for axis, d in zip(new.axes, new.dims, strict=True)
        ]
        parent = _of(empty)
    if parent.dims != new.dims:
        return blend([parent, collapse(new)], [shape, ()], shape)
    pairs = []
    for old, fresh, at in zip(parent.axes, new.axes, parent.dims, strict=True):
        where = places if at is not None and at == dim else np.arange(len(old))
        pairs.append((scatter(old, where, fresh), at))
    return _of(pairs)
