"""A photograph, what is subtracted from it, and what remains: the mean image, and one mean a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.colors import GUTTER
from cnnviz.figures.base.encode import fit_pixels, rgb_png
from cnnviz.figures.base.overlay import to_rgb
from cnnviz.figures.equivariance.panels import Strip, place_pixels
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.normalisation.preprocessing import MeanImage

SIDE, CAPTION, GAP = 224, 26, 14  # pixels


def difference_pixels(pixels: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(H, W, C) uint8: photograph minus mean, −255 … 255, as 128 + half of it, so that mid-gray is 0."""
    return np.clip(np.round(127.5 + (pixels.astype(float) - mean) / 2), 0, 255).astype(np.uint8)


def preprocessing_strip(pixels: np.ndarray, mean: MeanImage) -> Strip:
    """Two rows of three: the photograph, uint8 (H, W, C), the mean image, their difference; and the same with the means
    of the channels."""
    flat = np.broadcast_to(mean.channels, pixels.shape)
    rows = (("mean image", mean.image), ("channel means", flat))
    pitch, high = SIDE + GAP, SIDE + CAPTION
    canvas = np.full((2 * high, 3 * pitch - GAP, 3), GUTTER, np.uint8)
    words: list[tuple[float, float, float, str]] = []
    for row, (name, taken) in enumerate(rows):
        shown = (pixels, np.round(taken).astype(np.uint8), difference_pixels(pixels, taken))
        titles = (
            "the photograph",
            f"− {name}, {plural(mean.image.size if row == 0 else len(mean.channels), 'number')}",
        )
        for column, picture in enumerate(shown):
            place_pixels(
                canvas, fit_pixels(to_rgb(picture), SIDE), row * high + CAPTION, column * pitch, SIDE, at_top=True
            )
            title = titles[column] if column < 2 else "= what remains, mid-gray is 0"
            words.append((float(column * pitch), float(row * high + 2), float(SIDE), title))
    return Strip(rgb_png(canvas), (canvas.shape[1], canvas.shape[0]), tuple(words))
