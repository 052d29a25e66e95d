"""Printed sheet of a layer (PDF, PNG) after Zeiler and Fergus, Figure 2: pages of units, patches beside
reconstructions, or patches alone where there are no others."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from cnnviz.figures.base.colors import INK
from cnnviz.figures.base.encode import whole_factor
from cnnviz.figures.base.text import load_font, text_width
from cnnviz.figures.patches.wall import Block, block_size, three_by_three

DPI = 300
PAPER = (2480, 3508)  # pixels: A4 upright at 300 per inch
MARGIN, TITLE, CAPTION, BESIDE, BELOW = 140, 110, 34, 46, 26
LETTERS = 26  # pixels of a caption's letters
COLUMNS = 4


def choose_columns(units: int, paired: bool = True) -> int:
    """Units side by side: fewer and larger for small layers, so that a layer takes few pages."""
    columns = COLUMNS if units <= 144 else 6 if units <= 400 else 8
    return columns if paired else columns + 2


def caption_room(columns: int, paired: bool = True) -> int:
    """Pixels that a caption may be wide."""
    return block_size(patch_side(columns, paired))[paired] + BESIDE - LETTERS // 2


def patch_side(columns: int = COLUMNS, paired: bool = True) -> int:
    """Pixels of a patch, so that `columns` units fill the width of the paper. `paired`: with reconstructions."""
    room = (PAPER[0] - 2 * MARGIN - (columns - 1) * BESIDE) // columns
    side = 2
    while block_size(side + 1)[paired] <= room:
        side += 1
    return side


def _crisp_side(blocks: Sequence[Block], room: int) -> int:
    """Pixels of a patch's side, at most `room`, that show the largest patch at a whole multiple."""
    longest = max((max(p.shape[:2]) for block in blocks for p in block.patches), default=room)
    return room if longest > room else longest * whole_factor(longest, room)


def layer_pages(blocks: Sequence[Block], title: str, note: str, columns: int = COLUMNS) -> list[Image.Image]:
    """All units as pages of A4 at 300 dpi, in reading order; `title` and `note` stand at the head of each page.

    Patches are enlarged by whole multiples with nearest neighbour, or reduced where they are larger."""
    paired = any(block.reconstructions is not None for block in blocks)
    side = _crisp_side(blocks, patch_side(columns, paired))
    high = block_size(side)[0] + CAPTION + BELOW
    rows = (PAPER[1] - 2 * MARGIN - TITLE) // high
    each = rows * columns
    count = max(1, math.ceil(len(blocks) / each))
    return [
        _draw_page(blocks[n * each : (n + 1) * each], title, f"{note} · page {n + 1} of {count}", columns, side, paired)
        for n in range(count)
    ]


def _draw_page(blocks: Sequence[Block], title: str, note: str, columns: int, side: int, paired: bool) -> Image.Image:
    high, wide = block_size(side)
    pitch = block_size(patch_side(columns, paired))[paired] + BESIDE
    used = math.ceil(len(blocks) / columns) * (high + CAPTION + BELOW)
    page = Image.new("RGB", (PAPER[0], min(PAPER[1], 2 * MARGIN + TITLE + used)), (255, 255, 255))
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, MARGIN), title, fill=INK, font=_fit_font(title, 50, True))
    draw.text((MARGIN, MARGIN + 60), note, fill=(91, 100, 112), font=_fit_font(note, 32, False))
    for number, block in enumerate(blocks):
        row, column = divmod(number, columns)
        left, top = MARGIN + column * pitch, MARGIN + TITLE + row * (high + CAPTION + BELOW)
        page.paste(Image.fromarray(three_by_three(block.patches, side)), (left, top))
        if paired:
            low = three_by_three(block.reconstructions, side)
            page.paste(Image.fromarray(low), (left + wide - low.shape[1], top))
        draw.text((left, top + high + 4), block.caption, fill=INK, font=load_font(LETTERS)[0])
    return page


def _fit_font(text: str, size: int, bold: bool) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    room = PAPER[0] - 2 * MARGIN
    return load_font(max(12, min(size, int(size * room / max(text_width(text, size, bold), 1)))), bold)[0]


def pdf_bytes(pages: Sequence[Image.Image]) -> bytes:
    """One PDF of all pages, A4. Pillow stores colour pictures in a PDF as JPEG; the PNG is without loss."""
    buffer = io.BytesIO()
    full = [_pad_to_paper(page) for page in pages]
    full[0].save(buffer, "PDF", save_all=True, append_images=full[1:], resolution=DPI, quality=95, subsampling=0)
    return buffer.getvalue()


def _pad_to_paper(page: Image.Image) -> Image.Image:
    whole = Image.new("RGB", PAPER, (255, 255, 255))
    whole.paste(page, (0, 0))
    return whole


def png_bytes(pages: Sequence[Image.Image]) -> bytes:
    """All pages below each other as one PNG of 300 dpi."""
    canvas = Image.new("RGB", (PAPER[0], sum(page.height for page in pages)), (255, 255, 255))
    top = 0
    for page in pages:
        canvas.paste(page, (0, top))
        top += page.height
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG", dpi=(DPI, DPI), compress_level=4)
    return buffer.getvalue()
