"""Which axis of a layer's output counts the images and which the channels, followed through one forward pass."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from cnnviz.models.output import walk_tensors
from cnnviz.models.state import NetworkCache


class Axes(NamedTuple):
    """Of a tensor with so many dimensions `ndim`: the axis that counts the images, and that of the channels."""

    images: int
    channels: int
    ndim: int


@dataclass(slots=True)
class PassRecord:
    """What one forward pass over one image tells of a network.

    `calls`: how often each sub-module ran. `axes`: of the output of each call, None where nothing told them.
    `order`: names of those that ran, as they ended for the last time: a block after its parts, with the shape of
    what they gave. `first`: names of those that were given something of the image, as they first ended.
    `reads`: whether the network looked at values on the way, so that another image may take another way through it."""

    calls: dict[str, int]
    axes: dict[str, list[Axes | None]]
    order: dict[str, tuple[int, ...]] = field(default_factory=dict)
    first: dict[str, None] = field(default_factory=dict)
    reads: bool = False


_CHANNELS_SECOND = frozenset(  # functions whose channels are axis 1, batch first
    "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d batch_norm group_norm instance_norm "
    "interpolate upsample pixel_shuffle pixel_unshuffle grid_sample local_response_norm lp_pool1d lp_pool2d".split()
)
_POOL = re.compile(r"(adaptive_)?(max|avg)_pool[123]d(_with_indices)?|fractional_max_pool[23]d|pad")
_CHANNELS_LAST = frozenset(
    "linear layer_norm rms_norm bilinear embedding matmul bmm baddbmm multi_head_attention_forward "
    "native_multi_head_attention".split()
)
_RECURRENT = frozenset("lstm gru rnn_tanh rnn_relu".split())
_READING = frozenset(
    "__bool__ __int__ __float__ __index__ item tolist nonzero numpy __contains__ equal allclose".split()
)
_MOVING = frozenset("permute transpose movedim moveaxis swapaxes swapdims t T mT".split())
_SHAPING = frozenset(
    "view reshape flatten unflatten unsqueeze squeeze getitem narrow select view_as expand repeat".split()
)
_NONE = frozenset("zeros_like ones_like empty_like rand_like randn_like full_like new_zeros new_ones new_empty".split())


class _AxesTracker(TorchFunctionMode):
    """Inside `with`, carries the axes of every tensor that depends on the image from operation to operation."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.axes: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self.axes[image] = Axes(0, 1, image.ndim)
        self.reads = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        name = str(getattr(func, "__name__", ""))
        if name == "__get__":  # a property: T, mT, real, data, …
            name = str(getattr(getattr(func, "__self__", None), "__name__", name))
        given = [tensor for tensor in walk_tensors([*args, *kwargs.values()]) if tensor in self.axes]
        before = [(tensor, self.axes[tensor], tuple(tensor.shape)) for tensor in given]
        result = func(*args, **kwargs)
        self.reads |= bool(before) and name in _READING
        if before or name in _CHANNELS_SECOND | _CHANNELS_LAST:
            for index, output in enumerate(walk_tensors(result, 2)):
                if output not in self.axes or (name.endswith("_") and not name.startswith("__")):
                    self.axes[output] = _find_axes(name.strip("_"), before, output, args, kwargs, index)
        return result


Known = list[tuple[Tensor, Axes | None, tuple[int, ...]]]


def _find_axes(name: str, given: Known, output: Tensor, args: Any, kwargs: dict[str, Any], index: int) -> Axes | None:
    """Axes of the output of one operation, from those of its inputs; None where nothing tells them."""
    ndim = output.ndim
    if name in _CHANNELS_SECOND and ndim > 2:
        return Axes(0, 1, ndim)
    normed = args[1] if name in ("layer_norm", "rms_norm") and len(args) > 1 else kwargs.get("normalized_shape", ())
    if name in _CHANNELS_LAST and len(normed) < 2 and ndim > 1:
        first = next((known for _t, known, _s in given if known is not None and known.ndim == ndim), None)
        return Axes(first.images if first and first.images != ndim - 1 else 0, ndim - 1, ndim)
    if not given:
        return None
    _tensor, axes, shape = given[0]
    if _POOL.fullmatch(name):
        return axes if axes is None or axes.ndim == ndim else None
    if name in _RECURRENT:
        return Axes(axes.images, ndim - 1, ndim) if axes is not None and index == 0 and ndim == axes.ndim else None
    if name in _NONE:
        return None
    if name in _MOVING and axes is not None:
        return _follow_move(axes, args, kwargs, name)
    if name in _SHAPING and axes is not None:
        return _follow_shape(axes, shape, tuple(output.shape))
    for _given, known, size in given:  # elementwise, and what keeps its axes: the dimensions are what they were
        if known is not None and known.ndim == ndim and (size == tuple(output.shape) or _keeps(known, size, output)):
            return known
    return None


