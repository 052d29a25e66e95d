"""What a network received, a signed map, a filter's card; and which unit lies under a pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.colors import GUTTER, signed_rgb
from cnnviz.figures.base.encode import enlarge, rgb_png, whole_factor

if TYPE_CHECKING:
    from cnnviz.probes.filters import FirstLayerFilters

Size = tuple[int, int]
SHOWN = 448  # pixels of the longer side of an enlarged input
EMPTY = (236, 238, 241)
ZERO = "0 everywhere"
VEIL = 0.82  # how much of a picture without a map is EMPTY: the words on it must be readable


def to_rgb(received: np.ndarray) -> np.ndarray:
    """uint8 (H, W, C) with any C → (H, W, 3); the mean over channels where they are not RGB."""
    if received.shape[2] == 3:
        return received
    gray = received.mean(axis=2).round().astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, axis=2)


def veil(image: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) → the same, nearly white: a photograph that has no map to show, for words to stand on."""
    gray = image.astype(np.float32).mean(axis=2, keepdims=True)
    return ((1 - VEIL) * gray + VEIL * np.array(EMPTY, np.float32)).round().astype(np.uint8)


def input_picture(received: np.ndarray, silent: bool) -> tuple[bytes, Size]:
    """What a network received, uint8 (H, W, C), enlarged by a whole multiple; `silent`: nearly white, for a channel
    without a value above 0. PNG and its size."""
    image = to_rgb(received)
    large = enlarge(image, whole_factor(max(image.shape[:2]), SHOWN))
    return rgb_png(veil(large) if silent else large), (large.shape[1], large.shape[0])


def unit_at(x: float, y: float, shape: Size, input_size: Size) -> Size:
    """(row, col) of the unit at pixel (x, y) of `input_picture`'s picture, with the map stretched over it."""
    factor = whole_factor(max(input_size), SHOWN)
    row = int(y / (input_size[0] * factor) * shape[0])
    col = int(x / (input_size[1] * factor) * shape[1])
    return min(max(row, 0), shape[0] - 1), min(max(col, 0), shape[1] - 1)


def scale_box(box: tuple[int, int, int, int], input_size: Size, shown: Size) -> tuple[float, float, float, float]:
    """(left, top, width, height) in a picture of `shown` = (width, height) of a box in the input."""
    top, left, bottom, right = box
    wide, high = shown[0] / input_size[1], shown[1] / input_size[0]
    return left * wide, top * high, (right - left) * wide, (bottom - top) * high


def signed_map(values: np.ndarray, wanted: int) -> tuple[bytes, Size]:
    """A map (h, w) in blue–white–red about 0, enlarged by nearest neighbour. PNG and size."""
    pixels = enlarge(signed_rgb(values), whole_factor(max(values.shape), wanted))
    return rgb_png(pixels), (pixels.shape[1], pixels.shape[0])


def filter_card(filters: FirstLayerFilters, number: int, side: int) -> bytes:
    """One filter's tile as a square PNG of `side` pixels, enlarged by a whole multiple and centred."""
    from cnnviz.figures.base.charts import signed_tiles

    tile = signed_tiles(filters.tiles[number : number + 1])[0]
    large = enlarge(tile, whole_factor(max(tile.shape[:2]), side))
    canvas = np.full((side, side, 3), GUTTER, np.uint8)
    top, left = (side - large.shape[0]) // 2, (side - large.shape[1]) // 2
    canvas[top : top + large.shape[0], left : left + large.shape[1]] = large
    return rgb_png(canvas)
