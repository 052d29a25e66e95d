"""Receptive-field rule of operations that only move elements: the operation itself is run on the elements' numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnnviz.tracing.rf_call import AtenCall, find_tensors
from cnnviz.tracing.rf_intervals import Axis
from cnnviz.tracing.rf_table import FieldTable
from cnnviz.tracing.rf_tensor import Shape, TensorField

MOVES = frozenset(
    "cat stack hstack vstack dstack concat concatenate flip fliplr flipud roll rot90 repeat repeat_interleave tile "
    "index index_select gather take take_along_dim index_put index_copy index_fill scatter slice_scatter "
    "select_scatter diagonal_scatter as_strided_scatter pixel_shuffle pixel_unshuffle channel_shuffle "
    "native_channel_shuffle im2col tril triu diag_embed diagonal_copy view_copy slice_copy select_copy permute_copy "
    "transpose_copy t_copy expand_copy squeeze_copy unsqueeze_copy unbind_copy split_copy split_with_sizes_copy "
    "unfold_copy as_strided_copy alias_copy detach_copy _reshape_copy split_with_sizes unsafe_split "
    "unsafe_split_with_sizes unsafe_chunk block_diag reflection_pad1d reflection_pad2d reflection_pad3d "
    "replication_pad1d replication_pad2d replication_pad3d upsample_nearest1d upsample_nearest2d upsample_nearest3d "
    "_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d".split()
)
_PLACES = ("index", "indices", "mask")  # arguments that say where to, and are not moved themselves


def move(call: AtenCall) -> TensorField | list[TensorField | None] | None:
    """Fields after a move. None if the image decides where to, if two elements go to one place (their order is not
    defined), or if the operation cannot be run on numbers."""
    if any(call.field_of(t) is not None for key in _PLACES for t in find_tensors([call.args.get(key)])):
        return None
    if call.args.get("accumulate") or call.args.get("reduce") or _collides(call):
        return None
    by_rows, by_cols = (_move_axis(call, which) for which in (0, 1))
    if by_rows is None or by_cols is None:
        return None
    return [
        TensorField(shape, (rows, cols)) if rows is not None and cols is not None else None
        for shape, rows, cols in zip(call.outputs, by_rows, by_cols, strict=True)
    ]


def _move_axis(call: AtenCall, which: int) -> list[Axis | None] | None:
    table, still = FieldTable(), _untouched_dims(call, which)

    def number(value: Any) -> Any:
        if isinstance(value, Tensor):
            field = call.field_of(value)
            shape = tuple(1 if d in still else n for d, n in enumerate(value.shape))
            if field is None:
                return torch.zeros(shape, dtype=torch.float64)
            return torch.from_numpy(table.add(field.axes[which], shape).astype(np.float64))
        if isinstance(value, list | tuple):
            return type(value)(number(v) for v in value)
        return value

    try:
        moved = call.func(**{k: _to_cpu(v) if k in _PLACES else number(v) for k, v in call.args.items()})
    except (RuntimeError, NotImplementedError, TypeError):  # places on the meta device, no kernel for numbers
        return None
    return [table.read(found.numpy().astype(np.int32)) for found in find_tensors([moved])]


def _to_cpu(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.cpu()
    return [_to_cpu(v) for v in value] if isinstance(value, list | tuple) else value


def _collides(call: AtenCall) -> bool:
    """Whether two elements may be written to one place."""
    if call.name not in ("index_put", "index_copy", "scatter"):
        return False
    shape = next(find_tensors(call.args.values())).shape
    hits = torch.zeros(shape)
    try:
        if call.name == "index_put":
            hits.index_put_(_to_cpu(call.args["indices"]), torch.ones(()), accumulate=True)
        elif call.name == "scatter":
            index = _to_cpu(call.args["index"])
            hits.scatter_add_(call.args["dim"], index, torch.ones(index.shape))
        else:
            index = _to_cpu(call.args["index"])
            return bool(index.unique().numel() < index.numel())
    except (RuntimeError, NotImplementedError):
        return True
    return bool((hits > 1).any())


def _untouched_dims(call: AtenCall, which: int) -> set[int]:
    """Dimensions along which nothing moves and all elements see the same: one of each is enough to be numbered."""
    acts = _ACTS.get(call.name)
    tensors = list(find_tensors([v for key, v in call.args.items() if key not in _PLACES]))
    ranks = {t.ndim for t in tensors}
    if acts is None or len(ranks) != 1 or call.outputs[0] is None:
        return set()
    rank = ranks.pop()
    moved = {dim % rank for dim in acts(call.args)}
    axes = [field.axes[which] for t in tensors if (field := call.field_of(t)) is not None]
    return {d for d in range(rank) if d not in moved and all(axis.low.shape[d] == 1 for axis in axes)}


_ACTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "cat": lambda args: [args["dim"]],
    "index_select": lambda args: [args["dim"]],
    "flip": lambda args: args["dims"],
    "roll": lambda args: args["dims"] or range(64),
}  # the dimensions along which these move


def join_shapes(shapes: list[Shape]) -> Shape | None:
    """The shape to which `shapes` broadcast, None if they do not."""
    try:
        return tuple(np.broadcast_shapes(*shapes))
    except ValueError:
        return None
