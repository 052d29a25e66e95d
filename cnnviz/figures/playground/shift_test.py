"""A layer and a shift in either order, in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.colors import CHOSEN, GREY, signed_rgb, to_hex
from cnnviz.figures.base.scene import INK, PAPER, Scene, Text
from cnnviz.figures.base.text import text_width
from cnnviz.figures.playground.cells import CellStyle, draw_grid, uniform_cells

if TYPE_CHECKING:
    from cnnviz.studies.convolution.wiring import ShiftTest

NARROW = 800.0  # pixels; rows below the matrix


def shift_scene(matrix: np.ndarray, found: ShiftTest, width: float = 1070.0) -> Scene:
    """The matrix, and the four rows of the test with their difference, in numbers on blue–white–red.

    All rows of outputs share one scale; x and Sx another."""
    beside = width >= NARROW
    count = len(found.values)
    side = min(46.0, (0.42 if beside else 1.0) * (width - 20) / count)
    names = 128.0
    room = (width - count * side - 60 if beside else width) - names - 8
    cell = min(58.0, room / count)
    scene = Scene(width, max(30 + side * count, 0 if beside else 0) + (0 if beside else 340.0) + 60)
    peak = float(np.abs(matrix).max()) or 1.0
    scene.add(Text(4 + side * count / 2, 14, f"W: {count}×{count}", 17, GREY))
    draw_grid(scene, np.round(matrix, 1) + 0.0, 4, 30, side, _signed_cells(matrix, peak))
    left, top = (count * side + 60, 30.0) if beside else (0.0, 60 + side * count)
    outputs = float(max(np.abs(row).max() for row in (found.output, found.shift_first, found.layer_first))) or 1.0
    inputs = float(np.abs(found.values).max()) or 1.0
    rows = (
        ("x", found.values, inputs),
        ("W x", found.output, outputs),
        ("shift x", found.shifted, inputs),
        ("W (shift x)", found.shift_first, outputs),
        ("shift (W x)", found.layer_first, outputs),
        ("difference", found.difference, outputs),
    )
    step = min(62.0, cell + 8)
    for at, (name, values, scale) in enumerate(rows):
        y = top + at * step + (14 if at > 1 else 0) + (14 if at == 5 else 0)
        scene.add(Text(left, y + cell / 2, name, 17, anchor="start", bold=True))
        draw_grid(scene, np.round(values, 2)[None], left + names, y, cell, _signed_cells(values[None], scale))
    y = top + 6 * step + 50
    verdict = "equivariant: the order makes no difference" if found.error < 1e-9 else "not equivariant"
    words = f"difference {100 * found.error:.0f} % of the output: {verdict}"
    if found.error < 1e-9:
        words = f"No difference: {verdict.split(':')[0]} to this shift"
    size = min(24.0, (width - left - 6) / text_width(words, 1.0, True))
    scene.add(Text(left, y, words, size, CHOSEN, "start", bold=True))
    scene.height = max(scene.height, y + 24)
    return scene


def _signed_cells(values: np.ndarray, peak: float) -> list[list[CellStyle]]:
    table = np.atleast_2d(values)
    colours = signed_rgb(table, peak)
    cells = uniform_cells(table.shape)
    for row, col in np.ndindex(*table.shape):
        dark = float(np.dot(colours[row, col], (0.299, 0.587, 0.114))) < 130
        cells[row][col] = CellStyle(to_hex(colours[row, col]), PAPER if dark else INK)
    return cells
