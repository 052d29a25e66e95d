"""Answers of many noisy passes as rows of one bar each: the probabilities of the classes side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnviz.figures.base.colors import CATEGORIES, CHOSEN, GREY
from cnnviz.figures.base.scene import INK, Box, Scene, Text
from cnnviz.figures.base.text import shorten, text_width

ROW, BAR, LETTERS = 25.0, 18.0, 13.0  # pixels
NAMES = 118.0  # pixels of the words before a bar
REST = "#e3e7ec"  # all classes that have no colour of their own
COLOURS = CATEGORIES[:5]


def answers_scene(
    rows: Sequence[tuple[str, np.ndarray]],
    classes: Sequence[str],
    chosen: int | None = None,
    bold: Sequence[int] = (),
    width: float = 470.0,
) -> Scene:
    """A bar for each (words, probabilities (classes,)), 0 … 1 from left to right, and the winner's name behind it. The
    classes that are most probable on average have colours. `chosen`: the row in orange; `bold`: rows apart from the
    others, such as a mean."""
    table = np.array([probabilities for _, probabilities in rows], float)
    coloured = [int(c) for c in np.argsort(-table.mean(0), kind="stable")[: min(len(COLOURS), table.shape[1])]]
    behind = min(150.0, max(text_width(classes[int(row.argmax())], LETTERS, True) for row in table) + 52)
    whole = width - NAMES - behind
    scene = Scene(width, ROW * len(rows) + 34 + (8 if bold else 0))
    y = 4.0
    for number, ((words, _), row) in enumerate(zip(rows, table, strict=True)):
        y += 8 if bold and number == min(bold) else 0
        strong = number in bold or number == chosen
        colour = CHOSEN if number == chosen else INK
        scene.add(Text(2, y + BAR / 2, shorten(words, LETTERS, NAMES - 8, strong), LETTERS, colour, "start", strong))
        _draw_bar(scene, row, coloured, classes, y, whole)
        best = int(row.argmax())
        answer = f"{classes[best]} {100 * row[best]:.0f} %"
        scene.add(
            Text(NAMES + whole + 7, y + BAR / 2, shorten(answer, LETTERS, behind - 8), LETTERS, colour, "start", strong)
        )
        y += ROW
    _draw_key(scene, coloured, classes, y + 10, width)
    return scene


def _draw_bar(
    scene: Scene, row: np.ndarray, coloured: Sequence[int], classes: Sequence[str], y: float, whole: float
) -> None:
    total = max(float(row.sum()), 1.0)  # a sigmoid's answers need not sum to 1
    scene.add(Box(NAMES, y, whole, BAR, REST))
    x = NAMES
    for which, colour in zip(coloured, COLOURS, strict=False):
        wide = whole * float(row[which]) / total
        if wide >= 0.5:
            scene.add(Box(x, y, wide, BAR, colour, title=f"{classes[which]}: {100 * float(row[which]):.1f} %"))
        x += wide


def _draw_key(scene: Scene, coloured: Sequence[int], classes: Sequence[str], y: float, width: float) -> None:
    """Swatches with the names of the classes, as many as there is room for."""
    x = 2.0
    for which, colour in zip(coloured, COLOURS, strict=False):
        name = shorten(classes[which], LETTERS, 110)
        wide = 17 + text_width(name, LETTERS) + 12
        if x + wide > width:
            return
        scene.add(Box(x, y - 6, 12, 12, colour), Text(x + 17, y, name, LETTERS, GREY, "start"))
        x += wide
