"""Receptive-field rules of ATen operations: convolution, pooling, padding, resizing, reductions, norms.

A rule reads an `AtenCall` (one executed ATen operation) and returns the field of its output. An operation
without a rule mixes everything: its output sees all that any input sees. So a field may be too large
for an exotic operation, never too small."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from cnnviz.tracing import rf_intervals
from cnnviz.tracing.rf_call import AtenCall, Rule
from cnnviz.tracing.rf_intervals import Axis, collapse_axis, gather, merge
from cnnviz.tracing.rf_layout_rules import choose, concatenate, flip, permute, roll, select, split, take, unbind, view
from cnnviz.tracing.rf_tensor import TensorField, collapse, map_axes


def _nth(values: Any, index: int, default: int = 1) -> int:
    if isinstance(values, int):
        return values
    return default if not values else values[index] if len(values) > 1 else values[0]


def convolution(call: AtenCall) -> TensorField:
    args, kernel = call.args, call.args["weight"].shape[2:]
    how = rf_intervals.transposed_windows if args["transposed"] else rf_intervals.windows

    def apply(axis: Axis, i: int, count: int) -> Axis:
        stride, padding, dilation = (_nth(args[key], i) for key in ("stride", "padding", "dilation"))
        return how(axis, count, kernel[i], stride, padding, dilation)

    field, channels = call.spatial(apply, len(kernel)), len(call.shape) - len(kernel) - 1
    return map_axes(field, lambda a, d: (collapse_axis(a), None) if d == channels else (a, d))


def pool(call: AtenCall) -> TensorField:
    def apply(axis: Axis, i: int, count: int) -> Axis:
        kernel = _nth(call.args["kernel_size"], i)
        stride = _nth(call.args.get("stride"), i, kernel)
        dilation = _nth(call.args.get("dilation"), i)
        return rf_intervals.windows(axis, count, kernel, stride, _nth(call.args.get("padding"), i, 0), dilation)

    return call.spatial(apply)


def adaptive_pool(call: AtenCall) -> TensorField:
    return call.spatial(lambda axis, _i, count: rf_intervals.adaptive_windows(axis, count))


def upsample(call: AtenCall) -> TensorField:
    mode = {"bilinear": "linear", "bicubic": "cubic", "nearest": "nearest", "linear": "linear"}
    kind = re.sub(r"\d?d$", "", call.name.removeprefix("_").removeprefix("upsample_"))
    corners, rank = bool(call.args.get("align_corners")), call.rank
    names = ["scales"] if rank == 1 else ["scales_d", "scales_h", "scales_w"][-rank:]
    scales = [call.args.get(name) for name in names]

    def apply(axis: Axis, i: int, count: int) -> Axis:
        return rf_intervals.resize(axis, count, mode.get(kind, "nearest-exact"), corners, scales[i])

    return call.spatial(apply)


def shuffle_up(call: AtenCall) -> TensorField:
    factor = call.args["upscale_factor"]
    return call.spatial(lambda a, _i, n: gather(a, np.arange(n)[:, None] // factor, Fraction(1, factor)))


def shuffle_down(call: AtenCall) -> TensorField:
    factor = call.args["downscale_factor"]
    return call.spatial(lambda a, _i, n: rf_intervals.windows(a, n, factor, factor))


def pad(call: AtenCall) -> TensorField:
    widths: Sequence[int] = call.args["pad"] if "pad" in call.args else call.args["padding"]

    def apply(axis: Axis, dim: int) -> tuple[Axis, int]:
        place = 2 * (len(call.shape) - 1 - dim)
        if place >= len(widths):
            return axis, dim
        taps = np.arange(call.outputs[0][dim])[:, None] - widths[place]
        seen, last = None, len(axis) - 1
        if call.name.startswith("replication"):
            seen = np.clip(taps, 0, last)
        elif call.name.startswith("reflection"):
            seen = last - np.abs(last - np.abs(taps))
        return gather(axis, taps, 1, seen), dim

    return map_axes(call.source, apply)


def reduce(call: AtenCall) -> TensorField:
    """mean, sum, max, … over some dimensions, or all."""
    dims = call.args.get("dim")
    dims = [dims] if isinstance(dims, int) else dims
    rank = len(call.shape)
    gone = {d % rank for d in dims} if dims else set(range(rank))
    keep = bool(call.args.get("keepdim"))

    def shrink(axis: Axis, dim: int) -> tuple[Axis, int | None]:
        if dim in gone:
            return collapse_axis(axis), dim if keep else None
        return axis, dim if keep else dim - sum(d < dim for d in gone)

    return map_axes(call.source, shrink)


def mix(call: AtenCall) -> TensorField:
    """Softmax, cumulative sums and norms with their own statistics: shape kept, the dimensions that are
    normalised over see all of themselves."""
    rank = len(call.shape)
    if "norm" in call.name:
        plain = "batch_norm" in call.name and not call.args.get("training", False)
        first = rank - len(call.args["normalized_shape"]) if "normalized_shape" in call.args else 0
        over = set() if plain else set(range(first, rank))
    else:
        over = {call.args["dim"] % rank}
    return map_axes(call.source, lambda a, d: (merge([a, collapse_axis(a)]), d) if d in over else (a, d))


def matrix(call: AtenCall) -> TensorField:
    """Rows of a matrix times constant weights: the rows, pixels of a channels-last map, stay apart."""
    return call.source if call.source.folded else collapse(call.source)


_BY_NAME: dict[Rule, str] = {
    convolution: "convolution convolution_overrideable",
    pool: "max_pool1d max_pool2d max_pool3d max_pool2d_with_indices max_pool3d_with_indices avg_pool1d "
    "avg_pool2d avg_pool3d",
    adaptive_pool: "_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
    "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d",
    upsample: "upsample_nearest1d upsample_nearest2d _upsample_nearest_exact1d _upsample_nearest_exact2d "
    "upsample_linear1d upsample_bilinear2d upsample_bicubic2d",
    shuffle_up: "pixel_shuffle",
    shuffle_down: "pixel_unshuffle",
    pad: "constant_pad_nd reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d",
    concatenate: "cat stack",
    take: "slice",
    select: "select",
    unbind: "unbind",
    split: "split split_with_sizes unsafe_split chunk unsafe_chunk",
    flip: "flip",
    roll: "roll",
    choose: "index index_select",
    permute: "permute transpose t",
    view: "view _unsafe_view reshape _reshape_alias squeeze unsqueeze",
    reduce: "mean sum amax amin max min var std prod logsumexp linalg_vector_norm norm",
    mix: "_softmax _log_softmax cumsum native_batch_norm _native_batch_norm_legit cudnn_batch_norm "
    "miopen_batch_norm _native_batch_norm_legit_no_training _batch_norm_no_update native_group_norm "
    "native_layer_norm _fused_rms_norm",
    matrix: "addmm mm",
}
RULES: dict[str, Rule] = {name: rule for rule, names in _BY_NAME.items() for name in names.split()}
POINTWISE = set(
    "hardswish _prelu_kernel native_dropout alias detach clone contiguous _to_copy lift_fresh glu leaky_relu "
    "rrelu_with_noise channel_shuffle native_channel_shuffle expand repeat".split()
)  # elementwise, but not all PyTorch versions tag them so
FACTORIES = set(
    "new_empty new_zeros new_ones new_full zeros_like ones_like empty_like full_like rand_like randn_like "
    "zero fill new_empty_strided".split()
)  # take a shape from their input, no values
