"""Mosaic of feature maps or filters: many tiles in one picture, with readable indices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cnnviz.figures.base.colors import GUTTER, LETTER, to_levels, viridis
from cnnviz.figures.base.encode import enlarge, palette_png, rgb_png, whole_factor

SCALES = ("common", "each")
CAPTION = 16  # pixels of height under each tile
FONT = 13  # pixels
LEAST = 12  # pixels of a tile's longer side, however many there are
CAPTIONED = 150  # more tiles than these are shown without numbers: they would hide the maps
STRETCH = 1.13  # a wall may grow so much beyond the height asked for


@dataclass(frozen=True, slots=True)
class Mosaic:
    """A picture of equal tiles in rows. `items`: what each cell shows, row by row (e.g. channel numbers).
    `tile`: (height, width) of a tile in pixels; `pitch`: distance of two tiles; `margin`: first tile's offset."""

    png: bytes
    items: list[int]
    columns: int
    tile: tuple[int, int]
    pitch: tuple[int, int]
    margin: int
    size: tuple[int, int]

    def box(self, item: int) -> tuple[int, int, int, int] | None:
        """(left, top, width, height) of an item's tile in the picture; None if it is not shown."""
        if item not in self.items:
            return None
        row, column = divmod(self.items.index(item), self.columns)
        left, top = self.margin + column * self.pitch[1], self.margin + row * self.pitch[0]
        return left, top, self.tile[1], self.tile[0]


def plan_grid(count: int, shape: tuple[int, int], width: int, height: int, captions: bool) -> tuple[int, int]:
    """(columns, pixels for a tile's longer side) for `count` maps of `shape` = (h, w) in width × height pixels.

    The columns let tiles grow largest; if the next whole multiple needs up to STRETCH times the height, it is
    taken, so that pixels stay large enough to be seen."""
    ratio, gap, side = shape[0] / shape[1], CAPTION if captions else 2, max(shape)
    room = {c: min(width / c - 2, (height / math.ceil(count / c) - gap) / ratio) for c in range(1, count + 1)}
    columns = max(room, key=lambda c: (room[c], c))
    fits = max(LEAST, int(room[columns] * max(1.0, ratio)))
    larger = (fits // side + 1) * side
    wide, high = larger * shape[1] // side + 2, larger * shape[0] // side + gap
    fewer = min(count, width // wide)
    if fewer and math.ceil(count / fewer) * high <= STRETCH * height:
        return fewer, larger
    return columns, fits


def maps_mosaic(
    maps: np.ndarray, channels: list[int] | None = None, scale: str = "common", width: int = 880, height: int = 640
) -> Mosaic:
    """Feature maps (C, H, W) as one viridis picture of about width × height pixels.

    `channels`: which, in this order; None shows all. `scale`: "common", one peak for the layer; "each",
    every map fills its range. Negative values show as 0. Enlarged by nearest neighbour; maps larger than
    their cell are reduced by the maximum over blocks, so that no peak is lost."""
    chosen = list(range(len(maps))) if channels is None else channels
    shown = np.maximum(np.nan_to_num(maps[chosen], nan=0.0), 0)
    peaks = shown.max(axis=(1, 2), keepdims=True)
    peaks = np.full_like(peaks, peaks.max(initial=0.0)) if scale == "common" else peaks
    captions = len(chosen) <= CAPTIONED
    columns, room = plan_grid(len(chosen), maps.shape[1:], width, height, captions)
    levels = to_levels(_fit_maps(shown, room), 0.0, np.maximum(peaks, 1e-12))
    palette = np.concatenate([viridis()[::2][:126], [viridis()[-1]], [np.array(GUTTER)], [np.array(LETTER)]])
    levels = np.minimum(levels // 2, 126).astype(np.uint8)
    canvas, geometry = _place_tiles(levels, columns, chosen, 127, 128, captions)
    return Mosaic(palette_png(canvas, palette.astype(np.uint8), clear=127), chosen, *geometry)


def tiles_mosaic(
    tiles: np.ndarray, items: list[int] | None = None, width: int = 880, height: int = 640, captions: bool = True
) -> Mosaic:
    """uint8 tiles (N, H, W, 3 or 1) as one picture, enlarged by nearest neighbour to a whole multiple."""
    chosen = list(range(len(tiles))) if items is None else items
    captions = captions and len(tiles) <= CAPTIONED
    columns, room = plan_grid(len(tiles), tiles.shape[1:3], width, height, captions)
    large = np.stack([enlarge(t, whole_factor(max(t.shape[:2]), room)) for t in tiles])
    colours = zip(np.moveaxis(large, 3, 0), GUTTER, LETTER, strict=False)
    channels = [_place_tiles(part, columns, chosen, gutter, ink, captions) for part, gutter, ink in colours]
    canvas = np.stack([c for c, _ in channels], 2)
    return Mosaic(rgb_png(canvas), chosen, *channels[0][1])


def _fit_maps(maps: np.ndarray, room: int) -> np.ndarray:
    """Maps (C, H, W) enlarged by a whole multiple to at most `room` pixels, or reduced by block maxima."""
    side = max(maps.shape[1:])
    if side <= room:
        factor = whole_factor(side, room)
        return maps.repeat(factor, axis=1).repeat(factor, axis=2)
    block = math.ceil(side / room)
    pad = [(0, 0)] + [(0, -n % block) for n in maps.shape[1:]]
    padded = np.pad(maps, pad)
    count, rows, cols = padded.shape
    return padded.reshape(count, rows // block, block, cols // block, block).max(axis=(2, 4))


Geometry = tuple[int, tuple[int, int], tuple[int, int], int, tuple[int, int]]


def _place_tiles(
    tiles: np.ndarray, columns: int, items: list[int], gutter: int, ink: int, captions: bool = True
) -> tuple[np.ndarray, Geometry]:
    """Place uint8 tiles (N, h, w) on a canvas with their numbers below."""
    count, high, wide = tiles.shape
    label_wide = max(_draw_label(str(item)).shape[1] for item in items) if captions else 0
    gap = CAPTION if captions else 2
    pitch = (high + gap, max(wide, label_wide) + 2)
    rows = math.ceil(count / columns)
    margin = 1
    size = (rows * pitch[0] + margin, columns * pitch[1] + margin)
    canvas = np.full(size, gutter, np.uint8)
    for cell, (tile, item) in enumerate(zip(tiles, items, strict=True)):
        row, column = divmod(cell, columns)
        top, left = margin + row * pitch[0], margin + column * pitch[1]
        canvas[top : top + high, left : left + wide] = tile
        if captions:
            label = _draw_label(str(item))
            area = canvas[top + high + 1 : top + high + 1 + label.shape[0], left : left + label.shape[1]]
            area[label[: area.shape[0], : area.shape[1]]] = ink
    return canvas, (columns, (high, wide), pitch, margin, (size[1], size[0]))


@cache
def _draw_glyph(character: str) -> np.ndarray:
    font = ImageFont.load_default(size=FONT)
    image = Image.new("1", (max(1, round(font.getlength(character))), CAPTION - 2), 0)
    ImageDraw.Draw(image).text((0, -1), character, fill=1, font=font)
    return np.asarray(image)


@cache
def _draw_label(text: str) -> np.ndarray:
    """A caption as a boolean picture, CAPTION - 2 pixels high."""
    return np.concatenate([_draw_glyph(character) for character in text], axis=1)
