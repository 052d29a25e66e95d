"""Maps before and after a pooling layer, with the units marked that a shift changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnviz.figures.base.charts import value_text
from cnnviz.figures.base.colors import (
    CATEGORIES,
    EMPTY,
    FRAME,
    GUTTER,
    NEUTRAL,
    activation_rgb,
    from_hex,
    sample_palette,
    viridis,
)
from cnnviz.figures.base.encode import rgb_png
from cnnviz.figures.base.overlay import to_rgb
from cnnviz.figures.equivariance.panels import Strip, fit_map, fit_photo, place_pixels

SIDE, PHOTO, SMALL = 168, 112, 150  # pixels of a map, of an image, and of a map among four
CAPTION, GAP, BETWEEN, BAR = 24, 12, 18, 9  # pixels
SILENT = EMPTY
SAME = from_hex(CATEGORIES[0])
CHANGED = FRAME


@dataclass(frozen=True, slots=True)
class MapPair:
    """A map without and with the shift, (h, w) each, and what of it is marked: `same`, `active` (h, w) bool."""

    first: np.ndarray
    second: np.ndarray
    same: np.ndarray
    active: np.ndarray

    @property
    def peak(self) -> float:
        """The end of the common scale."""
        return max(float(np.nanmax(np.abs(m), initial=0.0)) for m in (self.first, self.second))


def marked_rgb(same: np.ndarray, active: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: blue where an active unit is unchanged, orange where it changed, pale where it says nothing."""
    painted = np.where(same[..., None], np.array(SAME, np.uint8), np.array(CHANGED, np.uint8))
    return np.where(active[..., None], painted, np.array(SILENT, np.uint8))


def fold_channels(values: np.ndarray) -> np.ndarray:
    """(C,) values of channels without location → a nearly square table, row by row; NaN or False where it is longer."""
    wide = int(np.ceil(np.sqrt(len(values))))
    high = -(-len(values) // wide)
    filled = np.full(wide * high, False if values.dtype == bool else np.nan, values.dtype)
    filled[: len(values)] = values
    return filled.reshape(high, wide)


def rows_strip(photo: np.ndarray, shifted: np.ndarray, rows: Sequence[tuple[str, str, MapPair]]) -> Strip:
    """The image and its shifted copy, uint8 (H, W, C); to the right, a row for each (name, its size, pair): the map,
    that of the shifted image on the same scale, and the same with its units marked."""
    left, tops = PHOTO + BETWEEN, [0]
    for _, _, pair in rows:  # no row is higher than its maps, which are enlarged by whole multiples
        tops.append(tops[-1] + CAPTION + len(fit_map(marked_rgb(pair.same, pair.active), SIDE)) + 4)
    size = (left + 3 * SIDE + 2 * GAP, max(tops[-1] + BAR + CAPTION, 2 * (PHOTO + CAPTION) + 20))
    canvas = np.full((size[1], size[0], 3), GUTTER, np.uint8)
    words: list[tuple[float, float, float, str]] = []
    for at, (image, name) in enumerate(((photo, "the image"), (shifted, "shifted"))):
        top = at * (PHOTO + CAPTION + 20)
        place_pixels(canvas, fit_photo(to_rgb(image), PHOTO), CAPTION + top, 0, PHOTO, at_top=True)
        words.append((0, top + 2, PHOTO + BETWEEN, name))
    for at, (name, shape, pair) in enumerate(rows):
        maps = [_colour_map(values, pair.peak) for values in (pair.first, pair.second)]
        pictures = [*maps, marked_rgb(pair.same, pair.active)]
        titles = (f"{name}, {shape}", f"{name}, image shifted", f"{name}: changed units")
        for column, (pixels, title) in enumerate(zip(pictures, titles, strict=True)):
            x = left + column * (SIDE + GAP)
            place_pixels(canvas, fit_map(pixels, SIDE), tops[at] + CAPTION, x, SIDE, at_top=True)
            words.append((x, tops[at] + 2, SIDE + GAP, title))
    top, right = tops[-1], left + 2 * SIDE + GAP
    canvas[top : top + BAR, left:right] = sample_palette(viridis(), right - left)
    peaks = " and ".join(dict.fromkeys(value_text(pair.peak) for _, _, pair in rows))
    words += [(left, top + BAR + 2, 60, "0"), (left + 90, top + BAR + 2, SIDE + 110, f"activation, up to {peaks}")]
    words += _draw_legend(canvas, right + GAP, top)
    return Strip(rgb_png(canvas), size, tuple((float(a), float(b), float(c), text) for a, b, c, text in words))


def columns_strip(columns: Sequence[tuple[str, str, MapPair]]) -> Strip:
    """A column for each (name, words below, pair): the pooled map on its own scale, and its units marked below."""
    high = max(len(fit_map(marked_rgb(pair.same, pair.active), SMALL)) for _, _, pair in columns)
    size = (len(columns) * (SMALL + GAP) - GAP, 2 * CAPTION + 2 * high + 6)
    canvas = np.full((size[1], size[0], 3), GUTTER, np.uint8)
    words: list[tuple[float, float, float, str]] = []
    for at, (name, note, pair) in enumerate(columns):
        x = at * (SMALL + GAP)
        place_pixels(canvas, fit_map(_colour_map(pair.first, pair.peak), SMALL), CAPTION, x, SMALL, at_top=True)
        place_pixels(
            canvas, fit_map(marked_rgb(pair.same, pair.active), SMALL), CAPTION + high + 6, x, SMALL, at_top=True
        )
        words += [(float(x), 2.0, float(SMALL), name), (float(x), float(size[1] - CAPTION + 3), float(SMALL), note)]
    return Strip(rgb_png(canvas), size, tuple(words))


def _draw_legend(canvas: np.ndarray, left: int, top: int) -> list[tuple[float, float, float, str]]:
    """Three swatches below the marked maps."""
    words, letters = [], 17
    for colour, name in ((SAME, "same"), (CHANGED, "changed"), (SILENT, "silent")):
        wide = SIDE * len(name) // letters
        canvas[top : top + BAR, left : left + wide - 3] = colour
        words.append((float(left), float(top + BAR + 2), float(wide), name))
        left += wide
    return words


def _colour_map(values: np.ndarray, peak: float) -> np.ndarray:
    """Viridis from 0 to the peak; gray where there is no unit."""
    known = ~np.isnan(values)
    return np.where(known[..., None], activation_rgb(np.nan_to_num(values), peak), np.array(NEUTRAL, np.uint8))
