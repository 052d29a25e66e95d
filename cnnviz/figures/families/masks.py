"""A map, the mask of its gate, and their product, side by side as pixels."""

from __future__ import annotations

import numpy as np

from cnnviz.figures.base.charts import value_text
from cnnviz.figures.base.colors import GUTTER, activation_rgb, sample_palette, signed_palette, signed_rgb, viridis
from cnnviz.figures.base.encode import rgb_png
from cnnviz.figures.equivariance.panels import Strip, find_peak, fit_map, place_pixels

SIDE, GAP, CAPTION, BAR = 340, 24, 28, 10  # pixels


def mask_strip(main: np.ndarray, mask: np.ndarray, product: np.ndarray, factor: str) -> Strip:
    """`main`, `mask`, `product` (H, W): map and product on one signed scale, the mask from 0 to 1. `factor`: how the
    mask is called."""
    peak = find_peak(main, product)
    pictures = [signed_rgb(main, peak), activation_rgb(mask, 1.0), signed_rgb(product, peak)]
    lefts = [number * (SIDE + GAP) for number in range(3)]
    under = CAPTION + SIDE + 6
    size = (lefts[-1] + SIDE, under + BAR + CAPTION)
    canvas = np.full((size[1], size[0], 3), GUTTER, np.uint8)
    words: list[tuple[float, float, float, str]] = []
    titles = ("map of the main path", f"mask {factor}", "their product")
    for left, pixels, title, masks in zip(lefts, pictures, titles, (False, True, False), strict=True):
        place_pixels(canvas, fit_map(pixels, SIDE), CAPTION, left, SIDE)
        canvas[under : under + BAR, left : left + SIDE] = sample_palette(viridis() if masks else signed_palette(), SIDE)
        low, high = ("0", "1") if masks else (f"−{value_text(peak)}", value_text(peak))
        words += [(left, 0, SIDE, title), (left, under + BAR + 2, 90, low)]
        words.append((left + SIDE - 60, under + BAR + 2, 60, high))
    return Strip(rgb_png(canvas), size, tuple((float(a), float(b), float(c), text) for a, b, c, text in words))
