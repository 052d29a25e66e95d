"""Maps under a mask of dropout: what stays in viridis, what is dropped in grey; and a picture of many versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnviz.figures.base.colors import CATEGORIES, EMPTY, GUTTER, activation_rgb, from_hex
from cnnviz.figures.base.encode import rgb_png
from cnnviz.figures.base.mosaic import Mosaic, tiles_mosaic
from cnnviz.figures.base.overlay import to_rgb
from cnnviz.figures.equivariance.panels import Strip, fit_photo
from cnnviz.figures.pooling.panels import fold_channels

MOST = 24  # maps of a layer that are drawn
RIGHT, WRONG = CATEGORIES[2], CATEGORIES[4]
CAPTION, GAP, FRAME = 22, 10, 4  # pixels: words over and under a version, between versions, around one


def choose_channels(maps: np.ndarray, most: int = MOST) -> list[int]:
    """The `most` channels of maps (C, H, W) with the largest sums of positive values, in ascending order."""
    sums = np.maximum(maps, 0).sum((1, 2))
    return sorted(np.argsort(-sums, kind="stable")[:most].tolist())


def masked_mosaic(maps: np.ndarray, keep: np.ndarray, width: int = 620, height: int = 420) -> Mosaic:
    """Maps (C, H, W) under `keep` (bool, fits beside them): viridis from 0 to the layer's peak where a unit stays, grey
    where it is dropped. Of more channels than MOST the strongest; vectors, (C, 1, 1), as one table."""
    stays = np.broadcast_to(keep, maps.shape)
    if maps.shape[1:] == (1, 1):
        folded, marks = fold_channels(maps[:, 0, 0].astype(float)), fold_channels(stays[:, 0, 0].copy())
        shown, kept, channels = np.nan_to_num(folded)[None], marks[None], [0]
    else:
        channels = choose_channels(maps)
        shown, kept = maps[channels], stays[channels]
    peak = float(np.maximum(shown, 0).max(initial=0.0))
    tiles = np.stack([activation_rgb(values, peak) for values in shown])
    tiles = np.where(kept[..., None], tiles, np.array(EMPTY, np.uint8))
    return tiles_mosaic(tiles, channels, width, height, captions=len(channels) > 1)


@dataclass(frozen=True, slots=True)
class ImageVersion:
    """`name` over a version of an image, `pixels` uint8 (H, W, C), and its `answer` under it; `right`: None without a
    colour."""

    name: str
    pixels: np.ndarray
    answer: str
    right: bool | None


def versions_strip(versions: Sequence[ImageVersion], side: int = 104, columns: int = 0) -> Strip:
    """Versions of an image in rows of `columns` (0: one row), each in a frame, green where it is right, else
    orange."""
    across = columns or len(versions)
    pitch, high = side + 2 * FRAME + GAP, 2 * CAPTION + side + 2 * FRAME + 6
    rows = -(-len(versions) // across)
    size = (across * pitch - GAP, rows * high)
    canvas = np.full((size[1], size[0], 3), GUTTER, np.uint8)
    words: list[tuple[float, float, float, str]] = []
    for number, one in enumerate(versions):
        row, column = divmod(number, across)
        left, top = column * pitch, row * high + CAPTION
        picture = fit_photo(to_rgb(one.pixels), side)
        tall, wide = picture.shape[:2]
        inset = left + (side - wide) // 2
        if one.right is not None:
            canvas[top : top + tall + 2 * FRAME, inset : inset + wide + 2 * FRAME] = from_hex(
                RIGHT if one.right else WRONG
            )
        canvas[top + FRAME : top + FRAME + tall, inset + FRAME : inset + FRAME + wide] = picture
        words.append((float(left), float(top - CAPTION + 2), float(pitch), one.name))
        words.append((float(left), float(top + tall + 2 * FRAME + 2), float(pitch), one.answer))
    return Strip(rgb_png(canvas), size, tuple(words))
