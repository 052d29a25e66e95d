"""Receptive-field intervals along one axis of the image: which of its rows (or columns) each element of a tensor
can see.

Pure NumPy. An `Axis` is immutable; every function returns a new one. Source of the rule: Araujo, Norris,
Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019, kept here per unit so
that branches, ceil_mode and adaptive windows need no alignment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from cnnviz.display import Summarised

FAR = 1 << 40  # bounds of an element that sees nothing: any merge replaces them


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Axis(Summarised):
    """Pixels seen by each element of a tensor along one axis of an input `limit` pixels long.

    The arrays have the tensor's rank, and length 1 along every dimension along which nothing changes: those of
    the rows of a plain map (N, C, H, W) are (1, 1, H, 1). `low`, `high`: int64, first and last pixel reached
    through taps inside every map; an element that sees nothing has low = limit, high = -1. `free_low`,
    `free_high`: the same as if every map went on beyond its border, so padding counts; they may lie outside the
    image. `dim`: the dimension along which neighbours lie `step` pixels apart, used beyond the border; None, and
    step 0, where all see the same."""

    low: np.ndarray
    high: np.ndarray
    free_low: np.ndarray
    free_high: np.ndarray
    step: Fraction
    limit: int
    dim: int | None = 0

    def __len__(self) -> int:
        return self.low.shape[self.dim or 0] if self.low.ndim else 1

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(low, high, free_low, free_high)."""
        return self.low, self.high, self.free_low, self.free_high

    def map_bounds(self, how: Callable[[np.ndarray], np.ndarray], dim: int | None) -> Axis:
        """The axis with `how`, which moves elements, applied to all bounds; `dim` is where its dimension lies then."""
        low, high, free_low, free_high = (how(bound) for bound in self.bounds)
        return Axis(low, high, free_low, free_high, Fraction(0) if dim is None else self.step, self.limit, dim)


def image_axis(length: int) -> Axis:
    """The input itself: unit i sees pixel i alone."""
    here = np.arange(length, dtype=np.int64)
    return Axis(here, here, here, here, Fraction(1), length)


def gather(
    axis: Axis,
    taps: np.ndarray,
    pace: Fraction | int,
    seen: np.ndarray | None = None,
    dim: int = 0,
    length: int | None = None,
) -> Axis:
    """Units that each read several units of `axis` along the tensor's dimension `dim`, which has `length` units.

    `taps`: (m, t) int, the indices read by each of the m new units; indices outside the map reach no
    pixel but widen the free interval. `pace`: units of `axis` between neighbouring new units. `seen`:
    (m, s) the indices read instead of `taps` when padding repeats the map (reflection, replication)."""
    here = axis.low.shape[dim]
    taps = np.asarray(taps, np.int64)
    inside = taps if seen is None else np.asarray(seen, np.int64)
    valid = (inside >= 0) & (inside < (length or here))
    line = axis.dim == dim
    if here == 1 and not line:  # the same all along `dim`
        return _blank(axis, np.logical_not(valid.any(axis=1)), dim)
    index = np.where(valid, np.minimum(inside, here - 1), 0)
    shown = valid.reshape(*valid.shape, *(1,) * (axis.low.ndim - dim - 1))
    step = axis.step if line else Fraction(0)
    return replace(
        axis,
        low=np.where(shown, axis.low.take(index, dim), axis.limit).min(axis=dim + 1),
        high=np.where(shown, axis.high.take(index, dim), -1).max(axis=dim + 1),
        free_low=_extrapolate(axis.free_low, taps, step, dim).min(axis=dim + 1),
        free_high=_extrapolate(axis.free_high, taps, step, dim).max(axis=dim + 1),
        step=axis.step * pace if line else axis.step,
    )


def _blank(axis: Axis, nothing: np.ndarray, dim: int) -> Axis:
    """`axis`, without the units at `nothing` (m,) along `dim`, which read padding alone."""
    if not nothing.any():
        return axis
    gone = nothing.reshape(-1, *(1,) * (axis.low.ndim - dim - 1))
    same = np.ones_like(gone, np.int64)
    return replace(
        axis,
        low=np.where(gone, axis.limit, axis.low),
        high=np.where(gone, -1, axis.high),
        free_low=axis.free_low * same,
        free_high=axis.free_high * same,
    )


def _extrapolate(free: np.ndarray, taps: np.ndarray, step: Fraction, dim: int) -> np.ndarray:
    """free[taps] along `dim`, continued linearly before the first and after the last unit."""
    inside = np.clip(taps, 0, free.shape[dim] - 1)
    beyond = (taps - inside) * step.numerator // step.denominator
    return free.take(inside, dim) + beyond.reshape(*taps.shape, *(1,) * (free.ndim - dim - 1))


def windows(
    axis: Axis, count: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1, **where: int
) -> Axis:
    """`count` units of a convolution or pooling; unit j reads j·stride − padding + dilation·t, t < kernel.

    `where`, here and below: `dim` and `length` of `gather`."""
    if (kernel, stride, padding) == (1, 1, 0) and count == axis.low.shape[where.get("dim", 0)]:
        return axis  # each unit reads the one at its place
    starts = np.arange(count)[:, None] * stride - padding
    return gather(axis, starts + dilation * np.arange(kernel), stride, None, **where)


