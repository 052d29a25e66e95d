"""Wall of patches without reconstructions: for each channel its 3×3 strongest patches, and words below them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from cnnviz.figures.base.colors import INK
from cnnviz.figures.base.encode import rgb_png
from cnnviz.figures.base.text import load_font, text_width
from cnnviz.figures.patches.wall import GAP, three_by_three

LETTERS, LINE, BESIDE = 12, 16, 14


def patches_png(
    blocks: Sequence[tuple[list[np.ndarray], Sequence[str]]], columns: int, side: int
) -> tuple[bytes, tuple[int, int]]:
    """PNG and (width, height) of `blocks` = (patches uint8 (h, w, 3), lines of words below them), `columns` a row.

    `side`: pixels of a patch; smaller ones are enlarged by whole multiples with nearest neighbour."""
    block = 3 * (side + GAP) - GAP
    high = block + LINE * max((len(lines) for _patches, lines in blocks), default=0) + 8
    rows, columns = math.ceil(len(blocks) / columns), min(columns, max(len(blocks), 1))
    canvas = Image.new("RGB", (columns * (block + BESIDE) - BESIDE, max(rows, 1) * high), (255, 255, 255))
    draw = ImageDraw.Draw(canvas)
    for number, (patches, lines) in enumerate(blocks):
        row, column = divmod(number, columns)
        left, top = column * (block + BESIDE), row * high
        canvas.paste(Image.fromarray(three_by_three(patches, side)), (left, top))
        for place, line in enumerate(lines):
            text = _cut_text(line, block + BESIDE - 4)
            draw.text((left, top + block + 2 + place * LINE), text, fill=INK, font=load_font(LETTERS)[0])
    return rgb_png(np.asarray(canvas)), canvas.size


def _cut_text(text: str, room: int) -> str:
    while text and text_width(text, LETTERS) > room:
        text = text[:-1]
    return text
