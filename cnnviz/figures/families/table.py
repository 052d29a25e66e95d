"""A table as a drawing: as wide as its place, letters as large as fit, cells that are marked, bold or flagged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnnviz.figures.base.colors import CATEGORIES, GREY
from cnnviz.figures.base.scene import INK, Box, Polyline, Scene, Text
from cnnviz.figures.base.text import text_width

CHANGED, WRONG, CHOSEN_ROW = "#fde3c8", "#f7c9bd", "#dcecf7"  # fills, dark letters readable on all of them
RULE, SHADE = "#d5dae1", "#f3f4f6"
GAP = 1.1  # between columns, times the size of the letters
LINE, TALLEST = 1.55, 2.3  # of a row, times the size of the letters


@dataclass(frozen=True, slots=True)
class TableCell:
    """One cell. `fill`: its colour, "" for none; `item`: what a click on it chooses; `title`: shown when pointed at."""

    text: str
    bold: bool = False
    fill: str = ""
    ink: str = INK
    item: str = ""
    title: str = ""


Row = Sequence[TableCell | str]


def table_scene(
    rows: Sequence[Row], width: float = 1070.0, height: float = 560.0, most: float = 22.0, left: int = 1, head: int = 1
) -> Scene:
    """A table `width` pixels wide and at most about `height` high; all letters have one size, at most `most`.

    `rows`: cells or their texts, all of one length; the first `head` rows are headings. `left`: columns whose words
    begin at their left, the others end at their right. Raises ValueError for rows of different lengths."""
    cells = [[TableCell(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    columns = list(zip(*cells, strict=True))
    ems = [max(text_width(cell.text, 1.0, cell.bold or at < head) for at, cell in enumerate(c)) for c in columns]
    size = min(most, (width - 2) / (sum(ems) + GAP * len(ems)))
    high = min(TALLEST * size, max(LINE * size, height / len(cells)))
    spare = (width - 2 - size * (sum(ems) + GAP * len(ems))) / len(ems)
    wide = [size * (em + GAP) + spare for em in ems]
    scene = Scene(width, high * len(cells) + 2)
    for at, row in enumerate(cells):
        x, y = 1.0, 1 + high * at
        if at < head:
            scene.add(Box(0, y, width, high, SHADE))
        for column, cell in enumerate(row):
            if cell.fill or cell.item or cell.title:
                fill = cell.fill or (SHADE if at < head else "#ffffff")
                scene.add(Box(x, y, wide[column], high, fill, item=cell.item, title=cell.title))
            begins = column < left
            place = x + 0.5 * GAP * size if begins else x + wide[column] - 0.5 * GAP * size
            ink = GREY if at < head and cell.ink == INK else cell.ink
            bold = cell.bold or at < head
            scene.add(Text(place, y + high / 2, cell.text, size, ink, "start" if begins else "end", bold))
            x += wide[column]
        scene.add(Polyline(((0, y + high), (width, y + high)), RULE, 1.0))
    return scene


def mark(text: str, wrong: bool, title: str = "") -> TableCell:
    """A cell that is marked if its figure does not hold."""
    return TableCell(text, wrong, WRONG if wrong else "", title=title)


def stack_scenes(scenes: Sequence[Scene], gap: float = 14.0) -> Scene:
    """Scenes below each other, left sides aligned."""
    whole, top = Scene(max(s.width for s in scenes), sum(s.height for s in scenes) + gap * (len(scenes) - 1)), 0.0
    for scene in scenes:
        whole.paste(scene, 0.0, top)
        top += scene.height + gap
    return whole


def title_scene(title: str, scene: Scene) -> Scene:
    """The scene under a heading."""
    head = Scene(scene.width, 30.0)
    head.add(Text(scene.width / 2, 14, title, 22, bold=True))
    return stack_scenes([head, scene], 0.0)


def bars_scene(bars: Sequence[tuple[str, float, str]], width: float = 1070.0, height: float = 300.0) -> Scene:
    """Horizontal bars of (name, value ≥ 0, the value in words), on one linear scale from 0."""
    high = height / len(bars)
    size = min(20.0, 0.5 * high)
    names = max(text_width(name, size) for name, _, _ in bars) + size
    ends = max(text_width(words, size, True) for _, _, words in bars) + size
    scale = (width - names - ends) / max(max(value for _, value, _ in bars), 1e-12)
    scene = Scene(width, height)
    for at, (name, value, words) in enumerate(bars):
        y, long = (at + 0.5) * high, max(1.5, value * scale)
        scene.add(Text(names - size / 2, y, name, size, anchor="end"))
        scene.add(Box(names, y - 0.34 * high, long, 0.68 * high, CATEGORIES[0], title=words))
        scene.add(Text(names + long + size / 2, y, words, size, anchor="start", bold=True))
    return scene
