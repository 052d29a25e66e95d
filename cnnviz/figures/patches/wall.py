"""Wall of a layer after Zeiler and Fergus, Figure 2: for each channel 3×3 patches beside 3×3 reconstructions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnviz.figures.base.colors import EMPTY, GUTTER
from cnnviz.figures.base.encode import fit_pixels

GAP, CAPTION, BESIDE = 2, 24, 14
LEAST = 82  # pixels of a block's width, for its caption


@dataclass(frozen=True, slots=True)
class Block:
    """One channel: its patches and reconstructions, uint8 (h, w, 3), strongest first. `caption`: under it.
    `reconstructions` is None where there are none."""

    channel: int
    patches: list[np.ndarray]
    reconstructions: list[np.ndarray] | None
    caption: str


def crisp_side(field: tuple[int, int], input_size: tuple[int, int], wanted: int) -> int:
    """Pixels of a tile's side, near `wanted`, that show a patch of `field` pixels at a whole multiple."""
    longest = max(min(f, n) for f, n in zip(field, input_size, strict=True))
    return wanted if longest > wanted else longest * max(1, round(wanted / longest))


ROWS, MOST = 5, 24  # of a page of the wall: rows of three blocks, and blocks at most
WIDTH, HEIGHT = 850, 620  # pixels of a screen for which a page at true scale is planned
WHOLE = 112  # pixels that a whole input measures at true scale
KEPT = 56  # pixels of a patch's side in the atlas at most


def plan_wall(
    field: tuple[int, int], input_size: tuple[int, int], channels: int, true: bool
) -> tuple[int, int, int | None]:
    """(blocks, kept, side): how many blocks a page of the wall holds, the pixels of a patch's side in the atlas, and
    how many it measures on the screen; None: as many as there is room for.

    `true`: one scale for all layers, at which the whole input measures about WHOLE pixels, so that patches are as
    large as what their units see."""
    longest = max(min(f, n) for f, n in zip(field, input_size, strict=True))
    if not true:
        return (2 if channels <= 6 else 3) * ROWS, min(longest, KEPT), None
    scale = WHOLE / max(input_size)
    side = max(2, round(longest * (int(scale) if scale >= 1 else scale)))
    high, wide = block_size(side)
    columns = min(MOST, max(1, (WIDTH + BESIDE) // (max(wide, LEAST) + BESIDE)))
    rows = max(1, min(MOST // columns, HEIGHT // (high + CAPTION + 8)))
    return columns * rows, min(longest, side), side


def block_size(side: int) -> tuple[int, int]:
    """(height, width) of a block: patches beside reconstructions."""
    half = 3 * (side + GAP) - GAP
    return half, 2 * half + 3 * GAP


def fit_tile(patch: np.ndarray, side: int) -> np.ndarray:
    """(side, side, 3): enlarged by a whole multiple with nearest neighbour and centred, or reduced."""
    patch = fit_pixels(patch, side)
    tile = np.full((side, side, 3), GUTTER, np.uint8)
    top, left = (side - patch.shape[0]) // 2, (side - patch.shape[1]) // 2
    tile[top : top + patch.shape[0], left : left + patch.shape[1]] = patch
    return tile


def fit_nine(patches: list[np.ndarray] | None, side: int) -> np.ndarray:
    """Nine patches as (9, side, side, 3); missing ones are pale."""
    cells = np.empty((9, side, side, 3), np.uint8)
    cells[:] = EMPTY
    for cell, patch in zip(cells, patches or [], strict=False):
        cell[:] = fit_tile(patch, side)
    return cells


def three_by_three(patches: list[np.ndarray] | None, side: int) -> np.ndarray:
    """Up to nine patches in rows of three as one picture, (3·side + gaps)²; missing ones are pale."""
    pitch = side + GAP
    canvas = np.full((3 * pitch - GAP, 3 * pitch - GAP, 3), GUTTER, np.uint8)
    for place, cell in enumerate(fit_nine(patches, side)):
        row, column = divmod(place, 3)
        canvas[row * pitch : row * pitch + side, column * pitch : column * pitch + side] = cell
    return canvas


def pair_cells(patches: list[np.ndarray], projections: list[np.ndarray | None]) -> np.ndarray:
    """Blocks (N, 3, 6, h, w, 3) for an atlas: nine patches (9, h, w, 3) each, and their projections beside them, pale
    where they are not there yet."""
    side = patches[0].shape[1]
    right = [fit_nine(None, side) if cells is None else cells for cells in projections]
    halves = [np.stack(part).reshape(len(patches), 3, 3, side, side, 3) for part in (patches, right)]
    return np.concatenate(halves, axis=2)


def find_contrast(signal: np.ndarray) -> float:
    """The magnitude at which a signed reconstruction has full contrast: its 99.5th percentile."""
    return max(float(np.percentile(np.abs(signal), 99.5)), 1e-12) if signal.size else 1.0


def reconstruction_rgb(signal: np.ndarray, peak: float | None = None) -> np.ndarray:
    """A signed reconstruction (C, h, w) as uint8 (h, w, 3): 0 is mid-gray, `peak` full contrast; None for its own, see
    `find_contrast`. One-channel signals are gray."""
    peak = find_contrast(signal) if peak is None else peak
    levels = np.clip(np.rint(128 + 127 * signal / peak), 0, 255).astype(np.uint8).transpose(1, 2, 0)
    if levels.shape[2] == 3:
        return levels
    return np.repeat(levels.astype(np.float32).mean(axis=2).round().astype(np.uint8)[:, :, None], 3, axis=2)