def _keeps(axes: Axes, before: tuple[int, ...], output: Tensor) -> bool:
    """Whether all dimensions but one are what they were: a concatenation, a slice, a mean with its dimension kept."""
    return sum(a != b for a, b in zip(before, output.shape, strict=True)) <= 1


def _follow_move(axes: Axes, args: Any, kwargs: dict[str, Any], name: str) -> Axes | None:
    """Where the axes went, found by moving as many axes of lengths that differ."""
    probe = torch.empty([2 + i for i in range(axes.ndim)], device="meta")
    moved = getattr(torch.Tensor, name)
    try:
        with torch._C.DisableTorchFunction():
            found = moved(probe, *args[1:], **kwargs) if callable(moved) else getattr(probe, name)
    except (TypeError, RuntimeError, IndexError):  # the tensor was given by its keyword
        return None
    order = [length - 2 for length in found.shape]
    return Axes(order.index(axes.images), order.index(axes.channels), axes.ndim)


def _follow_shape(axes: Axes, before: tuple[int, ...], after: tuple[int, ...]) -> Axes | None:
    """Where the axes went when dimensions were joined, divided, added or dropped: an axis is found again where as many
    elements lie before it, or behind it, as lay there. Channels that are gone, or not whole, are not known; images that
    have been joined with something, such as windows, are the first axis, where networks put them."""

    def find(axis: int) -> list[int]:
        outer, inner = _product(before[:axis]), _product(before[axis + 1 :])
        alike = [i for i, length in enumerate(after) if length == before[axis]]
        return [i for i in alike if _product(after[:i]) == outer or _product(after[i + 1 :]) == inner]

    images, channels = [*find(axes.images), 0][0], find(axes.channels)
    return Axes(images, channels[-1], len(after)) if channels and channels[-1] != images else None


def _product(lengths: tuple[int, ...]) -> int:
    product = 1
    for length in lengths:
        product *= length
    return product


def record_pass(module: nn.Module, image: Tensor) -> PassRecord:
    """Follow one pass over `image` (1, C, H, W), which is not changed. The caller holds the model's lock."""
    names = list(module.named_modules(remove_duplicate=False))
    record = PassRecord({name: 0 for name, _ in names if name}, {name: [] for name, _ in names if name})
    with torch.no_grad(), ExitStack() as hooks:
        probe = image.detach().clone()
        tracker = _AxesTracker(probe)
        for name, child in names:
            if name:
                hooks.callback(child.register_forward_hook(_note_into(record, tracker, name)).remove)
        with tracker:
            module(probe)
    record.reads = tracker.reads
    return record


def _note_into(record: PassRecord, tracker: _AxesTracker, name: str) -> Callable[..., None]:
    def note(_module: nn.Module, inputs: Any, output: Any) -> None:
        with torch._C.DisableTorchFunction():
            tensor = find_main(output)
            record.calls[name] += 1
            record.axes[name].append(None if tensor is None else tracker.axes.get(tensor))
            record.order.pop(name, None)
            record.order[name] = () if tensor is None else tuple(tensor.shape)
            if any(given in tracker.axes for given in walk_tensors(inputs)):
                record.first.setdefault(name)

    return note


def find_main(output: Any) -> Tensor | None:
    """The tensor that stands for what a module returned: the first that is more than a number; None without one."""
    return next((tensor for tensor in walk_tensors(output) if tensor.ndim), None)


_RECORDS: NetworkCache[PassRecord] = NetworkCache()


def find_record(module: nn.Module, batch: Tensor) -> PassRecord:
    """`record_pass` over the first image of `batch` (N, C, H, W); made once for a network as it is, and remembered."""
    return _RECORDS.get(module, lambda: record_pass(module, batch[:1]))


def lay_out_maps(output: Tensor, axes: Axes | None, signal: bool = False) -> Tensor:
    """(N, C, H, W) view of an output of three or more dimensions, by its `axes`; of vectors and numbers the output.

    Without axes, four dimensions are taken for (N, C, H, W), three for tokens (N, T, C), or for a `signal` (N, C, L).
    Of tokens and signals W is 1, of volumes too: their places are the rows."""
    if output.ndim < 3:
        return output
    if axes is None or axes.ndim != output.ndim:
        axes = Axes(0, output.ndim - 1 if output.ndim == 3 and not signal else 1, output.ndim)
    moved = output if axes[:2] == (0, 1) else output.movedim((axes.images, axes.channels), (0, 1))
    return moved if moved.ndim == 4 else moved.reshape(*moved.shape[:2], -1, 1)
