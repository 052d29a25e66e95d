"""Top images of a unit in context: the whole image with the receptive field, the patch, and its reconstruction."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from cnnviz.figures.base.colors import FRAME, GUTTER, INK
from cnnviz.figures.base.encode import fit_pixels, rgb_png
from cnnviz.figures.base.mosaic import Mosaic
from cnnviz.figures.base.text import load_font, truncate
from cnnviz.figures.patches.wall import EMPTY, fit_tile

GAP, ROW_TITLE, LETTERS, LINE = 12, 26, 13, 24
TITLES = ("In the whole image", "What the unit sees", "Projected back to pixels")
PER_LINE = 9


@dataclass(frozen=True, slots=True)
class WinnerPictures:
    """One winner: `image` uint8 (H, W, 3) as the network received it, or None where only the patch is left; `box`
    (top, left, bottom, right) in it, the `patch` (h, w, 3), its `reconstruction` (h, w, 3) or None while it is
    computed, and lines of `words`."""

    image: np.ndarray | None
    box: tuple[int, int, int, int]
    patch: np.ndarray
    reconstruction: np.ndarray | None
    words: tuple[str, ...]


def winner_cells(seen: list[WinnerPictures], side: int) -> np.ndarray:
    """(N, 1, 3, side, side, 3) for an atlas: of each winner the whole image with the frame, what the unit sees, and its
    reconstruction; pale where there is none."""
    cells = [tile for one in seen for tile in _draw_tiles(one, side)]
    return np.stack(cells).reshape(len(seen), 1, 3, side, side, 3)


def winners_sheet(seen: list[WinnerPictures], side: int = 106) -> Mosaic:
    """Winners as columns, strongest first, nine a line; `side`: pixels of a picture's longer side at most."""
    pitch = side + GAP
    lines = max((len(one.words) for one in seen), default=0)
    high = 3 * (ROW_TITLE + side) + lines * LINE + 6
    rows = math.ceil(len(seen) / PER_LINE)
    columns = min(len(seen), PER_LINE)
    canvas = np.full((max(rows, 1) * (high + 10) - 10, max(columns * pitch - GAP, 200), 3), GUTTER, np.uint8)
    for number, one in enumerate(seen):
        row, column = divmod(number, PER_LINE)
        _draw_column(canvas, one, column * pitch, row * (high + 10), side)
    items = list(range(len(seen)))
    sheet = Mosaic(b"", items, PER_LINE, (high, side), (high + 10, pitch), 0, canvas.shape[1::-1])
    return replace(sheet, png=rgb_png(_write_words(canvas, list_words(sheet, seen))))


def list_words(sheet: Mosaic, seen: list[WinnerPictures]) -> list[tuple[int, int, int, str]]:
    """(left, top, width, text) of the titles of the rows, and then of the lines below each winner, in pixels of the
    sheet."""
    high, side = sheet.tile
    found = [
        (0, row * sheet.pitch[0] + number * (ROW_TITLE + side) + 4, sheet.size[0], title)
        for row in range(math.ceil(len(seen) / PER_LINE))
        for number, title in enumerate(TITLES)
    ]
    for number, one in enumerate(seen):
        row, column = divmod(number, PER_LINE)
        below = row * sheet.pitch[0] + 3 * (ROW_TITLE + side) + 3
        found += [
            (column * sheet.pitch[1], below + line * LINE, side + GAP - 4, text) for line, text in enumerate(one.words)
        ]
    return found


def _write_words(canvas: np.ndarray, words: list[tuple[int, int, int, str]]) -> np.ndarray:
    image = Image.fromarray(canvas)
    draw = ImageDraw.Draw(image)
    for left, top, room, text in words:
        colour = (91, 100, 112) if text in TITLES else INK
        draw.text((left, top), truncate(text, LETTERS, room), fill=colour, font=load_font(LETTERS)[0])
    return np.asarray(image)


def _draw_column(canvas: np.ndarray, one: WinnerPictures, left: int, top: int, side: int) -> None:
    """One winner from top to bottom."""
    for number, tile in enumerate(_draw_tiles(one, side)):
        start = top + number * (ROW_TITLE + side) + ROW_TITLE
        canvas[start : start + side, left : left + side] = tile


def _draw_tiles(one: WinnerPictures, side: int) -> list[np.ndarray]:
    """Its three pictures, (side, side, 3) each."""
    empty = np.full((side, side, 3), EMPTY, np.uint8)
    return [
        empty if one.image is None else draw_frame(one.image, one.box, side),
        fit_tile(one.patch, side),
        empty if one.reconstruction is None else fit_tile(one.reconstruction, side),
    ]


def draw_frame(image: np.ndarray, box: tuple[int, int, int, int], side: int) -> np.ndarray:
    """(side, side, 3): the image (H, W, 3) as large as fits, with a frame round `box`."""
    large, longest = fit_pixels(image, side), max(image.shape[:2])
    scale = side / longest if longest > side else large.shape[0] / image.shape[0]
    picture = Image.fromarray(large.copy())
    draw = ImageDraw.Draw(picture)
    top, left, bottom, right = (round(edge * scale) for edge in box)
    edges = left, top, max(right - 1, left + 2), max(bottom - 1, top + 2)
    draw.rectangle((edges[0] - 1, edges[1] - 1, edges[2] + 1, edges[3] + 1), outline=(255, 255, 255))
    edges = max(left, 0), max(top, 0), min(edges[2], large.shape[1] - 1), min(edges[3], large.shape[0] - 1)
    draw.rectangle(edges, outline=FRAME, width=2)
    return fit_tile(np.asarray(picture), side)
