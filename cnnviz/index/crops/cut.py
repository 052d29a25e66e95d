"""Cutting a unit's receptive field out of the network's input."""

from collections.abc import Sequence

import numpy as np

from cnnviz.index.records import Box

OUTSIDE = 128  # gray that stands for "beyond the image"


def window(full_box: Box, input_size: tuple[int, int]) -> Box:
    """The window to show for a unit whose unclipped field is `full_box`, in an input of (H, W) pixels.

    An axis on which the field is as large as the image shows the whole image; a smaller field keeps its
    size and may leave the image, so that all patches of a layer are equally large."""
    top, left, bottom, right = full_box
    rows = (0, input_size[0]) if bottom - top >= input_size[0] else (top, bottom)
    cols = (0, input_size[1]) if right - left >= input_size[1] else (left, right)
    return rows[0], cols[0], rows[1], cols[1]


def cut(pixels: np.ndarray, box: Box, fill: float = OUTSIDE) -> np.ndarray:
    """The part of `pixels` (H, W, C) inside `box`, which may leave the image; outside is `fill`."""
    top, left, bottom, right = box
    height, width = pixels.shape[:2]
    patch = np.full((bottom - top, right - left, pixels.shape[2]), fill, pixels.dtype)
    r0, r1, c0, c1 = max(top, 0), min(bottom, height), max(left, 0), min(right, width)
    if r0 < r1 and c0 < c1:
        patch[r0 - top : r1 - top, c0 - left : c1 - left] = pixels[r0:r1, c0:c1]
    return patch


def cut_windows(pictures: Sequence[np.ndarray], full_boxes: Sequence[Box], fill: float = OUTSIDE) -> list[np.ndarray]:
    """What each unit saw: `pictures` (H, W, C), one a unit, each cut to the `window` of the unit's unclipped field."""
    return [cut(p, window(box, p.shape[:2]), fill) for p, box in zip(pictures, full_boxes, strict=True)]
