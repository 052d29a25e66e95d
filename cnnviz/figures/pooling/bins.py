"""Adaptive pooling: one map at several input sizes, its bins, and the equal tables that they fill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnviz.figures.base.charts import value_text
from cnnviz.figures.base.colors import FRAME, GUTTER, activation_rgb, sample_palette, viridis
from cnnviz.figures.base.encode import rgb_png
from cnnviz.figures.equivariance.panels import Strip, fit_map, place_pixels

SIDE, GAP, CAPTION, BAR = 204, 22, 26, 10  # pixels


@dataclass(frozen=True, slots=True)
class BinnedMap:
    """A map (h, w) of an image of `side` pixels, its bins [(start, end)] along rows and columns, and what they hold."""

    side: int
    values: np.ndarray
    rows: Sequence[tuple[int, int]]
    cols: Sequence[tuple[int, int]]
    pooled: np.ndarray

    @property
    def overlaps(self) -> bool:
        """Whether a unit lies in two bins."""
        return any(a[1] > b[0] for bins in (self.rows, self.cols) for a, b in zip(bins, bins[1:], strict=False))


def bins_strip(found: Sequence[BinnedMap], bin_: tuple[int, int]) -> Strip:
    """A column for each input size: the map with one bin framed, and below it what all bins hold, on one scale."""
    peak = max(float(one.values.max()) for one in found)
    size = (len(found) * (SIDE + GAP) - GAP, 2 * (SIDE + CAPTION) + 12 + BAR + CAPTION)
    canvas = np.full((size[1], size[0], 3), GUTTER, np.uint8)
    words: list[tuple[float, float, float, str]] = []
    row, col = bin_
    for at, one in enumerate(found):
        left = at * (SIDE + GAP)
        pictures = (
            (one.values, (one.rows[row], one.cols[col]), f"{one.side} px: map {'×'.join(map(str, one.values.shape))}"),
            (one.pooled, ((row, row + 1), (col, col + 1)), f"pooled to {'×'.join(map(str, one.pooled.shape))}"),
        )
        for part, (values, frame, title) in enumerate(pictures):
            top = part * (SIDE + CAPTION + 12)
            pixels = _frame_units(fit_map(activation_rgb(values, peak), SIDE), values.shape, frame)
            place_pixels(canvas, pixels, top + CAPTION, left, SIDE, at_top=True)
            words.append((float(left), float(top + 2), float(SIDE + GAP), title))
    top = 2 * (SIDE + CAPTION) + 12
    canvas[top : top + BAR, :SIDE] = sample_palette(viridis(), SIDE)
    words += [
        (0.0, float(top + BAR + 2), 40.0, "0"),
        (60.0, float(top + BAR + 2), 260.0, f"activation, up to {value_text(peak)}"),
    ]
    return Strip(rgb_png(canvas), size, tuple(words))


def _frame_units(
    pixels: np.ndarray, shape: tuple[int, ...], frame: tuple[tuple[int, int], tuple[int, int]]
) -> np.ndarray:
    """An enlarged map with an orange frame around the units of a bin."""
    painted = pixels.copy()
    (top, low), (left, right) = frame
    y0, y1 = (round(part * len(painted) / shape[0]) for part in (top, low))
    x0, x1 = (round(part * painted.shape[1] / shape[1]) for part in (left, right))
    thick = 3
    for edge in (
        painted[y0 : y0 + thick, x0:x1],
        painted[y1 - thick : y1, x0:x1],
        painted[y0:y1, x0 : x0 + thick],
        painted[y0:y1, x1 - thick : x1],
    ):
        edge[:] = FRAME
    return painted
