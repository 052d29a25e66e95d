"""A table of bars: scores, outputs, target and gradient of each class, and the loss written out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.colors import CATEGORIES, CHOSEN, GREY, signed_palette, to_hex
from cnnviz.figures.base.scene import Box, Polyline, Scene, Text
from cnnviz.figures.base.text import shorten
from cnnviz.figures.playground.cells import number_text

if TYPE_CHECKING:
    from cnnviz.studies.backward.outputs import OutputLoss

HEAD, FOOT = 46.0, 78.0
_TRACK = "#eceef1"


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    values: np.ndarray
    low: float
    high: float
    colours: tuple[str, str]  # below and above 0


def loss_scene(
    found: OutputLoss, rows: Sequence[tuple[str, list[int]]], width: float = 1070.0, height: float = 500.0
) -> Scene:
    """A line for each of `rows`, (name, classes): one class, or several, whose outputs and gradients are summed."""
    scene = Scene(width, height)
    narrow = width < 600
    names = 92.0 if narrow else 150.0
    table = lambda values: np.array([values[classes].sum() for _, classes in rows])  # noqa: E731
    reach = max(1.0, float(np.abs(found.scores).max()))
    scores = np.array(
        [found.scores[classes].max() if len(classes) > 1 else found.scores[classes[0]] for _, classes in rows]
    )
    low, high = to_hex(signed_palette()[30]), to_hex(signed_palette()[225])
    top = max(1.0, float(np.abs(found.outputs).max()))
    bottom = min(0.0, float(found.outputs.min()))
    steep = max(1e-9, float(np.abs(found.gradient).max()))
    columns = (
        _Column("score z", scores, -reach if scores.min() < 0 else 0.0, reach, (GREY, CATEGORIES[0])),
        _Column("output ŷ", table(found.outputs), bottom, top, (GREY, CATEGORIES[2])),
        _Column("target y", table(found.target), 0.0, 1.0, (GREY, CATEGORIES[1])),
        _Column("∂L/∂z" if narrow else "gradient ∂L/∂z", table(found.gradient), -steep, steep, (low, high)),
    )
    line = (height - HEAD - FOOT) / len(rows)
    wide = (width - names) / len(columns)
    size = min(17.0, line * 0.5) if not narrow else 12.0
    for number, (name, classes) in enumerate(rows):
        bold = bool(found.target[classes].max())
        ink = CHOSEN if bold else "#181c24"
        middle = HEAD + (number + 0.5) * line
        scene.add(Text(2, middle, shorten(name, size, names - 8), size, ink, "start", bold))
    for place, column in enumerate(columns):
        left = names + place * wide + 8
        scene.add(Text(left, 20, column.title, 17 if not narrow else 12, GREY, "start", True))
        _draw_column(scene, column, left, wide - 20, line, narrow)
    scene.add(Text(width / 2, height - 44, _write_loss(found), 15 if narrow else 25, CHOSEN, bold=True))
    words = f"largest difference from autograd: {_small(found.error)}"
    scene.add(Text(width / 2, height - 12, words, 12 if narrow else 15, GREY))
    return scene


def _draw_column(scene: Scene, column: _Column, left: float, wide: float, line: float, narrow: bool) -> None:
    text = 34.0 if narrow else 62.0
    room = wide - text
    scale = room / (column.high - column.low)
    zero = left - column.low * scale
    for number, value in enumerate(column.values):
        middle = HEAD + (number + 0.5) * line
        high = min(26.0, 0.5 * line)
        scene.add(Box(left, middle - high / 2, room, high, _TRACK))
        clipped = min(max(float(value), column.low), column.high)
        start, end = sorted((zero, zero + clipped * scale))
        scene.add(Box(start, middle - high / 2, end - start, high, column.colours[int(value > 0)]))
        scene.add(Text(left + wide, middle, _short(float(value)), 11 if narrow else 15, anchor="end"))
    scene.add(Polyline(((zero, HEAD), (zero, HEAD + line * len(column.values))), "#8b95a5", 1.2))


def _write_loss(found: OutputLoss) -> str:
    label = int(found.target.argmax())
    if found.kind == "softmax":
        return f"L = −log ŷ = −log {_short(float(found.outputs[label]), 4)} = {_short(found.loss, 4)}"
    if found.kind == "sigmoid":
        return f"L = −Σ [y log ŷ + (1 − y) log (1 − ŷ)] = {_short(found.loss, 4)}"
    return f"L = ½ Σ (ŷ − y)² = {_short(found.loss, 4)}"


def _short(value: float, digits: int = 3) -> str:
    if value and abs(value) < 1e-4:
        return f"{value:.0e}".replace("-", "−")
    return number_text(round(value, digits if abs(value) < 10 else 1))


def _small(value: float) -> str:
    return "0" if value == 0 else f"{value:.0e}".replace("-", "−")
