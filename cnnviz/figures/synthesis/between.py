"""Preferred inputs of mixtures of two channels: one of them large, all of them in a row below it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnviz.figures.base.charts import value_text
from cnnviz.figures.base.colors import FRAME, GUTTER
from cnnviz.figures.base.encode import rgb_png
from cnnviz.figures.equivariance.panels import Strip
from cnnviz.figures.patches.wall import fit_tile

LARGE, ENDS, GAP, LINE = 480, 224, 16, 24  # pixels
EDGE = 4  # of the frame round the one that is shown large


def mixture_picture(
    images: Sequence[np.ndarray], names: Sequence[str], values: Sequence[float] | None, at: int
) -> Strip:
    """The image number `at`, uint8 (h, w, 3), between the first and the last, and all in a row. `names`: of the
    mixtures; `values`: what they reach, None while they are computed."""
    wide = 2 * ENDS + LARGE + 2 * GAP
    small = min(ENDS // 2, wide // len(images) - EDGE)
    high = LARGE + LINE + GAP
    canvas = np.full((high + small + EDGE, wide, 3), GUTTER, np.uint8)
    canvas[:LARGE, ENDS + GAP : ENDS + GAP + LARGE] = fit_tile(images[at], LARGE)
    top = (LARGE - ENDS) // 2
    lefts = 0, wide - ENDS
    for left, image in zip(lefts, (images[0], images[-1]), strict=True):
        canvas[top : top + ENDS, left : left + ENDS] = fit_tile(image, ENDS)
    pitch = wide / len(images)
    for number, image in enumerate(images):
        left = round(number * pitch)
        if number == at:
            canvas[high - EDGE : high + small + EDGE, left : left + small + 2 * EDGE] = FRAME
        canvas[high : high + small, left + EDGE // 2 : left + EDGE // 2 + small] = fit_tile(image, small)
    said = [name if values is None else f"{name}: {value_text(values[n])}" for n, name in enumerate(names)]
    words = [
        (float(ENDS + GAP), float(LARGE + 2), float(LARGE), said[at]),
        *((float(left), float(top + ENDS + 2), float(ENDS), said[n]) for left, n in zip(lefts, (0, -1), strict=True)),
    ]
    return Strip(rgb_png(canvas), (canvas.shape[1], canvas.shape[0]), tuple(words))
