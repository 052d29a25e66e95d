"""Convolution of one channel, one step: the window on the input, the kernel, the output so far, the sum written out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.colors import CHOSEN, GREY
from cnnviz.figures.base.scene import Box, Scene, Text
from cnnviz.figures.base.text import size_text, text_width
from cnnviz.figures.playground.cells import (
    BLANK,
    PADDING,
    CellStyle,
    draw_grid,
    fit_sum,
    number_text,
    pad_pair,
    spell_floor,
    tied_colours,
)

if TYPE_CHECKING:
    from cnnviz.studies.convolution.convolution import ConvolvedGrid, OutputSize

HEAD, GAP, SUM, LINE = 34.0, 56.0, 104.0, 25.0  # pixels: titles, room for signs, the sum, a line of sizes
NOW = "#fde3d0"  # the output that is computed in this step


def order_weights(flip: bool, count: int) -> list[int]:
    """The colour of each weight as it is laid on: a weight keeps its colour when the kernel is turned."""
    return list(range(count))[::-1] if flip else list(range(count))


def step_scene(
    result: ConvolvedGrid,
    padding: int | tuple[int, int],
    number: int,
    sizes: tuple[OutputSize, OutputSize],
    flip: bool = False,
    width: float = 1070.0,
    height: float = 540.0,
) -> Scene:
    """Step `number` (from 0, row by row) of a convolution of one channel by one kernel.

    The window and the kernel share colours, weight by weight. `sizes`: of rows and columns. Output cells carry the
    item "step:n"."""
    scene, words = Scene(width, height), size_lines(sizes)
    row, col = divmod(number, result.output.shape[2])
    tables = _build_tables(result, pad_pair(padding), number, flip)
    room = height - HEAD - SUM - LINE * len(words)
    high, wide = max(len(t[1]) for t in tables), sum(t[1].shape[1] for t in tables)
    side = min(116.0, room / high, (width - 2 * GAP - 4) / wide)
    left, middle = (width - side * wide - 2 * GAP) / 2, HEAD + side * high / 2
    for (head, values, cells), sign in zip(tables, ("*", "=", ""), strict=True):
        across, top = values.shape[1] * side, middle - len(values) * side / 2
        scene.add(Text(left + across / 2, top - 16, head, 16, GREY))
        draw_grid(scene, values, left, top, side, cells)
        if sign == "*":
            draw_window(scene, result, left, top, side, row, col)
        scene.add(Text(left + across + GAP / 2, middle, sign, 32, bold=True))
        left += across + GAP
    _draw_sum(scene, result.step(row, col).text, HEAD + side * high + (room - side * high) * 0.2 + 16)
    for place, (line, ink) in enumerate(words):
        y, size = height - LINE * (len(words) - place - 0.5), min(16.0, (width - 8) / text_width(line, 1.0))
        scene.add(Text(width / 2, y, line, size, ink))
    return scene


def _build_tables(
    result: ConvolvedGrid, padding: tuple[int, int], number: int, flip: bool
) -> tuple[tuple[str, np.ndarray, list[list[CellStyle]]], ...]:
    """(title, numbers, cells) of the padded input, the kernel as it is laid on, and the output."""
    output, kernel, padded = result.output[0], result.kernels[0, 0], result.padded[0]
    row, col = divmod(number, output.shape[1])
    colours = tied_colours(kernel.size)
    paints = [colours[n] for n in order_weights(flip, kernel.size)]
    around = f", padding {max(padding)}" if any(padding) else ""
    inner = (padded.shape[0] - 2 * padding[0], padded.shape[1] - 2 * padding[1])
    return (
        (f"Input {size_text(inner)}{around}", padded, window_cells(result, padding, row, col, padded, kernel, paints)),
        (f"Kernel {size_text(kernel.shape)}{', turned' if flip else ''}", kernel, kernel_cells(kernel, paints)),
        (f"Output {size_text(output.shape)}", output, output_cells(output, number)),
    )


def _draw_sum(scene: Scene, text: str, top: float) -> None:
    """The sum written out, as large as it fits."""
    lines, size = fit_sum(text, scene.width - 20, SUM - 8)
    for place, line in enumerate(lines):
        bold = len(lines) == 1 and text_width(line, size, True) < scene.width
        scene.add(Text(scene.width / 2, top + (place + 0.5) * 1.35 * size, line, size, bold=bold))


def size_lines(sizes: tuple[OutputSize, OutputSize]) -> list[tuple[str, str]]:
    """(text, colour): the output size by both formulas, and where the division is not whole."""
    axes = ("rows and columns",) if sizes[0] == sizes[1] else ("rows", "columns")
    lines = []
    for axis, size in zip(axes, sizes, strict=False):
        both = f"{spell_floor(size.per_side)}   or, p both sides together: {spell_floor(size.total)}"
        lines.append((f"{axis.capitalize()}: {both}", GREY))
        if not size.whole:
            one = axis.replace("rows", "row").replace("columns", "column")
            last = one if size.unread == 1 else f"{size.unread} {axis}"
            exact = f"{float(size.exact):.3g} is not whole and is rounded down"
            lines.append((f"{exact}: no window reads the last {last}.", CHOSEN))
    return lines


def window_cells(
    result: ConvolvedGrid,
    padding: tuple[int, int],
    row: int,
    col: int,
    padded: np.ndarray,
    kernel: np.ndarray,
    paints: list[str],
) -> list[list[CellStyle]]:
    """One channel of the padded input: zeros around it in gray, each pixel of the window in the colour of the weight
    that it meets. `kernel` (kh, kw) and its `paints`, as it is laid on."""
    high, wide = padded.shape
    cells: list[list[CellStyle]] = []
    for y in range(high):
        cells.append([])
        for x in range(wide):
            outside = not (padding[0] <= y < high - padding[0] and padding[1] <= x < wide - padding[1])
            cell = CellStyle(PADDING, GREY) if outside else CellStyle()
            down, across = y - row * result.stride, x - col * result.stride
            i, j = down // result.dilation, across // result.dilation
            read = down % result.dilation == across % result.dilation == 0
            if read and 0 <= i < kernel.shape[0] and 0 <= j < kernel.shape[1]:
                paint = paints[i * kernel.shape[1] + j]
                cell = CellStyle(paint, bold=True, corner=f"×{number_text(kernel[i, j])}")
            cells[-1].append(cell)
    return cells


def kernel_cells(kernel: np.ndarray, paints: list[str]) -> list[list[CellStyle]]:
    """A kernel, weight by weight in its colour."""
    wide = kernel.shape[1]
    return [[CellStyle(paints[i * wide + j], bold=True) for j in range(wide)] for i in range(len(kernel))]


def output_cells(output: np.ndarray, number: int, first: int = 0) -> list[list[CellStyle]]:
    """One map of the output, filled up to step `number`; a click on any of it goes there. `first`: its first step."""
    wide = output.shape[1]

    def cell(at: int) -> CellStyle:
        item, title = f"step:{at}", f"Step {at + 1}"
        if at == number:
            return CellStyle(NOW, bold=True, item=item, title=title)
        return (
            CellStyle(item=item, title=title) if at < number else CellStyle(BLANK, item=item, title=title, blank=True)
        )

    return [[cell(first + i * wide + j) for j in range(wide)] for i in range(len(output))]


def draw_window(scene: Scene, result: ConvolvedGrid, left: float, top: float, side: float, row: int, col: int) -> None:
    """A thick frame around the window, on an input whose corner is at (left, top)."""
    high, wide = ((k - 1) * result.dilation + 1 for k in result.kernels.shape[2:])
    x, y = left + col * result.stride * side, top + row * result.stride * side
    scene.add(Box(x, y, wide * side, high * side, "none", CHOSEN, 4.0))
