"""Replace the padding of every convolution and pooling during a pass: circular, torus, reflect or valid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from cnnviz.errors import BadInput
from cnnviz.tracing.operations import plain_name, to_pair

PADDINGS = ("native", "circular", "torus", "reflect", "valid")
Sides = tuple[int, int, int, int]  # left, right, top, bottom: the order of F.pad
_CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_MAX = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
_AVG = ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")


class PaddingMode(TorchFunctionMode):
    """Inside `with`, every 2-D convolution, max and average pooling, and every `F.pad` of rows and columns, as a
    module or as a function, pads by `padding`; the network itself is not edited. Thread-local.

    - "circular": the same amounts, filled from the opposite side; a layer without padding stays without;
    - "torus": as circular, and each window also goes on after its own padding until its map is
      ⌈n / stride⌉ long, so that the whole network lives on a torus;
    - "reflect": the same amounts, mirrored at the outermost pixel;
    - "valid": none, and no window that begins inside and ends outside (ceil_mode).

    `closed`: in a circular pass, whether every window so far had the padding that closes its map to a torus. One
    without padding, or with ceil_mode, has not, and then circular padding alone makes no network equivariant.

    Transposed convolutions, other pooling and TorchScript code keep their own. Raises BadInput for another word.
    Source of the comparison: Kayhan and van Gemert, CVPR 2020 (arXiv:2003.07064)."""

    def __init__(self, padding: str) -> None:
        super().__init__()
        self.padding = check_padding(padding)
        self.closed = True
        self._written: WeakTensorKeyDictionary = WeakTensorKeyDictionary()  # padding written as a step of its own

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        change = _CHANGES.get(plain_name(func)) if self.padding != "native" else None
        return change(self, func, args, kwargs or {}) if change else func(*args, **(kwargs or {}))


def check_padding(padding: str) -> str:
    """`padding` if it is one of PADDINGS. Raises BadInput naming them otherwise."""
    if padding not in PADDINGS:
        raise BadInput(f"No padding named {padding!r}. Choose one of: {', '.join(PADDINGS)}.")
    return padding


@contextmanager
def override_padding(padding: str) -> Iterator[PaddingMode]:
    """Inside, forward passes pad by `padding`; "native" changes nothing. Yields the mode. A network whose layers do not
    fit together any more (a sum of maps of two sizes, a fully connected head) ends in BadInput instead of PyTorch's
    message."""
    mode = PaddingMode(padding)
    if padding == "native":
        yield mode
        return
    try:
        with mode:
            yield mode
    except RuntimeError as error:
        raise BadInput(
            f"With padding {padding!r} the layers of this network no longer fit together: {str(error)[:160]} "
            "Choose 'native', 'circular' or 'reflect', which keep all sizes, or an earlier layer."
        ) from error


def fill_border(x: Tensor, sides: Sides, padding: str) -> Tensor:
    """x (…, H, W) enlarged by `sides` (left, right, top, bottom), "circular" or "reflect", of any amount: beyond one
    turn around, or one mirror, it goes on periodically. "zeros" fills with 0."""
    if not any(sides):
        return x
    if padding == "zeros":
        return F.pad(x, sides)
    limits = [n - (padding == "reflect") for n in (x.shape[-1], x.shape[-1], x.shape[-2], x.shape[-2])]
    if x.ndim in (3, 4) and all(0 <= side <= limit for side, limit in zip(sides, limits, strict=True)):
        return F.pad(x, sides, mode=padding)
    left, right, top, bottom = sides
    for dim, before, after in ((-2, top, bottom), (-1, left, right)):
        places = torch.from_numpy(border_indices(x.shape[dim], before, after, padding)).to(x.device)
        x = x.index_select(dim, places)
    return x


def border_indices(length: int, before: int, after: int, padding: str) -> np.ndarray:
    """(before + length + after,) int64: the index that stands at each place of a padded axis."""
    places = np.arange(-before, length + after)
    if padding == "circular" or length == 1:
        return places % length
    period = 2 * (length - 1)
    turned = places % period
    return np.minimum(turned, period - turned)


def _conv(mode: PaddingMode, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = _bind_arguments(_CONV, args, kwargs)
    x, kernel = given["input"], to_pair(given["weight"].shape[2:])
    stride, dilation = to_pair(given.get("stride", 1)), to_pair(given.get("dilation", 1))
    own = given.get("padding", 0)
    if isinstance(own, str):
        whole = [d * (k - 1) if own == "same" else 0 for k, d in zip(kernel, dilation, strict=True)]
        before = [total // 2 for total in whole]
    else:
        before = list(to_pair(own))
        whole = [2 * amount for amount in before]
    given["input"] = _enlarge(mode, x, before, whole, kernel, stride, dilation)
    given["padding"] = 0
    return func(**given)


def _pool(mode: PaddingMode, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = _bind_arguments(_MAX if plain_name(func).startswith("max") else _AVG, args, kwargs)
    kernel = to_pair(given["kernel_size"])
    stride = kernel if given.get("stride") in (None, [], ()) else to_pair(given["stride"])
    before = list(to_pair(given.get("padding", 0)))
    dilation = to_pair(given.get("dilation", 1))
    if mode.padding in ("torus", "valid"):
        given["ceil_mode"] = False  # on a torus the size is ⌈n / stride⌉ already
    given["input"] = _enlarge(mode, given["input"], before, [2 * n for n in before], kernel, stride, dilation)
    given.update(padding=0, stride=stride)
    return func(**given)


def _pad(mode: PaddingMode, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = _bind_arguments(("input", "pad", "mode", "value"), args, kwargs)
    x, amounts = given["input"], list(given["pad"])
    around_map = x.ndim >= 3 and any(amounts[:4]) and not any(amounts[4:]) and min(amounts) >= 0 and len(amounts) > 2
    if not around_map:
        return func(*args, **kwargs)
    if mode.padding == "valid":
        return x
    left, right, top, bottom = amounts[:4]
    torus = mode.padding == "torus"  # there the window that comes next goes on by itself
    result = x.view_as(x) if torus else fill_border(x, (left, right, top, bottom), mode.padding)
    mode._written[result] = ((top, left), (bottom, right))
    return result


def _enlarge(
    mode: PaddingMode,
    x: Tensor,
    before: list[int],
    whole: list[int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> Tensor:
    """x with the padding that the window reads: `before` of `whole` amounts at the top and left, per axis."""
    if mode.padding == "valid":
        return x
    behind = [both - first for both, first in zip(whole, before, strict=True)]
    above, below = mode._written.get(x, ((0, 0), (0, 0)))
    torus = mode.padding == "torus"
    lengths = [n - (0 if torus else a + b) for n, a, b in zip(x.shape[-2:], above, below, strict=True)]
    first = [own + a for own, a in zip(before, above, strict=True)]
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    needed = [_padding_behind(n, *sizes) for n, *sizes in zip(lengths, first, reach, stride, strict=True)]
    if torus:
        before, behind = first, needed
    elif any(need > own + b for need, own, b in zip(needed, behind, below, strict=True)):
        mode.closed = False
    (top, left), (bottom, right) = before, behind
    return fill_border(x, (left, right, top, bottom), "reflect" if mode.padding == "reflect" else "circular")


def _padding_behind(length: int, before: int, reach: int, stride: int) -> int:
    """Padding after an axis so that ⌈length / stride⌉ windows fit; unit i reads what it reads without a torus."""
    last = (-(-length // stride) - 1) * stride + reach  # the last pixel read, from the first of the padded axis
    return max(0, last + 1 - before - length)


def _bind_arguments(names: Sequence[str], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    return {**dict(zip(names, args, strict=False)), **kwargs}


_CHANGES: dict[str, Callable[..., Any]] = {
    "conv2d": _conv,
    "max_pool2d": _pool,
    "max_pool2d_with_indices": _pool,
    "avg_pool2d": _pool,
    "pad": _pad,
}
