"""Wall of a layer after Zeiler and Fergus, Figure 2: for each channel 3×3 patches beside 3×3 reconstructions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cnnviz.figures.base.colors import INK
from cnnviz.figures.base.encode import fit_pixels, rgb_png
from cnnviz.figures.base.mosaic import Mosaic

GAP, CAPTION, BESIDE = 2, 24, 14
LETTERS = 13  # pixels of a caption
LEAST = 82  # pixels of a block's width, for its caption
EMPTY = (236, 238, 241)


@dataclass(frozen=True, slots=True)
class Block:
    """One channel: its patches and reconstructions, uint8 (h, w, 3), strongest first, or either as the picture that
    `three_by_three` has made of them. `caption`: under it. `reconstructions` is None while they are still being
    computed."""

    channel: int
    patches: list[np.ndarray] | np.ndarray
    reconstructions: list[np.ndarray] | np.ndarray | None
    caption: str


def crisp_side(field: tuple[int, int], input_size: tuple[int, int], wanted: int) -> int:
    """Pixels of a tile's side, near `wanted`, that show a patch of `field` pixels at a whole multiple."""
    longest = max(min(f, n) for f, n in zip(field, input_size, strict=True))
    return wanted if longest > wanted else longest * max(1, round(wanted / longest))


ROWS, WIDTH, HEIGHT, MOST = 4, 850, 620, 24  # of a page of the wall: rows, room in pixels, blocks at most
WHOLE = 112  # pixels that a whole input measures at true scale


def plan_wall(field: tuple[int, int], input_size: tuple[int, int], channels: int, true: bool) -> tuple[int, int, int]:
    """(columns, rows, side): how many blocks a page of the wall holds, and the pixels of a patch's side.

    `true`: one scale for all layers, at which the whole input measures about WHOLE pixels, so that patches are as
    large as what their units see; otherwise patches are enlarged, or reduced, to what can be seen well."""
    if not true:
        columns = 2 if channels <= 6 else 3
        return columns, ROWS, crisp_side(field, input_size, 66 if columns == 2 else 44)
    longest = max(min(f, n) for f, n in zip(field, input_size, strict=True))
    scale = WHOLE / max(input_size)
    side = max(2, round(longest * (int(scale) if scale >= 1 else scale)))
    high, wide = block_size(side)
    columns = max(1, (WIDTH + BESIDE) // (max(wide, LEAST) + BESIDE))
    rows = max(1, HEIGHT // (high + CAPTION + 8))
    return min(columns, MOST), max(1, min(rows, MOST // min(columns, MOST))), side


def block_size(side: int) -> tuple[int, int]:
    """(height, width) of a block: patches beside reconstructions."""
    half = 3 * (side + GAP) - GAP
    return half, 2 * half + 3 * GAP


def fit_tile(patch: np.ndarray, side: int) -> np.ndarray:
    """(side, side, 3): enlarged by a whole multiple with nearest neighbour and centred, or reduced."""
    patch = fit_pixels(patch, side)
    tile = np.full((side, side, 3), 255, np.uint8)
    top, left = (side - patch.shape[0]) // 2, (side - patch.shape[1]) // 2
    tile[top : top + patch.shape[0], left : left + patch.shape[1]] = patch
    return tile


def three_by_three(patches: list[np.ndarray] | np.ndarray | None, side: int) -> np.ndarray:
    """Up to nine patches in rows of three, (3·side + gaps)²; missing ones are pale. A finished picture stays."""
    if isinstance(patches, np.ndarray):
        return patches
    pitch = side + GAP
    canvas = np.full((3 * pitch - GAP, 3 * pitch - GAP, 3), 255, np.uint8)
    for place in range(9):
        row, column = divmod(place, 3)
        cell = canvas[row * pitch : row * pitch + side, column * pitch : column * pitch + side]
        cell[:] = fit_tile(patches[place], side) if patches and place < len(patches) else EMPTY
    return canvas


def patch_wall(blocks: list[Block], columns: int, side: int, captions: bool = True) -> Mosaic:
    """Blocks in rows; `side`: pixels of one patch. A block is patches on the left, reconstructions right. Without
    `captions` their place stays free, see `list_captions`."""
    high, wide = block_size(side)
    pitch = high + CAPTION + 8, max(wide, LEAST) + BESIDE
    rows = math.ceil(len(blocks) / columns)
    canvas = np.full((rows * pitch[0] + 4, columns * pitch[1] - BESIDE + 4, 3), 255, np.uint8)
    items = [block.channel for block in blocks]
    for number, block in enumerate(blocks):
        top, left = (2 + n * p for n, p in zip(divmod(number, columns), pitch, strict=True))
        canvas[top : top + high, left : left + high] = three_by_three(block.patches, side)
        right = left + high + 3 * GAP
        canvas[top : top + high, right : right + high] = three_by_three(block.reconstructions, side)
    wall = Mosaic(b"", items, columns, (high, wide), pitch, 2, canvas.shape[1::-1])
    return replace(wall, png=rgb_png(_write_captions(canvas, list_captions(wall, blocks)) if captions else canvas))


def list_captions(wall: Mosaic, blocks: list[Block]) -> list[tuple[int, int, int, str]]:
    """(left, top, width, words) of the caption of each block, in pixels of the wall; as much of it as has room."""
    font, found = ImageFont.load_default(size=LETTERS), []
    for block in blocks:
        left, top, wide, high = wall.box(block.channel) or (0, 0, 0, 0)
        room = max(wide, LEAST)
        found.append((left, top + high + 3, room, _drop_words(block.caption, font, room)))
    return found


def _write_captions(canvas: np.ndarray, captions: list[tuple[int, int, int, str]]) -> np.ndarray:
    image = Image.fromarray(canvas)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=LETTERS)
    for left, top, _room, words in captions:
        draw.text((left, top), words, fill=INK, font=font)
    return np.asarray(image)


def _drop_words(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: int) -> str:
    """As many of the parts of `text`, joined by " · ", as fit."""
    parts = text.split(" · ")
    while len(parts) > 1 and font.getlength(" · ".join(parts)) > room:
        parts.pop()
    return " · ".join(parts)


def reconstruction_rgb(signal: np.ndarray) -> np.ndarray:
    """A signed reconstruction (C, h, w) as uint8 (h, w, 3): 0 is mid-gray, its 99.5th percentile full
    contrast. One-channel signals are gray."""
    peak = max(float(np.percentile(np.abs(signal), 99.5)), 1e-12) if signal.size else 1.0
    levels = np.clip(np.rint(128 + 127 * signal / peak), 0, 255).astype(np.uint8).transpose(1, 2, 0)
    if levels.shape[2] == 3:
        return levels
    return np.repeat(levels.astype(np.float32).mean(axis=2).round().astype(np.uint8)[:, :, None], 3, axis=2)
