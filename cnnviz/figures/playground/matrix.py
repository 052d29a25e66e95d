"""Convolution as a Toeplitz matrix with tied weights, and how often each pixel is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.colors import CHOSEN, GREY, activation_rgb, to_hex
from cnnviz.figures.base.scene import INK, PAPER, Box, Scene, Text
from cnnviz.figures.playground.cells import (
    BLANK,
    EDGE,
    LEAST,
    CellStyle,
    digits_size,
    draw_grid,
    number_text,
    tied_colours,
    uniform_cells,
)
from cnnviz.figures.playground.steps import order_weights
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.convolution.toeplitz import Toeplitz

HEAD, COUNTS, GAP = 34.0, 62.0, 44.0
LONGEST = 30.0  # pixels of a cell of the vectors, which carry numbers only where these can be read


def matrix_scene(
    found: Toeplitz, grid: np.ndarray, number: int, flip: bool = False, width: float = 1070.0, height: float = 540.0
) -> Scene:
    """y = W x: the kernel, its matrix, the input and the output as columns. Line `number` (from 0) is framed.

    Equal colours are one and the same weight, in the colours of the step; white places are zeros by force. Below: the
    weights of a dense, a locally connected and a convolutional layer."""
    scene = Scene(width, height)
    rows, cols = found.matrix.shape
    x = np.asarray(grid, float).ravel()
    y = found.matrix @ x
    kernel = np.atleast_2d(found.kernel)
    room = height - HEAD - COUNTS
    column = 64.0
    block = min(54.0, 0.19 * width / kernel.shape[1])
    left_over = width - block * kernel.shape[1] - 3 * GAP - 2 * column - 8
    side = min(46.0, room / max(rows, cols), left_over / cols)
    total = block * kernel.shape[1] + side * cols + 2 * column + 3 * GAP
    left, middle = (width - total) / 2, HEAD + room / 2
    fills = [tied_colours(kernel.size)[n] for n in order_weights(flip, kernel.size)]
    top = middle - block * len(kernel) / 2
    wide = kernel.shape[1]
    cells = [[CellStyle(fills[i * wide + j], bold=True) for j in range(wide)] for i in range(len(kernel))]
    scene.add(Text(left + block * wide / 2, top - 16, "Kernel", 16, GREY))
    draw_grid(scene, kernel, left, top, block, cells)
    left += block * wide + GAP
    scene.add(Text(left - GAP / 2, middle, "→", 24))
    top = middle - side * rows / 2
    scene.add(Text(left + side * cols / 2, top - 14, f"W: {rows}×{cols}", 16, GREY))
    _draw_matrix(scene, found, fills, left, top, side)
    scene.add(Box(left, top + number * side, side * cols, side, "none", CHOSEN, 3.0))
    left += side * cols + GAP
    scene.add(Text(left - GAP / 2, middle, "·", 28, bold=True))
    _draw_column(scene, x, "x", left, middle, column, min(side, LONGEST), -1)
    left += column + GAP
    scene.add(Text(left - GAP / 2, middle, "=", 24, bold=True))
    _draw_column(scene, y, "y", left, middle, column, min(side, LONGEST), number)
    _draw_counts(scene, found, width, height)
    return scene


def _draw_matrix(scene: Scene, found: Toeplitz, fills: list[str], left: float, top: float, side: float) -> None:
    rows, cols = found.weight.shape
    size = digits_size(found.kernel, side, 0.6)
    scene.add(Box(left, top, cols * side, rows * side, BLANK, EDGE))
    for row, col in np.argwhere(found.weight >= 0):
        x, y = left + col * side, top + row * side
        scene.add(Box(x, y, side, side, fills[found.weight[row, col]], PAPER, 0.6))
        if size >= LEAST:
            scene.add(Text(x + side / 2, y + side / 2, number_text(found.matrix[row, col]), size))


def _draw_column(
    scene: Scene, values: np.ndarray, name: str, left: float, middle: float, width: float, side: float, chosen: int
) -> None:
    """A vector from above to below; line `chosen` is framed."""
    top, size = middle - side * len(values) / 2, min(0.62 * side, 17.0)
    scene.add(Text(left + width / 2, top - 14, name, 16, GREY))
    for at, value in enumerate(values):
        y = top + at * side
        scene.add(Box(left, y, width, side, PAPER, EDGE))
        if size >= LEAST:
            scene.add(Text(left + width / 2, y + side / 2, number_text(float(value)), size, bold=at == chosen))
    if chosen >= 0:
        scene.add(Box(left, top + chosen * side, width, side, "none", CHOSEN, 3.0))


def _draw_counts(scene: Scene, found: Toeplitz, width: float, height: float) -> None:
    """Dense against local against shared, in large."""
    rows, cols = found.matrix.shape
    parts = (
        (f"{found.dense:,}", f"dense: {rows} · {plural(cols, 'weight')}"),
        (f"{found.local:,}", "local: no forced zeros"),
        (f"{found.shared:,}", "convolution: tied weights"),
    )
    for place, (number, words) in enumerate(parts):
        x = width * (place + 0.5) / 3
        ink = CHOSEN if place == 2 else INK
        scene.add(Text(x, height - 42, number, 30, ink, bold=True), Text(x, height - 14, words, 15, GREY))


def visits_scene(counts: np.ndarray, most: int, width: float = 1070.0, height: float = 540.0) -> Scene:
    """How often windows read each pixel (H, W), viridis from 0 to `most`, the number of weights of the kernel."""
    scene = Scene(width, height)
    rows, cols = counts.shape
    side = min((height - 12) / rows, (width - 140) / cols, 90.0)
    left, top = (width - 120 - side * cols) / 2, (height - side * rows) / 2
    colours = activation_rgb(counts.astype(float), float(most))
    cells = uniform_cells((rows, cols))
    for (row, col), count in np.ndenumerate(counts):
        times = "once" if count == 1 else f"{count} times"
        cells[row][col] = CellStyle(
            to_hex(colours[row, col]), _letter_colour(colours[row, col]), True, title=f"({row}, {col}): {times}"
        )
    draw_grid(scene, counts, left, top, side, cells)
    _draw_scale(scene, most, left + side * cols + 40, (height - 300) / 2)
    return scene


def _draw_scale(scene: Scene, most: int, left: float, top: float, high: float = 300.0) -> None:
    """The bar of colours with its ends: 0 windows, and as many as the kernel has weights."""
    steps = 60
    colours = activation_rgb(np.linspace(1, 0, steps)[None], 1.0)[0]
    for at, colour in enumerate(colours):
        scene.add(Box(left, top + at * high / steps, 26, high / steps + 0.5, to_hex(colour)))
    scene.add(Text(left + 34, top + 8, str(most), 18, anchor="start"))
    scene.add(Text(left + 34, top + high - 8, "0", 18, anchor="start"))
    scene.add(Text(left + 34, top + high / 2, "windows", 14, GREY, "start"))


def _letter_colour(colour: np.ndarray) -> str:
    """Dark letters on light, light letters on dark (Rec. 601 luma)."""
    return INK if float(np.dot(colour, (0.299, 0.587, 0.114))) > 130 else PAPER
