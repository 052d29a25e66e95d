"""Strip of a shift: the image and its shifted copy, T(f(x)), f(T(x)), and their difference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from cnnviz.figures.base.charts import value_text
from cnnviz.figures.base.colors import GUTTER, NEUTRAL, activation_rgb, sample_palette, to_levels, viridis
from cnnviz.figures.base.encode import enlarge, rgb_png, whole_factor
from cnnviz.figures.base.overlay import to_rgb

SIDE, PHOTO = 288, 128  # pixels of a map and of an image
CAPTION, GAP, BETWEEN = 26, 16, 24  # pixels: over a picture, between maps, between images and maps
BAR = 10  # pixels of height of a scale
_TOP = CAPTION + SIDE + 6  # of the scales
SIZE = (PHOTO + BETWEEN + 3 * SIDE + 2 * GAP, _TOP + BAR + CAPTION)
_HEAT = ((0, 0, 0), (87, 16, 9), (168, 42, 10), (224, 96, 18), (247, 170, 60), (255, 240, 200))


@dataclass(frozen=True, slots=True)
class Strip:
    """A picture. `size`: (width, height); `words`: (left, top, width, text) to be written over it."""

    png: bytes
    size: tuple[int, int]
    words: tuple[tuple[float, float, float, str], ...]


@dataclass(frozen=True, slots=True)
class ShiftStrip(Strip):
    """`image`, `shifted`: (left, top, width, height) of the image and of its shifted copy; `pixel`: how large one of
    their pixels is drawn."""

    image: tuple[int, int, int, int]
    shifted: tuple[int, int, int, int]
    pixel: float


@cache
def heat_palette() -> np.ndarray:
    """(256, 3) uint8: black is 0, then red, orange, nearly white."""
    anchors, places = np.array(_HEAT, float), np.linspace(0, 255, len(_HEAT))
    return np.stack([np.interp(np.arange(256), places, anchors[:, c]) for c in range(3)], 1).round().astype(np.uint8)


def difference_rgb(values: np.ndarray, peak: float, known: np.ndarray | None = None) -> np.ndarray:
    """|values| (H, W) → (H, W, 3) uint8, black at 0; gray where `known` (H, W) is False: nothing to compare."""
    colours = heat_palette()[to_levels(np.abs(values), 0.0, max(peak, 1e-12))]
    if known is not None:
        colours = np.where(known[:, :, None], colours, np.array(NEUTRAL, np.uint8))
    return colours


def shift_strip(
    before: np.ndarray,
    shifted: np.ndarray,
    moved: np.ndarray,
    after: np.ndarray,
    known: np.ndarray | None = None,
    peak: float | None = None,
) -> ShiftStrip:
    """`before`, `shifted`: uint8 (H, W, C); `moved` T(f(x)), `after` f(T(x)): (h, w), on one scale from 0 to their
    common peak, which the difference has as well, so that it is black where both are equal but for rounding.
    `known` (h, w): False is drawn gray in the difference. `peak`: where other maps have a part in it."""
    peak = find_peak(moved, after) if peak is None else max(peak, 1e-12)
    maps = [activation_rgb(moved, peak), activation_rgb(after, peak), difference_rgb(after - moved, peak, known)]
    canvas = np.full((SIZE[1], SIZE[0], 3), GUTTER, np.uint8)
    image, copy = (
        place_pixels(canvas, fit_photo(to_rgb(photo), PHOTO), CAPTION + number * (SIDE - PHOTO), 0, PHOTO)
        for number, photo in enumerate((before, shifted))
    )
    lefts = [PHOTO + BETWEEN + number * (SIDE + GAP) for number in range(3)]
    for left, pixels in zip(lefts, maps, strict=True):
        place_pixels(canvas, fit_map(pixels, SIDE), CAPTION, left, SIDE)
    for left, right, table in ((lefts[0], lefts[1] + SIDE, viridis()), (lefts[2], lefts[2] + SIDE, heat_palette())):
        canvas[_TOP : _TOP + BAR, left:right] = sample_palette(table, right - left)
    return ShiftStrip(rgb_png(canvas), SIZE, _place_words(lefts, peak), image, copy, image[2] / before.shape[1])


def find_peak(*maps: np.ndarray) -> float:
    """The largest magnitude of maps that share a scale; missing values do not count, and it is never 0."""
    return max(*(float(np.nanmax(np.abs(values), initial=0.0)) for values in maps), 1e-12)


def _place_words(lefts: list[int], peak: float) -> tuple[tuple[float, float, float, str], ...]:
    under, top = _TOP + BAR + 2, value_text(peak)
    titles = ("T(f(x)): the map, moved", "f(T(x)): of the moved image", "|difference|, black is 0")
    named = [(left, 0, SIDE, text) for left, text in zip(lefts, titles, strict=True)]
    photos = [(0, 0, PHOTO, "x, the image"), (0, SIDE - PHOTO, PHOTO, "T(x), the shifted image")]
    scales = [
        (lefts[0], under, 60, "0"),
        (lefts[0] + SIDE - 40, under, 140, "activation"),
        (lefts[1] + SIDE - 44, under, 60, top),
        (lefts[2], under, 60, "0"),
        (lefts[2] + SIDE - 44, under, 60, top),
    ]
    return tuple((float(a), float(b), float(c), text) for a, b, c, text in (*photos, *named, *scales))


def fit_map(pixels: np.ndarray, side: int) -> np.ndarray:
    """(h, w, 3) enlarged by a whole multiple to at most `side` pixels; larger ones lose rows and columns evenly."""
    longest = max(pixels.shape[:2])
    if longest > side:
        step = -(-longest // side)
        return pixels[::step, ::step]
    return enlarge(pixels, whole_factor(longest, side))


def fit_photo(pixels: np.ndarray, side: int) -> np.ndarray:
    """(h, w, 3) enlarged by a whole multiple, or reduced smoothly, to at most `side` pixels."""
    longest = max(pixels.shape[:2])
    if longest <= side:
        return enlarge(pixels, whole_factor(longest, side))
    size = (max(1, pixels.shape[1] * side // longest), max(1, pixels.shape[0] * side // longest))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def place_pixels(
    canvas: np.ndarray, pixels: np.ndarray, top: int, left: int, side: int, at_top: bool = False
) -> tuple[int, int, int, int]:
    """Draw `pixels` in the middle of a square field of the canvas, or with `at_top` at its upper edge, centred across.
    Returns (left, top, width, height) of what was drawn."""
    high, wide = pixels.shape[:2]
    top, left = top if at_top else top + (side - high) // 2, left + (side - wide) // 2
    canvas[top : top + high, left : left + wide] = pixels
    return left, top, wide, high