def transposed_windows(
    axis: Axis, count: int, kernel: int, stride: int, padding: int, dilation: int, **where: int
) -> Axis:
    """`count` units of a transposed convolution; o reads each i with o = i·stride − padding + dilation·t."""
    reach = np.arange(count)[:, None] + padding - dilation * np.arange(kernel)
    hit = reach % stride == 0
    # A unit between the taps (stride > kernel) reads nothing; its free place is that of the tap before it.
    first = np.take_along_axis(reach, hit.argmax(axis=1)[:, None], axis=1) // stride
    taps = np.where(hit, reach // stride, first)
    return gather(axis, taps, Fraction(1, stride), np.where(hit, reach // stride, -1), **where)


def adaptive_windows(axis: Axis, count: int, dim: int = 0, length: int | None = None) -> Axis:
    """`count` units of an adaptive pooling: unit j reads floor(jN/M) … ceil((j+1)N/M) − 1."""
    if count == 1:
        return collapse_axis(axis, [dim])
    size, j = length or axis.low.shape[dim], np.arange(count)
    first, last = j * size // count, -((-(j + 1) * size) // count) - 1
    taps = first[:, None] + np.arange(int((last - first).max()) + 1)
    return gather(axis, np.minimum(taps, last[:, None]), Fraction(size, count), dim=dim, length=length)


def resize(
    axis: Axis,
    count: int,
    mode: str,
    corners: bool = False,
    scale: float | None = None,
    dim: int = 0,
    length: int | None = None,
) -> Axis:
    """`count` units of an interpolation, without antialiasing.

    `mode`: "linear" or "cubic"; `corners`: align_corners; `scale`: the factor if one was given, else count / N. A tap
    whose weight is 0 is not read; where rounding decides whether it is 0, it counts as read."""
    size = length or axis.low.shape[dim]
    ratio = 1 / scale if scale else size / count
    pace = Fraction(size, count) if size != count else Fraction(1)
    places = [_find_places(kind, count, size, mode, corners, ratio) for kind in (np.float64, np.float32)]
    base = np.floor(places[0]).astype(np.int64)
    reach = np.array([0, 1] if mode == "linear" else [-1, 0, 1, 2])
    on_unit = (places[0] == base) & (places[1] == base)
    taps = np.where(on_unit[:, None], base[:, None], base[:, None] + reach)
    near = (np.abs(places[0] - np.round(places[0])) < 1e-5) & ~on_unit
    either = np.round(places[0]).astype(np.int64)[:, None] + [reach[0] - 1, reach[-1]]
    taps = np.concatenate([taps, np.where(near[:, None], either, taps[:, :1])], axis=1)
    return gather(axis, taps, pace, np.clip(taps, 0, size - 1), dim, length)


def _find_places(kind: type, count: int, size: int, mode: str, corners: bool, ratio: float) -> np.ndarray:
    """Where on the map, in units, each unit of an interpolation lies, in the precision `kind`."""
    j: np.ndarray = np.arange(count).astype(kind)
    half = kind(0.5)
    place = j * kind((size - 1) / max(count - 1, 1)) if corners else (j + half) * kind(ratio) - half
    return np.maximum(place, 0) if mode == "linear" and not corners else place


def collapse_axis(axis: Axis, dims: Iterable[int] | None = None) -> Axis:
    """All elements along `dims` (None: along all dimensions) see what any of them sees, which is one unit; inside
    the image where the axis runs along one of them: padding is not part of it."""
    over = tuple(range(axis.low.ndim) if dims is None else dims)
    across = axis.dim is not None and axis.dim not in over
    if across and all(axis.low.shape[dim] == 1 for dim in over):
        return axis
    ends = (np.minimum, np.maximum) * 2
    low, high, free_low, free_high = (
        end.reduce(b, axis=over, keepdims=True) for end, b in zip(ends, axis.bounds, strict=True)
    )
    if across:
        return replace(axis, low=low, high=high, free_low=free_low, free_high=free_high)
    sees = low <= high
    free_low, free_high = np.where(sees, low, free_low), np.where(sees, high, free_high)
    return Axis(low, high, free_low, free_high, Fraction(0), axis.limit, None)


def merge(axes: Sequence[Axis]) -> Axis:
    """Each element sees what the elements at its place in all `axes` see; length 1 is broadcast."""
    parts = ([axis.bounds[i] for axis in axes] for i in range(4))
    low, high, free_low, free_high = (
        _fold(end, part) for end, part in zip((np.minimum, np.maximum) * 2, parts, strict=True)
    )
    lines = [axis for axis in axes if axis.dim is not None] or list(axes)
    dim = max(lines, key=len).dim
    step = max(axis.step for axis in lines if axis.dim == dim)
    return Axis(low, high, free_low, free_high, step, axes[0].limit, dim)


def _fold(end: np.ufunc, bounds: list[np.ndarray]) -> np.ndarray:
    total = bounds[0]
    for bound in bounds[1:]:
        if bound is not total:
            total = end(total, bound)
    return total


def pixel_range(axis: Axis, index: int | tuple[int, ...], clip: bool) -> tuple[int, int]:
    """Half-open (start, stop) in pixels of unit `index`; clip=False lets it leave the image.

    A unit that sees no pixel gives start == stop, at its free place moved into the image."""
    if not clip:
        start, stop = int(axis.free_low[index]), int(axis.free_high[index]) + 1
        return (start, stop) if stop > start else (0, 0)
    start, stop = int(axis.low[index]), int(axis.high[index]) + 1
    if stop > start:
        return start, stop
    place = min(max(int(axis.free_low[index]), 0), axis.limit)
    return place, place
