"""Rules for operations that move elements without mixing them: slices, concatenation, permutation, views."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np

from cnnviz.tracing.rf_call import AtenCall
from cnnviz.tracing.rf_intervals import Axis, collapse_axis, expand, gather, join, unseen_axis
from cnnviz.tracing.rf_tensor import Shape, TensorField, blend, collapse, map_axes, reshape


def concatenate(step: AtenCall) -> TensorField:
    stacked = step.name == "stack"
    tensors = [t for t in step.args["tensors"] if t.shape != (0,)]  # legacy empty tensors are skipped
    dim = step.args["dim"] % len(step.outputs[0])
    known = [(f, tuple(t.shape)) for t in tensors if (f := step.field_of(t)) is not None]
    if stacked:
        known = [(map_axes(f, lambda a, d: (a, d + (d >= dim))), (*s[:dim], 1, *s[dim:])) for f, s in known]
    shape = tuple(1 if d == dim else n for d, n in enumerate(step.outputs[0]))
    running = [map_axes(f, lambda a, d: (collapse_axis(a), None) if d == dim else (a, d)) for f, _ in known]
    merged = blend(running, [s for _, s in known], shape)
    if stacked or not any(dim in f.dims for f, _ in known):
        return merged
    which = next(f.dims.index(dim) for f, _ in known if dim in f.dims)
    lengths, limit = [t.shape[dim] for t in tensors], merged.axes[which].limit
    parts = [_part(step.field_of(t), which, dim, n, limit) for t, n in zip(tensors, lengths, strict=True)]
    other = 1 - which
    axes = (join(parts), merged.axes[other])
    dims = (dim, merged.dims[other])
    return TensorField(axes, dims) if which == 0 else TensorField(axes[::-1], dims[::-1])


def _part(field: TensorField | None, which: int, dim: int, length: int, limit: int) -> Axis:
    if field is None:
        return unseen_axis(length, limit)
    axis = field.axes[which]
    return axis if field.dims[which] == dim else expand(collapse(field).axes[which], length)


def take(step: AtenCall) -> TensorField:
    """Slices: every step-th index from start on."""
    dim = step.args["dim"] % len(step.shape)
    pace = step.args.get("step", 1)
    places = slice_places(step.args, step.shape)
    return step.along(dim, lambda axis, d: (gather(axis, places[:, None], pace), d))


def slice_places(args: dict[str, Any], shape: Shape) -> np.ndarray:
    """Indices along the sliced dimension that `aten::slice` keeps."""
    length = shape[args["dim"]]
    return np.arange(length)[slice(args.get("start"), args.get("end"), args.get("step", 1))]


def select(step: AtenCall) -> TensorField:
    index = step.args["index"]
    return step.along(step.args["dim"], lambda a, _d: (gather(a, np.array([[index % len(a)]]), 1), None), -1)


def unbind(step: AtenCall) -> list[TensorField]:
    def one(index: int) -> TensorField:
        return step.along(step.args["dim"], lambda a, _d: (gather(a, np.array([[index]]), 1), None), -1)

    return [one(index) for index in range(len(step.outputs))]


def split(step: AtenCall) -> list[TensorField]:
    dim = step.args["dim"] % len(step.shape)
    ends = list(accumulate(shape[dim] for shape in step.outputs))

    def part(start: int, end: int) -> TensorField:
        return step.along(dim, lambda axis, d: (gather(axis, np.arange(start, end)[:, None], 1), d))

    return [part(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def flip(step: AtenCall) -> TensorField:
    dims = {dim % len(step.shape) for dim in step.args["dims"]}

    def turn(axis: Axis, dim: int) -> tuple[Axis, int]:
        return (gather(axis, np.arange(len(axis))[::-1, None], -1), dim) if dim in dims else (axis, dim)

    return map_axes(step.source, turn)


def roll(step: AtenCall) -> TensorField:
    if not step.args["dims"]:
        return collapse(step.source)
    shifts = {d % len(step.shape): s for d, s in zip(step.args["dims"], step.args["shifts"], strict=True)}

    def turn(axis: Axis, dim: int) -> tuple[Axis, int]:
        taps = np.arange(len(axis))[:, None] - shifts.get(dim, 0)
        return gather(axis, taps, 1, seen=taps % len(axis)), dim

    return map_axes(step.source, turn)


def choose(step: AtenCall) -> TensorField:
    """index_select, and indexing with one vector of indices."""
    if step.name == "index_select":
        dim, index = step.args["dim"] % len(step.shape), step.args["index"]
    else:
        used = [(d, t) for d, t in enumerate(step.args["indices"]) if t is not None]
        if len(used) != 1 or used[0][1].ndim != 1 or used[0][1].is_floating_point():
            return collapse(step.source)
        dim, index = used[0]
    if dim not in step.source.dims:
        return step.source
    if "bool" in str(index.dtype) or "uint8" in str(index.dtype):
        return collapse(step.source)
    places = index.cpu().numpy() % step.shape[dim]
    return step.along(dim, lambda axis, d: (gather(axis, places[:, None], 1), d))


def permute(step: AtenCall) -> TensorField:
    rank = len(step.shape)
    if step.name == "permute":
        order = [d % rank for d in step.args["dims"]]
    else:
        named = (0, rank - 1) if step.name == "t" else (step.args["dim0"], step.args["dim1"])
        first, second = (dim % rank for dim in named)
        order = list(range(rank))
        order[first], order[second] = order[second], order[first]
    return map_axes(step.source, lambda axis, dim: (axis, order.index(dim)))


def view(step: AtenCall) -> TensorField:
    return reshape(step.source, step.shape, step.outputs[0])
