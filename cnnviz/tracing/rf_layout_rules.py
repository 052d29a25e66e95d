"""Receptive-field rules of operations that move elements: slices, concatenation, permutation, views."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np

from cnnviz.tracing.rf_call import AtenCall
from cnnviz.tracing.rf_intervals import Axis, collapse_axis, expand, gather, join, unseen_axis
from cnnviz.tracing.rf_tensor import Shape, TensorField, blend, collapse, map_axes, reshape


def concatenate(call: AtenCall) -> TensorField:
    stacked = call.name == "stack"
    tensors = [t for t in call.args["tensors"] if t.shape != (0,)]  # legacy empty tensors are skipped
    dim = call.args["dim"] % len(call.outputs[0])
    known = [(f, tuple(t.shape)) for t in tensors if (f := call.field_of(t)) is not None]
    if stacked:
        known = [(map_axes(f, lambda a, d: (a, d + (d >= dim))), (*s[:dim], 1, *s[dim:])) for f, s in known]
    shape = tuple(1 if d == dim else n for d, n in enumerate(call.outputs[0]))
    running = [map_axes(f, lambda a, d: (collapse_axis(a), None) if d == dim else (a, d)) for f, _ in known]
    merged = blend(running, [s for _, s in known], shape)
    if stacked or not any(dim in f.dims for f, _ in known):
        return merged
    which = next(f.dims.index(dim) for f, _ in known if dim in f.dims)
    lengths, limit = [t.shape[dim] for t in tensors], merged.axes[which].limit
    parts = [_part(call.field_of(t), which, dim, n, limit) for t, n in zip(tensors, lengths, strict=True)]
    other = 1 - which
    axes = (join(parts), merged.axes[other])
    dims = (dim, merged.dims[other])
    return TensorField(axes, dims) if which == 0 else TensorField(axes[::-1], dims[::-1])


def _part(field: TensorField | None, which: int, dim: int, length: int, limit: int) -> Axis:
    if field is None:
        return unseen_axis(length, limit)
    axis = field.axes[which]
    return axis if field.dims[which] == dim else expand(collapse(field).axes[which], length)


def take(call: AtenCall) -> TensorField:
    """Slices: every step-th index from start on."""
    dim = call.args["dim"] % len(call.shape)
    pace = call.args.get("step", 1)
    places = slice_places(call.args, call.shape)
    return call.along(dim, lambda axis, d: (gather(axis, places[:, None], pace), d))


def slice_places(args: dict[str, Any], shape: Shape) -> np.ndarray:
    """Indices along the sliced dimension that `aten::slice` keeps."""
    length = shape[args["dim"]]
    return np.arange(length)[slice(args.get("start"), args.get("end"), args.get("step", 1))]


def select(call: AtenCall) -> TensorField:
    index = call.args["index"]
    return call.along(call.args["dim"], lambda a, _d: (gather(a, np.array([[index % len(a)]]), 1), None), -1)


def unbind(call: AtenCall) -> list[TensorField]:
    def one(index: int) -> TensorField:
        return call.along(call.args["dim"], lambda a, _d: (gather(a, np.array([[index]]), 1), None), -1)

    return [one(index) for index in range(len(call.outputs))]


def split(call: AtenCall) -> list[TensorField]:
    dim = call.args["dim"] % len(call.shape)
    ends = list(accumulate(shape[dim] for shape in call.outputs))

    def part(start: int, end: int) -> TensorField:
        return call.along(dim, lambda axis, d: (gather(axis, np.arange(start, end)[:, None], 1), d))

    return [part(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def flip(call: AtenCall) -> TensorField:
    dims = {dim % len(call.shape) for dim in call.args["dims"]}

    def turn(axis: Axis, dim: int) -> tuple[Axis, int]:
        return (gather(axis, np.arange(len(axis))[::-1, None], -1), dim) if dim in dims else (axis, dim)

    return map_axes(call.source, turn)


def roll(call: AtenCall) -> TensorField:
    if not call.args["dims"]:
        return collapse(call.source)
    shifts = {d % len(call.shape): s for d, s in zip(call.args["dims"], call.args["shifts"], strict=True)}

    def turn(axis: Axis, dim: int) -> tuple[Axis, int]:
        taps = np.arange(len(axis))[:, None] - shifts.get(dim, 0)
        return gather(axis, taps, 1, seen=taps % len(axis)), dim

    return map_axes(call.source, turn)


def choose(call: AtenCall) -> TensorField:
    """index_select, and indexing with one vector of indices."""
    if call.name == "index_select":
        dim, index = call.args["dim"] % len(call.shape), call.args["index"]
    else:
        used = [(d, t) for d, t in enumerate(call.args["indices"]) if t is not None]
        if len(used) != 1 or used[0][1].ndim != 1 or used[0][1].is_floating_point():
            return collapse(call.source)
        dim, index = used[0]
    if dim not in call.source.dims:
        return call.source
    if "bool" in str(index.dtype) or "uint8" in str(index.dtype):
        return collapse(call.source)
    places = index.cpu().numpy() % call.shape[dim]
    return call.along(dim, lambda axis, d: (gather(axis, places[:, None], 1), d))


def permute(call: AtenCall) -> TensorField:
    rank = len(call.shape)
    if call.name == "permute":
        order = [d % rank for d in call.args["dims"]]
    else:
        named = (0, rank - 1) if call.name == "t" else (call.args["dim0"], call.args["dim1"])
        first, second = (dim % rank for dim in named)
        order = list(range(rank))
        order[first], order[second] = order[second], order[first]
    return map_axes(call.source, lambda axis, dim: (axis, order.index(dim)))


def view(call: AtenCall) -> TensorField:
    return reshape(call.source, call.shape, call.outputs[0])
