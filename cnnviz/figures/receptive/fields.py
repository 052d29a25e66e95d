"""Theoretical receptive field beside the effective one, at one scale."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from cnnviz.figures.base.colors import EMPTY, FRAME, GUTTER, activation_rgb
from cnnviz.figures.base.encode import fit_pixels, rgb_png

IMAGE, FIELD = EMPTY, (91, 100, 112)
BETWEEN = 14


def fields_picture(
    weight: np.ndarray, image_size: tuple[int, int], boxes: list[tuple[int, int]], side: int = 150
) -> tuple[bytes, tuple[int, int]]:
    """Two squares of one scale: left the field of `weight` (h, w) inside the image, all its pixels alike; right the
    weights in viridis, 0 dark, with frames of `boxes` = (height, width) about the middle. PNG and its size.

    Shown is the image, or twice the field where the image is larger."""
    field = weight.shape
    shown = tuple(min(n, 2 * f + 2) for n, f in zip(image_size, field, strict=True))
    shown = tuple(n - (n - f) % 2 * (n > f) for n, f in zip(shown, field, strict=True))  # so that middles meet
    left, right = (np.full((*shown, 3), IMAGE, np.uint8) for _ in range(2))
    _paste_centred(left, np.broadcast_to(np.array(FIELD, np.uint8), (*field, 3)))
    _paste_centred(right, activation_rgb(weight))
    pictures = [Image.fromarray(fit_pixels(part, side)) for part in (left, right)]
    scale = pictures[0].width / shown[1]
    _draw_frame(pictures[0], field, scale, FIELD)
    _draw_frame(pictures[1], field, scale, FIELD)
    for box in boxes:
        _draw_frame(pictures[1], box, scale, FRAME)
    wide, high = pictures[0].size
    canvas = Image.new("RGB", (2 * wide + BETWEEN, high), GUTTER)
    canvas.paste(pictures[0], (0, 0))
    canvas.paste(pictures[1], (wide + BETWEEN, 0))
    return rgb_png(np.asarray(canvas)), canvas.size


def _paste_centred(canvas: np.ndarray, part: np.ndarray) -> None:
    """Lay `part` on the middle of the canvas, cut where it is larger."""
    into, taken = [], []
    for room, size in zip(canvas.shape[:2], part.shape[:2], strict=True):
        length, low = min(room, size), (room - size) // 2
        into.append(slice(max(low, 0), max(low, 0) + length))
        taken.append(slice(max(-low, 0), max(-low, 0) + length))
    canvas[into[0], into[1]] = part[taken[0], taken[1]]


def _draw_frame(picture: Image.Image, box: tuple[int, int], scale: float, colour: tuple[int, int, int]) -> None:
    wide, high = min(box[1] * scale, picture.width), min(box[0] * scale, picture.height)
    left, top = (picture.width - wide) / 2, (picture.height - high) / 2
    edges = round(left), round(top), max(round(left + wide) - 1, round(left)), max(round(top + high) - 1, round(top))
    ImageDraw.Draw(picture).rectangle(edges, outline=colour)
