"""Convolution of several channels, one step: each channel's products and sum, and all sums added up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.colors import CHOSEN, GREY
from cnnviz.figures.base.scene import Scene, Text
from cnnviz.figures.base.text import size_text, text_width
from cnnviz.figures.playground.cells import (
    BLANK,
    EDGE,
    CellStyle,
    draw_grid,
    fit_sum,
    pad_pair,
    tied_colours,
    uniform_cells,
)
from cnnviz.figures.playground.steps import (
    draw_window,
    kernel_cells,
    order_weights,
    output_cells,
    size_lines,
    window_cells,
)
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.convolution.convolution import ConvolvedGrid, OutputSize

HEAD, TOTAL, LINE, SIGN, GAP = 34.0, 56.0, 25.0, 36.0, 10.0  # pixels
LETTERS = 27.0  # of a channel's sum, where it fits


def channels_scene(
    result: ConvolvedGrid,
    padding: int | tuple[int, int],
    number: int,
    sizes: tuple[OutputSize, OutputSize],
    flip: bool = False,
    width: float = 1070.0,
    height: float = 560.0,
) -> Scene:
    """Step `number` (from 0: filter by filter, row by row). A line for each channel: its window, the kernel that meets
    it, the sum of products; channels that are not of the filter's group are pale. Right: the output, a map a filter;
    its cells carry the item "step:n"."""
    scene, words, pads = Scene(width, height), size_lines(sizes), pad_pair(padding)
    filters, rows, cols = result.output.shape
    which, rest = divmod(number, rows * cols)
    row, col = divmod(rest, cols)
    room = height - HEAD - TOTAL - LINE * len(words)
    lines = len(result.padded)
    sides = _choose_sides(result, width, room)
    step = result.step(row, col, which)
    taken = sides[0] * (result.padded.shape[2] + result.kernels.shape[3]) + sides[1] * cols + 4 * SIGN + 8
    written = min(max(text_width(line, LETTERS, True) for line in step.lines), width - taken)
    left = (width - taken - written) / 2
    kernel_left = left + sides[0] * result.padded.shape[2] + SIGN
    sum_left = kernel_left + sides[0] * result.kernels.shape[3] + SIGN
    out_left = sum_left + written + 2 * SIGN
    inner = tuple(n - 2 * p for n, p in zip(result.padded.shape[1:], pads, strict=True))
    heads = (
        (left, f"{lines} × input {size_text(inner)}"),
        (kernel_left, f"filter {which + 1}" + (", turned" if flip else "")),
        (out_left, "output" if filters == 1 else plural(filters, "map")),
    )
    for edge, text in heads:
        scene.add(Text(edge, 14, text, min(16.0, 15 * width / 900), GREY, "start"))
    _draw_channels(scene, result, pads, (which, row, col), flip, (sides[0], room, left, kernel_left, sum_left, written))
    _draw_maps(scene, result.output, number, (sides[1], room, out_left))
    total = step.total
    size = min(30.0, (width - 20) / text_width(total, 1.0, True))
    scene.add(Text(width / 2, HEAD + room + TOTAL / 2, total, size, CHOSEN, bold=True))
    for at, (line, ink) in enumerate(words):
        small = min(16.0, (width - 8) / text_width(line, 1.0))
        scene.add(Text(width / 2, height - LINE * (len(words) - at - 0.5), line, small, ink))
    return scene


def _choose_sides(result: ConvolvedGrid, width: float, room: float) -> tuple[float, float]:
    """Pixels of a cell on the left and in the output, so that a third of the page is left for the sums."""
    lines, high, wide = result.padded.shape
    filters, rows, cols = result.output.shape
    across = (0.46 * width - 2 * SIGN) / (wide + result.kernels.shape[3])
    left = min(76.0, (room / lines - GAP) / max(high, result.kernels.shape[2]), across)
    return left, min(left, (room / filters - GAP) / rows, 0.2 * width / cols)


def _draw_channels(
    scene: Scene,
    result: ConvolvedGrid,
    padding: tuple[int, int],
    at: tuple[int, int, int],
    flip: bool,
    where: tuple[float, float, float, float, float, float],
) -> None:
    """The lines of the channels. `at`: (filter, row, col); `where`: cell, height, left edges, room for sums."""
    (which, row, col), (side, room, left, kernel_left, sum_left, written) = at, where
    step = result.step(row, col, which)
    depth, high, _ = step.weights.shape
    first = which // (len(result.output) // result.groups) * depth
    colours, count = tied_colours(step.weights.size), step.weights[0].size
    pitch = room / len(result.padded)
    for channel, padded in enumerate(result.padded):
        middle = HEAD + (channel + 0.5) * pitch
        top, own = middle - side * len(padded) / 2, channel - first
        if not 0 <= own < depth:
            draw_grid(scene, padded, left, top, side, uniform_cells(padded.shape, CellStyle(BLANK, EDGE)))
            scene.add(Text(kernel_left, middle, "of another group", 15, EDGE, "start"))
            continue
        kernel = result.kernels[which, own]
        paints = [colours[own * count + n] for n in order_weights(flip, count)]
        draw_grid(scene, padded, left, top, side, window_cells(result, padding, row, col, padded, kernel, paints))
        draw_window(scene, result, left, top, side, row, col)
        scene.add(Text(kernel_left - SIGN / 2, middle, "*", 26, bold=True))
        draw_grid(scene, kernel, kernel_left, middle - side * high / 2, side, kernel_cells(kernel, paints))
        lines, size = fit_sum(step.lines[own], written + 1, pitch - GAP, LETTERS)
        for number, line in enumerate(lines):
            y = middle + (number - (len(lines) - 1) / 2) * 1.35 * size
            scene.add(Text(sum_left, y, line, size, anchor="start", bold=len(lines) == 1))
        if own:
            scene.add(Text(sum_left - SIGN / 2, middle - pitch / 2, "+", 24, CHOSEN, bold=True))


def _draw_maps(scene: Scene, output: np.ndarray, number: int, where: tuple[float, float, float]) -> None:
    """The maps of the output below each other."""
    side, room, left = where
    pitch = room / len(output)
    for which, values in enumerate(output):
        top = HEAD + (which + 0.5) * pitch - side * len(values) / 2
        draw_grid(scene, values, left, top, side, output_cells(values, number, which * values.size))
