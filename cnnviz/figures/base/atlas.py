"""Atlas of tiles: maps, filters or patches in one small picture, which a browser lays out, enlarges and reads."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cnnviz.figures.base.colors import signed_palette, to_levels, viridis
from cnnviz.figures.base.encode import rgb_png

MOST = 2_000_000  # pixels of an atlas: more are reduced
CODES = ("activation", "signed", "rgb")


@dataclass(frozen=True, slots=True)
class Atlas:
    """Equal tiles in rows, without gaps, one pixel a unit.

    `png`: gray levels, or RGB. `columns`: tiles a row. `tile`: (height, width) in pixels of one cell of a tile;
    `cells`: (rows, columns) of cells that a tile consists of, side by side. `units`: (rows, columns) that can be told
    apart in a tile: the units of a map, or the cells. `block`: side of the square of units that a pixel stands for.
    `code`: what a level means: "activation", `top` · level / 255; "signed", `top` · (level − 128) / 127; "rgb", the
    colour itself, whose channels are signed values where there is a `top`. `tops`: for each tile the value of full
    contrast; none where levels are no values. `clipped`: values below 0 are drawn as 0."""

    png: bytes
    columns: int
    tile: tuple[int, int]
    cells: tuple[int, int]
    units: tuple[int, int]
    block: int
    code: str
    tops: list[float]
    clipped: bool = False

    @property
    def palette(self) -> np.ndarray | None:
        """(256, 3) uint8: the colour of each gray level; None for RGB."""
        return {"activation": viridis(), "signed": signed_palette()}.get(self.code)


def maps_atlas(
    maps: np.ndarray, channels: list[int] | None = None, scale: str = "common", peak: float | None = None
) -> Atlas:
    """Feature maps (C, H, W) as gray levels, 0 to 255 from 0 to the peak; negative and missing values show as 0.

    `channels`: which, in this order; None shows all. `scale`: "common", one peak for all that are given, also those
    that are not shown; "each", every map fills its range. `peak`: the common one, where other maps have a part in it.
    Maps of more than MOST pixels together are reduced by the maximum over square blocks: a single strong unit stays as
    bright as it is, which a mean would hide."""
    chosen = list(range(len(maps))) if channels is None else channels
    block = _choose_block((len(chosen), *maps.shape[1:]))
    shown = _reduce_maps(np.fmax(maps[chosen], 0), block)  # fmax: what is missing is 0
    peaks = shown.max(axis=(1, 2), initial=0.0)
    if scale == "common":
        peaks = np.full(len(chosen), find_peak(maps) if peak is None else peak)
    peaks = np.minimum(peaks, np.finfo(np.float32).max)  # infinite values shine, and the others are there
    levels = to_levels(shown, 0.0, np.maximum(peaks, 1e-12)[:, None, None])
    png, columns = _encode_tiles(levels)
    tops, below = [float(peak) for peak in peaks], bool((maps < 0).any())
    return Atlas(png, columns, levels.shape[1:], (1, 1), maps.shape[1:], block, "activation", tops, below)


def find_peak(maps: np.ndarray) -> float:
    """The largest value of maps, 0 at least; missing values do not count."""
    return float(np.fmax.reduce(maps, axis=None, initial=0.0))


def filters_atlas(tiles: np.ndarray, scale: np.ndarray) -> Atlas:
    """Kernels as `first_layer_filters` gives them: uint8 tiles (F, h, w, 3 or 1), 128 = 0, and the magnitude (F,) of
    full contrast."""
    coloured = tiles.shape[3] == 3
    png, columns = _encode_tiles(tiles if coloured else tiles[..., 0])
    shape = tiles.shape[1:3]
    return Atlas(png, columns, shape, (1, 1), shape, 1, "rgb" if coloured else "signed", [float(s) for s in scale])


def cells_atlas(cells: np.ndarray) -> Atlas:
    """Pictures that stand together: uint8 (N, rows, columns, h, w, 3), e.g. nine patches beside nine projections."""
    count, rows, columns, high, wide, channels = cells.shape
    joined = cells.transpose(0, 1, 3, 2, 4, 5).reshape(count, rows * high, columns * wide, channels)
    png, across = _encode_tiles(joined)
    return Atlas(png, across, (high, wide), (rows, columns), (rows, columns), 1, "rgb", [])


def _choose_block(shape: tuple[int, ...]) -> int:
    """The smallest side of a block with which maps (C, H, W) take MOST pixels at most."""
    count, height, width = shape
    block = 1
    while count * math.ceil(height / block) * math.ceil(width / block) > MOST and block < max(height, width):
        block += 1
    return block


def _reduce_maps(maps: np.ndarray, block: int) -> np.ndarray:
    """Maps (C, H, W), not negative, by the maximum over blocks; those at the far edges may be smaller."""
    if block == 1:
        return maps
    padded = np.pad(maps, [(0, 0), *((0, -n % block) for n in maps.shape[1:])])
    count, rows, cols = padded.shape
    return padded.reshape(count, rows // block, block, cols // block, block).max(axis=(2, 4))


def _encode_tiles(tiles: np.ndarray) -> tuple[bytes, int]:
    """uint8 tiles (N, h, w) or (N, h, w, 3) in rows, about as high as wide, as PNG; and the tiles of a row."""
    count, high, wide = tiles.shape[:3]
    columns = max(1, min(count, round(math.sqrt(count * high / max(wide, 1)))))
    rows = max(1, math.ceil(count / columns))
    full = np.zeros((rows * columns, *tiles.shape[1:]), np.uint8)
    full[:count] = tiles
    grid = np.moveaxis(full.reshape(rows, columns, *tiles.shape[1:]), 1, 2)
    return rgb_png(grid.reshape(rows * high, columns * wide, *tiles.shape[3:])), columns
