"""Pooling on numbers that can be read: a row and its shift, and four ways to pool one map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.colors import CHOSEN, GREY
from cnnviz.figures.base.scene import INK, Box, Polyline, Scene, Text
from cnnviz.figures.base.text import text_width
from cnnviz.figures.playground.cells import (
    EDGE,
    CellStyle,
    draw_grid,
    number_text,
    tied_colours,
    uniform_cells,
)
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.pooling.pooling import PoolRows

CHANGED = "#fde3d0"
NAMES = 120.0


def rows_scene(rows: PoolRows, width: int, stride: int, wide: float = 1070.0, height: float = 470.0) -> Scene:
    """Detector row and pooled row before (above) and after (below) a shift; changed values are tinted orange.

    `width`, `stride`: of the pooling windows, whose reach is drawn as lines. The sentence counts the changes."""
    scene = Scene(wide, height)
    count = len(rows.detector)
    pitch = min(130.0, (wide - NAMES - 10) / count)
    side = min(64.0, pitch * 0.72)
    left = NAMES + (wide - NAMES - pitch * count) / 2
    same = (np.zeros(len(rows.pooled), bool), np.zeros(count, bool))
    halves = (
        (20.0, "before", rows.pooled, rows.detector, *same),
        (height / 2 - 4, "after", rows.pooled_shifted, rows.shifted, rows.outputs_changed, rows.inputs_changed),
    )
    step = min(100.0, height / 2 - side - 60)
    for top, when, pooled, detector, new_above, new_below in halves:
        high, low = top + side / 2, top + step + side / 2
        scene.add(Text(8, high, "Pooled", 18, anchor="start", bold=True))
        scene.add(Text(8, low, "Detector", 18, anchor="start", bold=True))
        scene.add(Text(8, (high + low) / 2, when, 17, GREY, "start"))
        middles = [left + (at + 0.5) * pitch for at in range(count)]
        _draw_wires(scene, middles, (width - 1) // 2, width, stride, high + side / 2, low - side / 2)
        _draw_row(scene, pooled, new_above, middles[::stride], high, side)
        _draw_row(scene, detector, new_below, middles, low, side)
    scene.add(Text(wide / 2, height - 24, f"{rows.sentence}.", 28, CHOSEN, bold=True))
    return scene


def _draw_wires(
    scene: Scene, middles: list[float], before: int, width: int, stride: int, top: float, low: float
) -> None:
    for unit in range(0, len(middles), stride):
        for at in range(max(unit - before, 0), min(unit - before + width, len(middles))):
            scene.add(Polyline(((middles[unit], top), (middles[at], low)), EDGE, 1.6))


def _draw_row(scene: Scene, values: np.ndarray, new: np.ndarray, middles: list[float], y: float, side: float) -> None:
    for value, changed, x in zip(values, new, middles, strict=True):
        fill, stroke = (CHANGED, CHOSEN) if changed else ("#ffffff", GREY)
        box = Box(x - side / 2, y - side / 2, side, side, fill, stroke, 2.5 if changed else 1.4, side / 2)
        text = number_text(float(value))
        scene.add(box, Text(x, y, text, min(0.36 * side, 1.6 * side / len(text)), bold=bool(changed)))


def pools_scene(
    grid: np.ndarray,
    pooled: list[tuple[str, np.ndarray]],
    size: int,
    stride: int,
    wide: float = 1070.0,
    height: float = 470.0,
) -> Scene:
    """A map (H, W) on the left and on the right what each way of pooling makes of it, `pooled`: (name, map).

    Where windows do not overlap, each has one colour on both sides."""
    scene = Scene(wide, height)
    rows, cols = grid.shape
    side = min((height - 60) / rows, 0.4 * wide / cols, 84.0)
    top = (height - side * rows) / 2 + 12
    small = pooled[0][1]
    fills = tied_colours(small.size) if stride >= size else ()
    cells = uniform_cells((rows, cols))
    for (i, j), _ in np.ndenumerate(small) if fills else ():
        for y, x in np.ndindex(size, size):
            cells[i * stride + y][j * stride + x] = CellStyle(fills[i * small.shape[1] + j])
    scene.add(Text(10 + side * cols / 2, top - 18, f"Map {rows}×{cols}", 17, GREY))
    draw_grid(scene, grid, 10, top, side, cells)
    left = 10 + side * cols + 50
    half, level = (wide - left) / 2, height / 2
    for at, (name, values) in enumerate(pooled):
        x, y = left + (at % 2) * half, (at // 2) * level
        cell = min((level - 48) / values.shape[0], (half - 30) / values.shape[1], 84.0)
        edge = x + (half - cell * values.shape[1]) / 2
        letters = min(18.0, (half - 10) / text_width(name, 1.0, True))
        scene.add(Text(x + half / 2, y + 20, name, letters, bold=True))
        high, across = values.shape
        paints = fills or ("#ffffff",) * values.size
        marked = [[CellStyle(paints[i * across + j], bold=True) for j in range(across)] for i in range(high)]
        draw_grid(scene, values, edge, y + 40, cell, marked)
    return scene


def part_scene(grid: np.ndarray, pooled: np.ndarray, before: np.ndarray, size: int, width: float = 1070.0) -> Scene:
    """A map (H, W), its windows of `size`, and its maxima beside those `before` the part moved: changed ones orange.

    Every cell of the map is an item, "part:row,col"."""
    scene = Scene(width, 440.0)
    rows, cols = grid.shape
    side = min(64.0, (0.56 * width - 20) / cols, 390.0 / rows)
    left, top = 12.0, 40.0
    scene.add(Text(left + side * cols / 2, 18, f"Map, windows of {size}×{size}", 17, GREY))
    cells = uniform_cells((rows, cols))
    peak = float(grid.max())
    for row, col in np.ndindex(rows, cols):
        strong = grid[row, col] == peak
        paint = tied_colours(pooled.size)[(row // size) * pooled.shape[1] + col // size]
        cells[row][col] = CellStyle(
            "#fff3b0" if strong else paint,
            bold=bool(strong),
            item=f"part:{row},{col}",
            title=f"move the part to ({row}, {col})",
        )
    draw_grid(scene, grid, left, top, side, cells)
    for at in range(1, max(pooled.shape)):
        if at < pooled.shape[1]:
            scene.add(Polyline(((left + at * size * side, top), (left + at * size * side, top + side * rows)), INK, 3))
        if at < pooled.shape[0]:
            scene.add(Polyline(((left, top + at * size * side), (left + side * cols, top + at * size * side)), INK, 3))
    x = left + side * cols
    cell = min(92.0, (width - x - 120) / pooled.shape[1])
    edge = x + (width - x - cell * pooled.shape[1]) / 2
    scene.add(Text(edge + cell * pooled.shape[1] / 2, 18, "Maximum of each window", 17, GREY))
    changed = pooled != before
    marked = [
        [
            CellStyle("#fde3d0" if changed[i, j] else tied_colours(pooled.size)[i * pooled.shape[1] + j], bold=True)
            for j in range(pooled.shape[1])
        ]
        for i in range(pooled.shape[0])
    ]
    draw_grid(scene, pooled, edge, top, cell, marked)
    words = (
        f"{changed.sum()} of {plural(int(pooled.size), 'maximum')} changed" if changed.any() else "no maximum changed"
    )
    scene.add(
        Text(
            edge + cell * pooled.shape[1] / 2,
            top + cell * pooled.shape[0] + 36,
            words,
            min(24.0, 0.9 * (width - x) / text_width(words, 1.0, True)),
            CHOSEN,
            bold=True,
        )
    )
    return scene
