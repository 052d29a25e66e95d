"""The wall of Zeiler and Fergus, Figure 2: for each channel 3×3 patches beside 3×3 reconstructions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cnnviz.figures.colors import INK
from cnnviz.figures.encode import enlarge, rgb_png, whole_factor
from cnnviz.figures.mosaic import Mosaic

GAP, CAPTION = 2, 20
EMPTY = (236, 238, 241)


@dataclass(frozen=True, slots=True)
class Block:
    """One channel: its patches and reconstructions, uint8 (h, w, 3), strongest first. `caption`: under it.
    `reconstructions` is None while they are still being computed."""

    channel: int
    patches: list[np.ndarray]
    reconstructions: list[np.ndarray] | None
    caption: str


def crisp_side(field: tuple[int, int], input_size: tuple[int, int], wanted: int) -> int:
    """Pixels of a tile's side, near `wanted`, that show a patch of `field` pixels at a whole multiple."""
    longest = max(min(f, n) for f, n in zip(field, input_size, strict=True))
    return wanted if longest > wanted else longest * max(1, round(wanted / longest))


def fit_tile(patch: np.ndarray, side: int) -> np.ndarray:
    """(side, side, 3): enlarged by a whole multiple with nearest neighbour and centred, or reduced."""
    longest = max(patch.shape[:2])
    if longest > side:
        scale = side / longest
        size = max(1, round(patch.shape[1] * scale)), max(1, round(patch.shape[0] * scale))
        patch = np.asarray(Image.fromarray(patch).resize(size, Image.Resampling.BOX))
    else:
        patch = enlarge(patch, whole_factor(longest, side))
    tile = np.full((side, side, 3), 255, np.uint8)
    top, left = (side - patch.shape[0]) // 2, (side - patch.shape[1]) // 2
    tile[top : top + patch.shape[0], left : left + patch.shape[1]] = patch
    return tile


def three_by_three(patches: list[np.ndarray] | None, side: int) -> np.ndarray:
    """Up to nine patches in rows of three, (3·side + gaps)²; missing ones are pale."""
    pitch = side + GAP
    canvas = np.full((3 * pitch - GAP, 3 * pitch - GAP, 3), 255, np.uint8)
    for place in range(9):
        row, column = divmod(place, 3)
        cell = canvas[row * pitch : row * pitch + side, column * pitch : column * pitch + side]
        cell[:] = fit_tile(patches[place], side) if patches and place < len(patches) else EMPTY
    return canvas


def patch_wall(blocks: list[Block], columns: int, side: int) -> Mosaic:
    """Blocks in rows; `side`: pixels of one patch. A block is patches on the left, reconstructions right."""
    half = 3 * (side + GAP) - GAP
    high, wide = half, 2 * half + 3 * GAP
    pitch = high + CAPTION + 8, wide + 14
    rows = math.ceil(len(blocks) / columns)
    canvas = Image.new("RGB", (columns * pitch[1] - 14 + 4, rows * pitch[0] + 4), (255, 255, 255))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(size=13)
    for number, block in enumerate(blocks):
        row, column = divmod(number, columns)
        left, top = 2 + column * pitch[1], 2 + row * pitch[0]
        canvas.paste(Image.fromarray(three_by_three(block.patches, side)), (left, top))
        right = left + half + 3 * GAP
        canvas.paste(Image.fromarray(three_by_three(block.reconstructions, side)), (right, top))
        draw.text((left, top + high + 3), block.caption, fill=INK, font=font)
    items = [block.channel for block in blocks]
    return Mosaic(rgb_png(np.asarray(canvas)), items, columns, (high, wide), pitch, 2, canvas.size)


def reconstruction_rgb(signal: np.ndarray) -> np.ndarray:
    """A signed reconstruction (C, h, w) as uint8 (h, w, 3): 0 is mid-gray, its 99.5th percentile full
    contrast. One-channel signals are gray."""
    peak = max(float(np.percentile(np.abs(signal), 99.5)), 1e-12) if signal.size else 1.0
    levels = np.clip(np.rint(128 + 127 * signal / peak), 0, 255).astype(np.uint8).transpose(1, 2, 0)
    if levels.shape[2] == 3:
        return levels
    return np.repeat(levels.astype(np.float32).mean(axis=2).round().astype(np.uint8)[:, :, None], 3, axis=2)
