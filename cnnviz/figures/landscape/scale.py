"""Colour and height scale of losses for several surfaces: logarithmic or linear, cut at a value."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cnnviz.figures.base.colors import to_hex, viridis

CUT_COLOUR = "#c9ced6"  # what lies above the cut
_FLOOR = 1e-4  # nats; below it the logarithm says nothing more
_TOP = 0.004  # share of the colour scale that is the cut's


@dataclass(frozen=True, slots=True)
class LossScale:
    """Heights of losses. `low`, `high`: the ends, nats; `cuts`: whether losses above `high` are cut there."""

    log: bool
    low: float
    high: float
    cuts: bool

    def height(self, loss: np.ndarray) -> np.ndarray:
        """float32 heights: the loss or its log₁₀, within the ends. inf is cut; NaN stays NaN."""
        held = np.clip(np.asarray(loss, np.float64), self.low, self.high)
        return (np.log10(held) if self.log else held).astype(np.float32)

    @property
    def ends(self) -> tuple[float, float]:
        """The heights of `low` and `high`."""
        return (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)

    def ticks(self) -> tuple[list[float], list[str]]:
        """Heights that carry a number, and the numbers; the cut's is "≥ 10"."""
        values = _log_ticks(self.low, self.high) if self.log else _even_ticks(self.low, self.high)
        texts = [f"{value:.3g}" for value in values]
        if self.cuts and math.isclose(values[-1], self.high):
            texts[-1] = f"≥ {texts[-1]}"
        return [math.log10(value) if self.log else value for value in values], texts

    def colours(self) -> list[tuple[float, str]]:
        """Plotly's colour scale over `ends`: viridis, and the top in gray where losses are cut."""
        top = 1 - _TOP if self.cuts else 1.0
        table = viridis()[:: 255 // 17]
        shown = [(top * i / (len(table) - 1), to_hex(colour)) for i, colour in enumerate(table)]
        return [*shown, (top, CUT_COLOUR), (1.0, CUT_COLOUR)] if self.cuts else shown

    def sentence(self) -> str:
        """What is cut, in words; "" where nothing is."""
        return f"Losses above {self.high:g} nats are cut there and gray." if self.cuts else ""


def common_scale(losses: Iterable[np.ndarray], log: bool = True, cut: float | None = 10.0) -> LossScale:
    """The scale that shows all these losses, nats. `cut`: losses above it are cut; None: only what overflowed.

    Values that are NaN are passed over; with no value at all the scale runs from 0.1 to 10."""
    every = np.concatenate([np.ravel(np.asarray(loss, np.float64)) for loss in losses] or [np.zeros(0)])
    finite = every[np.isfinite(every)]
    if not finite.size:
        return LossScale(log, 0.1, cut or 10.0, False)
    top = float(finite.max())
    cuts = bool((cut is not None and top > cut) or np.isinf(every).any())
    high = cut if cut is not None and top > cut else top
    low = max(float(finite.min()), _FLOOR) if log else min(0.0, float(finite.min()))
    return LossScale(log, low, max(high, 1.01 * low if log else low + 1e-9), cuts)


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    fine = math.log10(high / low) < 2.5
    ticks = [m * 10.0**d for d in decades for m in ((1, 2, 5) if fine else (1,))]
    inside = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
    near = [tick for tick in inside if tick < high * (0.8 if fine else 0.5)]
    return [*near, high] if inside else [low, high]


def _even_ticks(low: float, high: float) -> list[float]:
    step = 10.0 ** math.floor(math.log10(max(high - low, 1e-9)))
    step = next(s for s in (step / 5, step / 2, step, 2 * step) if (high - low) / s <= 6)
    inside = [round(step * i, 10) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return [tick for tick in inside if tick < high - step / 2] + [high]


def fill_gaps(values: np.ndarray) -> np.ndarray:
    """(A, B) with NaN replaced by linear interpolation between what is known in its row, then in its column: how
    a surface looks that is still being computed. All NaN where nothing is known. inf counts as known."""
    known = np.nan_to_num(np.asarray(values, np.float64), nan=np.nan, posinf=1e30)
    rows = np.stack([_interpolate(row) for row in known])
    whole = np.stack([_interpolate(column) for column in rows.T]).T
    whole[whole > 1e20] = np.inf
    return whole


def _interpolate(line: np.ndarray) -> np.ndarray:
    known = np.flatnonzero(~np.isnan(line))
    if not known.size:
        return line
    return np.interp(np.arange(len(line)), known, line[known])
