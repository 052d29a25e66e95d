"""Learned invariance as a table of responses: pictures in four poses, filters in four poses, and the maximum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.colors import CHOSEN, GREY, signed_rgb, to_hex, to_levels
from cnnviz.figures.base.scene import INK, PAPER, Box, Polyline, Scene, Text
from cnnviz.figures.base.text import text_width
from cnnviz.figures.playground.cells import EDGE, number_text
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.pooling.maxout import LearnedInvariance

NOW = "#fde3d0"  # the strongest response of a picture
HEAD, FOOT = 118.0, 46.0
_TURNS = ("0°", "90°", "180°", "270°")


def poses_scene(
    found: LearnedInvariance, pieces: int, pooled: np.ndarray, wide: float = 1070.0, height: float = 560.0
) -> Scene:
    """A line a picture, a column a filter, and at the end the maximum over the first `pieces` filters, `pooled` (4,).

    The filter that answers most strongly is tinted; filters outside the pool are pale."""
    scene = Scene(wide, height)
    pitch = (height - HEAD - FOOT) / 4
    column = (wide - 150) / 5.4
    art = min(84.0, pitch - 12)
    lefts = [150 + column * at for at in range(4)]
    scene.add(Text(8, 20, "Filters", 17, GREY, "start"), Text(8, HEAD - 14, "Pictures", 17, GREY, "start"))
    reach = float(np.abs(found.filters).max()) or 1.0
    for at, left in enumerate(lefts):
        ink = INK if at < pieces else EDGE
        draw_pixels(scene, signed_rgb(found.filters[at], reach), left + (column - art) / 2, 8, art)
        scene.add(Text(left + column / 2, art + 20, _TURNS[at], 15, ink))
    last = lefts[-1] + column
    scene.add(Text(last + column * 0.7, 44, "maximum", 20, bold=True))
    scene.add(Text(last + column * 0.7, 70, f"over {plural(pieces, 'filter')}", 16, GREY))
    for row in range(4):
        top = HEAD + row * pitch
        gray = 255 - to_levels(found.pictures[row], 0.0, float(found.pictures.max()) or 1.0)
        draw_pixels(scene, np.repeat(gray[..., None], 3, 2), 30, top + (pitch - art) / 2, art)
        _draw_responses(scene, found.responses[row], pieces, lefts, column, top, pitch)
        middle = top + pitch / 2
        start = last + 8
        scene.add(Polyline(((start, middle), (start + column * 0.3, middle)), GREY, 2.0, 10.0))
        scene.add(Box(last + column * 0.38, middle - 26, column * 0.64, 52, NOW, CHOSEN, 2.5, 26))
        scene.add(Text(last + column * 0.7, middle, number_text(float(pooled[row])), 26, bold=True))
    sentence = poses_sentence(pooled, pieces)
    size = min(24.0, (wide - 16) / text_width(sentence, 1.0, True))
    scene.add(Text(wide / 2, height - 18, sentence, size, CHOSEN, bold=True))
    return scene


def poses_sentence(pooled: np.ndarray, pieces: int) -> str:
    """Whether the maximum is the same for all four pictures."""
    if np.allclose(pooled, pooled[0], rtol=1e-9, atol=1e-9):
        return "The maximum is the same for all four pictures."
    return f"Over {pieces} of 4 poses the maximum depends on how the picture is turned."


def _draw_responses(
    scene: Scene, responses: np.ndarray, pieces: int, lefts: list[float], column: float, top: float, pitch: float
) -> None:
    strongest = float(responses[:pieces].max())
    for at, left in enumerate(lefts):
        pooled = at < pieces
        wins = pooled and bool(np.isclose(responses[at], strongest))
        fill, stroke, line = (NOW, CHOSEN, 2.5) if wins else (PAPER, EDGE, 1.0)
        scene.add(Box(left + 6, top + 5, column - 12, pitch - 10, fill, stroke, line))
        text = number_text(round(float(responses[at]), 3))
        scene.add(Text(left + column / 2, top + pitch / 2, text, 24, INK if pooled else EDGE, bold=wins))


def draw_pixels(scene: Scene, rgb: np.ndarray, left: float, top: float, side: float) -> None:
    """A picture (n, n, 3) uint8 as boxes, `side` pixels large; its most common colour is one box below the others."""
    cell = side / len(rgb)
    colours, counts = np.unique(rgb.reshape(-1, 3), axis=0, return_counts=True)
    ground = colours[counts.argmax()]
    scene.add(Box(left, top, side, side, to_hex(ground), EDGE, 1.0))
    for (i, j), differs in np.ndenumerate((rgb != ground).any(axis=2)):
        if differs:
            scene.add(Box(left + j * cell, top + i * cell, cell + 0.3, cell + 0.3, to_hex(rgb[i, j])))
