"""Receptive-field intervals along one axis: which input rows (or columns) each index of a map can see.

Pure NumPy. An `Axis` is immutable; every function returns a new one. Source of the rule: Araujo, Norris,
Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019, kept here per unit so
that branches, ceil_mode and adaptive windows need no alignment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

_FAR = 1 << 40  # bounds of a unit that nothing was written to: any merge replaces them


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """Pixels seen by each of n units along one axis of an input `limit` pixels long.

    `low`, `high`: (n,) int64, first and last pixel reached through taps inside every map; a unit that
    sees nothing has low = limit, high = -1. `free_low`, `free_high`: (n,) int64, the same as if every
    map went on beyond its border, so padding counts; they may lie outside the image. `step`: pixels
    from one unit to the next, used beyond the border; 0 where all units see the same pixels."""

    low: np.ndarray
    high: np.ndarray
    free_low: np.ndarray
    free_high: np.ndarray
    step: Fraction
    limit: int

    def __len__(self) -> int:
        return len(self.low)


def image_axis(length: int) -> Axis:
    """The input itself: unit i sees pixel i alone."""
    here = np.arange(length, dtype=np.int64)
    return Axis(here, here, here, here, Fraction(1), length)


def unseen_axis(length: int, limit: int) -> Axis:
    """`length` units that see nothing yet, e.g. of a map that is still to be written to."""
    low, high = np.full(length, limit, np.int64), np.full(length, -1, np.int64)
    far = np.full(length, _FAR, np.int64)
    return Axis(low, high, far, -far, Fraction(0), limit)


def gather(axis: Axis, taps: np.ndarray, pace: Fraction | int, seen: np.ndarray | None = None) -> Axis:
    """Units that each read several units of `axis`.

    `taps`: (m, t) int, the indices read by each of the m new units; indices outside the map reach no
    pixel but widen the free interval. `pace`: units of `axis` between neighbouring new units. `seen`:
    (m, s) the indices read instead of `taps` when padding repeats the map (reflection, circular)."""
    taps = np.asarray(taps, np.int64)
    inside = taps if seen is None else np.asarray(seen, np.int64)
    valid = (inside >= 0) & (inside < len(axis))
    index = np.where(valid, inside, 0)
    return Axis(
        np.where(valid, axis.low[index], axis.limit).min(axis=1),
        np.where(valid, axis.high[index], -1).max(axis=1),
        _extrapolate(axis.free_low, taps, axis.step).min(axis=1),
        _extrapolate(axis.free_high, taps, axis.step).max(axis=1),
        axis.step * pace,
        axis.limit,
    )


def _extrapolate(free: np.ndarray, taps: np.ndarray, step: Fraction) -> np.ndarray:
    """free[taps], continued linearly before the first and after the last unit."""
    inside = np.clip(taps, 0, len(free) - 1)
    return free[inside] + (taps - inside) * step.numerator // step.denominator


def windows(axis: Axis, count: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Axis:
    """`count` units of a convolution or pooling; unit j reads j·stride − padding + dilation·t, t < kernel."""
    starts = np.arange(count)[:, None] * stride - padding
    return gather(axis, starts + dilation * np.arange(kernel), stride)


def transposed_windows(axis: Axis, count: int, kernel: int, stride: int, padding: int, dilation: int) -> Axis:
    """`count` units of a transposed convolution; o reads each i with o = i·stride − padding + dilation·t."""
    reach = np.arange(count)[:, None] + padding - dilation * np.arange(kernel)
    hit = reach % stride == 0
    # A unit between the taps (stride > kernel) reads nothing; its free place is that of the tap before it.
    first = np.take_along_axis(reach, hit.argmax(axis=1)[:, None], axis=1) // stride
    taps = np.where(hit, reach // stride, first)
    return gather(axis, taps, Fraction(1, stride), seen=np.where(hit, reach // stride, -1))


def adaptive_windows(axis: Axis, count: int) -> Axis:
    """`count` units of an adaptive pooling: unit j reads floor(jN/M) … ceil((j+1)N/M) − 1."""
    if count == 1:
        return collapse_axis(axis)
    size, j = len(axis), np.arange(count)
    first, last = j * size // count, -((-(j + 1) * size) // count) - 1
    taps = first[:, None] + np.arange(int((last - first).max()) + 1)
    return gather(axis, np.minimum(taps, last[:, None]), Fraction(size, count))


def resize(axis: Axis, count: int, mode: str, corners: bool = False, scale: float | None = None) -> Axis:
    """`count` units of an interpolation, without antialiasing.

    `mode`: "nearest", "nearest-exact", "linear" or "cubic"; `corners`: align_corners; `scale`: the factor
    if one was given, else count / N."""
    size = len(axis)
    ratio = 1 / scale if scale else size / count
    j = np.arange(count)
    pace = Fraction(size, count) if size != count else Fraction(1)
    if mode.startswith("nearest"):
        source = np.floor((j + 0.5 * (mode == "nearest-exact")) * ratio).astype(np.int64)
        return gather(axis, np.minimum(source, size - 1)[:, None], pace)
    place = j * ((size - 1) / max(count - 1, 1)) if corners else (j + 0.5) * ratio - 0.5
    if mode == "linear" and not corners:
        place = np.maximum(place, 0)
    base = np.floor(place).astype(np.int64)
    reach = np.array([0, 1] if mode == "linear" else [-1, 0, 1, 2])
    taps = np.where((place == base)[:, None], base[:, None], base[:, None] + reach)  # weight 0 reads nothing
    return gather(axis, taps, pace, seen=np.clip(taps, 0, size - 1))


def collapse_axis(axis: Axis) -> Axis:
    """One unit that sees all that any unit of `axis` sees, inside the image; padding is not part of it."""
    low, high = axis.low.min(keepdims=True), axis.high.max(keepdims=True)
    if low[0] <= high[0]:
        return Axis(low, high, low, high, Fraction(0), axis.limit)
    free_low, free_high = axis.free_low.min(keepdims=True), axis.free_high.max(keepdims=True)
    return Axis(low, high, free_low, free_high, Fraction(0), axis.limit)


def expand(axis: Axis, length: int) -> Axis:
    """A single unit broadcast to `length` equal ones; longer axes are returned as they are."""
    if len(axis) == length:
        return axis
    return gather(axis, np.zeros((length, 1), np.int64), 0)


def merge(axes: Sequence[Axis]) -> Axis:
    """Each unit sees what the units at its place in all `axes` see; axes of length 1 are broadcast."""
    length = max(len(axis) for axis in axes)
    equal = [expand(axis, length) for axis in axes]
    return Axis(
        np.min([axis.low for axis in equal], axis=0),
        np.max([axis.high for axis in equal], axis=0),
        np.min([axis.free_low for axis in equal], axis=0),
        np.max([axis.free_high for axis in equal], axis=0),
        max(axis.step for axis in equal),
        axes[0].limit,
    )


def join(axes: Sequence[Axis]) -> Axis:
    """Axes one after the other, as in a concatenation of maps side by side."""
    parts = ((a.low, a.high, a.free_low, a.free_high) for a in axes)
    low, high, free_low, free_high = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Axis(low, high, free_low, free_high, max(axis.step for axis in axes), axes[0].limit)


def scatter(target: Axis, places: np.ndarray, written: Axis) -> Axis:
    """`target` after `written` was stored at the indices `places` (m,); what was there is kept as well."""
    equal = expand(written, len(places))
    low, high = target.low.copy(), target.high.copy()
    free_low, free_high = target.free_low.copy(), target.free_high.copy()
    low[places] = np.minimum(low[places], equal.low)
    high[places] = np.maximum(high[places], equal.high)
    free_low[places] = np.minimum(free_low[places], equal.free_low)
    free_high[places] = np.maximum(free_high[places], equal.free_high)
    return Axis(low, high, free_low, free_high, max(target.step, written.step), target.limit)


def pixel_range(axis: Axis, index: int, clip: bool) -> tuple[int, int]:
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
