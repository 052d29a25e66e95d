"""Printed sheet of preferred inputs (PDF, PNG): one image a channel with its number and its activation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from cnnviz.figures.base.colors import INK
from cnnviz.figures.base.encode import whole_factor
from cnnviz.figures.base.text import load_font, shorten
from cnnviz.figures.patches.sheet import BELOW, BESIDE, CAPTION, LETTERS, MARGIN, PAPER, TITLE
from cnnviz.figures.patches.wall import fit_tile

FAINT = (91, 100, 112)


@dataclass(frozen=True, slots=True)
class PrintedImage:
    """`image` uint8 (h, w, 3), and the words below it."""

    image: np.ndarray
    caption: str


def image_pages(images: Sequence[PrintedImage], title: str, note: str) -> list[Image.Image]:
    """Images as pages of A4 at 300 dpi, in reading order; `title` and `note` stand at the head of each page.

    Images are enlarged by whole multiples with nearest neighbour, or reduced where they are larger."""
    columns = 1 if len(images) == 1 else 4 if len(images) <= 24 else 8
    room = (PAPER[0] - 2 * MARGIN - (columns - 1) * BESIDE) // columns
    longest = max(max(one.image.shape[:2]) for one in images)
    side = room if longest > room else longest * whole_factor(longest, room)
    rows = max(1, (PAPER[1] - 2 * MARGIN - TITLE) // (side + CAPTION + BELOW))
    each = rows * columns
    count = math.ceil(len(images) / each)
    parts = [images[start : start + each] for start in range(0, len(images), each)]
    notes = [note if count == 1 else f"{note} · page {number} of {count}" for number in range(1, count + 1)]
    return [_draw_page(part, title, said, columns, side, room) for part, said in zip(parts, notes, strict=True)]


def _draw_page(
    images: Sequence[PrintedImage], title: str, note: str, columns: int, side: int, room: int
) -> Image.Image:
    high = side + CAPTION + BELOW
    page = Image.new("RGB", (PAPER[0], 2 * MARGIN + TITLE + math.ceil(len(images) / columns) * high), (255, 255, 255))
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, MARGIN), shorten(title, 50, PAPER[0] - 2 * MARGIN), fill=INK, font=load_font(50, True)[0])
    draw.text((MARGIN, MARGIN + 60), shorten(note, 32, PAPER[0] - 2 * MARGIN), fill=FAINT, font=load_font(32)[0])
    for number, one in enumerate(images):
        row, column = divmod(number, columns)
        left, top = MARGIN + column * (room + BESIDE), MARGIN + TITLE + row * high
        page.paste(Image.fromarray(fit_tile(one.image, side)), (left, top))
        draw.text((left, top + side + 4), shorten(one.caption, LETTERS, room), fill=INK, font=load_font(LETTERS)[0])
    return page
