"""Receptive-field rules of ATen operations: convolution, pooling, padding, resizing, reductions, norms, products.

A rule reads an `AtenCall` (one executed ATen operation) and returns the field of its output. An operation
without a rule mixes everything: its output sees all that any input sees. So a field may be too large
for an exotic operation, never too small. What only moves elements needs no rule here: see `rf_moves`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from cnnviz.tracing import rf_intervals
from cnnviz.tracing.rf_call import AtenCall, Rule, find_tensors
from cnnviz.tracing.rf_intervals import Axis, collapse_axis, gather, merge
from cnnviz.tracing.rf_moves import MOVES, join_shapes, move
from cnnviz.tracing.rf_tensor import Shape, TensorField, blend, unite


def _nth(values: Any, index: int, default: int = 1) -> int:
    if isinstance(values, int):
        return values
    return default if not values else values[index] if len(values) > 1 else values[0]


def convolution(call: AtenCall) -> TensorField:
    args, weight = call.args, call.args["weight"].shape
    kernel, groups, transposed = weight[2:], args["groups"], args["transposed"]
    how = rf_intervals.transposed_windows if transposed else rf_intervals.windows
    channels = len(call.source.shape) - len(kernel) - 1

    def apply(axis: Axis, i: int, count: int, dim: int, length: int) -> Axis:
        stride, padding, dilation = (_nth(args[key], i) for key in ("stride", "padding", "dilation"))
        return how(axis, count, kernel[i], stride, padding, dilation, dim=dim, length=length)

    field = call.spatial(apply, len(kernel))
    inputs, outputs = call.source.shape[channels], call.outputs[0][channels]
    return field.map(lambda axis: _over_channels(axis, channels, inputs, outputs, groups))


def _over_channels(axis: Axis, dim: int, inputs: int, outputs: int, groups: int) -> Axis:
    """Each of `outputs` channels sees what those of its group of `inputs` see."""
    if groups == 1:
        return collapse_axis(axis, [dim])
    if axis.low.shape[dim] == 1:
        return axis
    united = gather(axis, np.arange(inputs).reshape(groups, -1), 0, dim=dim)
    return gather(united, np.arange(outputs)[:, None] // (outputs // groups), 0, dim=dim)


def pool(call: AtenCall) -> TensorField:
    def apply(axis: Axis, i: int, count: int, dim: int, length: int) -> Axis:
        kernel = _nth(call.args["kernel_size"], i)
        stride, padding = _nth(call.args.get("stride"), i, kernel), _nth(call.args.get("padding"), i, 0)
        dilation = _nth(call.args.get("dilation"), i)
        return rf_intervals.windows(axis, count, kernel, stride, padding, dilation, dim=dim, length=length)

    return call.spatial(apply)


def adaptive_pool(call: AtenCall) -> TensorField:
    return call.spatial(lambda axis, _i, count, dim, n: rf_intervals.adaptive_windows(axis, count, dim, n))


def upsample(call: AtenCall) -> TensorField:
    mode = "cubic" if "cubic" in call.name else "linear"
    corners, rank = bool(call.args.get("align_corners")), call.rank
    names = ["scales"] if rank == 1 else ["scales_d", "scales_h", "scales_w"][-rank:]
    scales = [call.args.get(name) for name in names]

    def apply(axis: Axis, i: int, count: int, dim: int, length: int) -> Axis:
        return rf_intervals.resize(axis, count, mode, corners, scales[i], dim, length)

    return call.spatial(apply)


def pad(call: AtenCall) -> TensorField:
    """With a constant: what is beyond the border counts for the field that may leave the image."""
    widths: Sequence[int] = call.args["pad"]

    def apply(axis: Axis, i: int, count: int, dim: int, length: int) -> Axis:
        place = 2 * (len(call.outputs[0]) - 1 - dim)
        if place >= len(widths):
            return axis
        return gather(axis, np.arange(count)[:, None] - widths[place], 1, dim=dim, length=length)

    return call.spatial(apply, len(call.outputs[0]))


def _find_dims(call: AtenCall) -> set[int]:
    """The dimensions that are summed over or sorted, all if none is named."""
    dims, rank = call.args.get("dim"), len(call.source.shape)
    dims = [dims] if isinstance(dims, int) else dims
    return {d % rank for d in dims} if dims and rank else set(range(rank))


def reduce(call: AtenCall) -> TensorField:
    """mean, sum, max, … over some dimensions, or all."""
    gone = _find_dims(call)
    keep = bool(call.args.get("keepdim")) or len(call.outputs[0]) == len(call.source.shape)

    def shrink(axis: Axis) -> Axis:
        axis = collapse_axis(axis, gone)
        if keep:
            return axis
        dim = None if axis.dim is None else axis.dim - sum(d < axis.dim for d in gone)
        return axis.map_bounds(lambda bound: bound.squeeze(tuple(gone)), dim)

    return call.source.map(shrink, call.outputs[0])


def mix(call: AtenCall) -> TensorField:
    """Softmax, sorting, and norms with their own statistics: each element sees all in line with it along the
    dimensions that are normalised over."""
    shape = call.source.shape
    rank = len(shape)
    if "group_norm" in call.name:
        return call.source.map(lambda a: _in_groups(a, rank, shape[1], call.args["group"]))
    if "batch_norm" in call.name:
        over = (
            {d for d in range(rank) if d != 1} if call.args.get("training", "no_training" not in call.name) else set()
        )
        over = set() if call.name == "_batch_norm_no_update" else over
    elif "normalized_shape" in call.args:
        over = set(range(rank - len(call.args["normalized_shape"]), rank))
    else:
        over = _find_dims(call)
    return call.source.map(lambda axis: merge([axis, collapse_axis(axis, over)]) if over else axis)


def _in_groups(axis: Axis, rank: int, channels: int, groups: int) -> Axis:
    whole = collapse_axis(axis, range(2, rank))
    return merge([axis, _over_channels(whole, 1, channels, channels, groups)])


def take_most(call: AtenCall) -> TensorField:
    """The k largest, each of which sees all of its line."""
    dims = _find_dims(call)
    return call.source.map(lambda axis: collapse_axis(axis, dims), call.outputs[0])


def accumulate(call: AtenCall) -> TensorField:
    """Running sums, products and extremes: each element sees those before it."""
    (dim,) = _find_dims(call) or (0,)

    def run(axis: Axis) -> Axis:
        ends = (np.minimum, np.maximum) * 2
        low, high, free_low, free_high = (end.accumulate(b, axis=dim) for end, b in zip(ends, axis.bounds, strict=True))
        return Axis(low, high, free_low, free_high, axis.step, axis.limit, axis.dim)

    return call.source.map(run) if call.source.shape else call.source


def halve(call: AtenCall) -> TensorField:
    """Gated linear unit: the first half of the channels times the second."""
    dim, half = call.args["dim"] % len(call.source.shape), call.outputs[0][call.args["dim"]]
    taps = np.arange(half)[:, None] + [0, half]
    return call.source.map(lambda axis: gather(axis, taps, 1, dim=dim, length=2 * half), call.outputs[0])


def copy(call: AtenCall) -> TensorField | list[TensorField | None]:
    """What is written replaces what was there."""
    value = call.field_of(call.args["src" if call.name == "copy" else "value"])
    return [None] if value is None else blend([value], call.outputs[0])


def put(call: AtenCall) -> TensorField | list[TensorField | None] | None:
    """x[mask] = value, for a mask as large as x and a single value, is elementwise; else a move."""
    tensors = list(find_tensors(call.args.values()))
    indices, values = call.args["indices"], call.args["values"]
    if len(indices) == 1 and tuple(indices[0].shape) == call.outputs[0] and values.numel() == 1:
        wide = not indices[0].is_floating_point() and indices[0].element_size() == 1
        if wide and not any(f.shape not in (call.outputs[0], ()) for t in tensors if (f := call.field_of(t))):
            return blend([f for _, f in call.inputs], call.outputs[0])
    return move(call)


def matrix(call: AtenCall) -> TensorField | None:
    """A product of matrices or of stacks of them. One with constants, as in a linear layer, whose sums run along rows
    or columns of the image has no rule."""
    names = {
        "addmm": ("mat1", "mat2"),
        "baddbmm": ("batch1", "batch2"),
        "mm": ("self", "mat2"),
        "bmm": ("self", "mat2"),
    }
    left, right = (call.field_of(call.args[key]) for key in names[call.name])
    parts = []
    for field, dim in ((left, -1), (right, -2)):
        if field is None:
            continue
        over = len(field.shape) + dim
        if None in (left, right) and any(axis.dim == over for axis in field.axes):
            return None
        parts.append(field.map(partial(collapse_axis, dims=[over]), _shorten(field.shape, over)))
    if call.name in ("addmm", "baddbmm") and (bias := call.field_of(call.args["self"])) is not None:
        parts.append(bias)
    return blend(parts, call.outputs[0])


def _shorten(shape: Shape, dim: int) -> Shape:
    return (*shape[:dim], 1, *shape[dim + 1 :])


def attend(call: AtenCall) -> TensorField | None:
    """Scaled dot-product attention (…, tokens, features): each token sees its query and all keys and values."""
    tensors = list(find_tensors(call.args.values()))
    if any(t.ndim != 4 or t.shape[:2] != tensors[0].shape[:2] for t in tensors[:3]) or call.outputs[0][-2] == 0:
        return None
    parts = []
    for i, tensor in enumerate(tensors):
        if (field := call.field_of(tensor)) is None:
            continue
        rank = len(field.shape)
        over = [rank - 1] if i == 0 else [rank - 2, rank - 1]
        shape = _shorten(_shorten(field.shape, over[0]), over[-1])
        parts.append(field.map(partial(collapse_axis, dims=over), shape))
    return blend(parts, call.outputs[0])


_BY_NAME: dict[Rule, str] = {
    convolution: "convolution convolution_overrideable",
    pool: "max_pool1d max_pool2d max_pool3d max_pool2d_with_indices max_pool3d_with_indices avg_pool1d "
    "avg_pool2d avg_pool3d",
    adaptive_pool: "_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
    "adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d",
    upsample: "upsample_linear1d upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d",
    pad: "constant_pad_nd",
    reduce: "mean sum amax amin max min var std prod logsumexp linalg_vector_norm norm any all argmax argmin median "
    "nanmedian mode kthvalue var_mean std_mean aminmax nansum nanmean count_nonzero",
    mix: "_softmax _log_softmax _safe_softmax sort argsort native_batch_norm _native_batch_norm_legit cudnn_batch_norm "
    "miopen_batch_norm _native_batch_norm_legit_no_training _batch_norm_no_update _batch_norm_with_update "
    "native_group_norm native_layer_norm _fused_rms_norm",
    take_most: "topk",
    accumulate: "cumsum cumprod cummax cummin logcumsumexp _cummax_helper _cummin_helper",
    halve: "glu",
}  # rules of the first tensor alone: what the others see is added for every element
_BY_NAME_JOINT: dict[Rule, str] = {
    copy: "copy",
    put: "index_put _index_put_impl _unsafe_index_put",
    matrix: "addmm mm bmm baddbmm",
    attend: "_scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_flash_attention "
    "_scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention "
    "_scaled_dot_product_fused_attention_overrideable _scaled_dot_product_attention_math",
    move: " ".join(MOVES - {"index_put"}),
}  # rules of all tensors
SINGLE: dict[str, Rule] = {name: rule for rule, names in _BY_NAME.items() for name in names.split()}
JOINT: dict[str, Rule] = {name: rule for rule, names in _BY_NAME_JOINT.items() for name in names.split()}
POINTWISE = frozenset(
    "hardswish _prelu_kernel native_dropout detach clone contiguous _to_copy lift_fresh leaky_relu "
    "rrelu_with_noise".split()
)  # elementwise, but not all PyTorch versions tag them so
FACTORIES = frozenset(
    "new_empty new_zeros new_ones new_full zeros_like ones_like empty_like full_like rand_like randn_like "
    "randint_like zero new_empty_strided".split()
)  # take a shape from their input, no values


def find_fields(call: AtenCall, pointwise: bool) -> list[TensorField | None]:
    """The field of each output of an operation that reads the image; `pointwise`: it is said to be elementwise."""
    if call.name in FACTORIES:
        return [None for _ in call.outputs]
    found = _apply_rule(call, pointwise)
    if isinstance(found, list):
        return [
            f if f is None or _fits(f, shape) else _mix_all(call, shape)
            for f, shape in zip(found, call.outputs, strict=True)
        ]
    return [found if found is not None and _fits(found, shape) else _mix_all(call, shape) for shape in call.outputs]


def _apply_rule(call: AtenCall, pointwise: bool) -> TensorField | list[TensorField | None] | None:
    if pointwise and _is_elementwise(call):
        return blend([f for _, f in call.inputs], call.outputs[0])
    if call.name == "fill":
        return copy(call) if "value" in call.args and call.inputs and _is_tensor(call.args["value"]) else [None]
    if call.name in JOINT:
        return JOINT[call.name](call)
    return _add_others(call, SINGLE[call.name]) if call.name in SINGLE else None


def _mix_all(call: AtenCall, shape: Shape) -> TensorField | None:
    """The field of an output without a rule: all that any input sees; None of an output without elements."""
    return unite([f for _, f in call.inputs], shape) if 0 not in shape else None


def _is_tensor(value: Any) -> bool:
    return bool(list(find_tensors([value])))


def _add_others(call: AtenCall, rule: Rule) -> TensorField | list[TensorField | None] | None:
    main = next(find_tensors(call.args.values()))
    if call.field_of(main) is None:
        return None
    result = rule(call)
    others = [field for tensor, field in call.inputs if tensor is not main]
    if not others or not isinstance(result, TensorField):
        return result
    return blend([result, unite(others, ())], result.shape)


def _is_elementwise(call: AtenCall) -> bool:
    shapes: list[Shape] = [tuple(tensor.shape) for tensor in find_tensors(call.args.values())]
    joined = join_shapes(shapes)
    return all(shape == joined for shape in call.outputs)


def _fits(field: TensorField, shape: Shape) -> bool:
    """Whether the arrays of the field belong to a tensor of `shape`."""
    sizes = {bound.shape for axis in field.axes for bound in axis.bounds}
    return field.shape == shape and all(
        len(size) == len(shape) and all(n in (1, whole) for n, whole in zip(size, shape, strict=True)) for size in sizes
    )
