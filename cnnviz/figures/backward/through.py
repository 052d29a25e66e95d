"""Backward through one layer: tables of numbers that can be read, maps of a network, and a kernel's slices "
"regrouped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.charts import value_text
from cnnviz.figures.base.colors import GREY, GUTTER, activation_rgb, signed_rgb
from cnnviz.figures.base.encode import enlarge, rgb_png
from cnnviz.figures.base.scene import Scene, Text
from cnnviz.figures.equivariance.panels import Strip, find_peak, fit_map, place_pixels
from cnnviz.figures.playground.cells import BLANK, PADDING, CellStyle, draw_grid, tied_colours, uniform_cells

if TYPE_CHECKING:
    from cnnviz.studies.backward.through import LayerBackward

CHOSEN_FILL, BLOCKED = "#fde3d0", "#e3e7ec"
SIDE, CAPTION, GAP = 250, 26, 14  # pixels of a map
LETTERS = "abcdefghijklmnopqrstuvwxyz"
MOST_SLICES = 64  # rows and columns of regrouped slices
RESULT, ARRIVES = "∂L/∂x", "∂L/∂y"


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers (rows, cols) with their cells under a title; `sign` stands before it."""

    title: str
    values: np.ndarray
    cells: Sequence[Sequence[CellStyle]]
    sign: str = ""


def tables_scene(tables: Sequence[Table], words: str, width: float = 1070.0, height: float = 470.0) -> Scene:
    """Tables side by side with signs between, two in a line in a narrow picture, all cells of one size; `words`
    beneath."""
    narrow = width < 600
    many = 2 if narrow else len(tables)
    lines = [tables[start : start + many] for start in range(0, len(tables), many)]
    scene, gap, letters = Scene(width, height), 28.0 if narrow else 46.0, 13.0 if narrow else 16.0
    room = (height - 34) / len(lines)
    high = max(len(t.values) for t in tables)
    wide = max(sum(t.values.shape[1] for t in line) for line in lines)
    side = min(92.0, (room - 44) / high, (width - gap * many) / wide)
    for number, line in enumerate(lines):
        middle = 30 + number * room + (room - 30) / 2
        _draw_line(scene, line, width, middle, side, gap, letters, signed=number > 0)
    scene.add(Text(width / 2, height - 12, words, 12.0 if narrow else 15.0, GREY))
    return scene


def _draw_line(
    scene: Scene,
    tables: Sequence[Table],
    width: float,
    middle: float,
    side: float,
    gap: float,
    letters: float,
    signed: bool,
) -> None:
    """Tables side by side, centred; `signed`: the first one's sign, too."""
    left = (width - side * sum(t.values.shape[1] for t in tables) - gap * (len(tables) - 1)) / 2
    for number, table in enumerate(tables):
        if number or signed:
            scene.add(Text(left - gap / 2, middle, table.sign, 20.0 if gap < 40 else 26.0, bold=True))
        rows, cols = table.values.shape
        top = middle - rows * side / 2
        scene.add(Text(left + cols * side / 2, top - 14, table.title, letters, GREY))
        draw_grid(scene, table.values, left, top, side, table.cells)
        for (row, col), _ in np.ndenumerate(table.values) if 20 <= side < 44 else ():  # larger cells show it themselves
            if letter := table.cells[row][col].corner:
                x, y = left + (col + 1) * side - 3, top + (row + 1) * side - 0.17 * side
                scene.add(Text(x, y, letter, 0.3 * side, anchor="end"))
        left += cols * side + gap


def conv_tables(kernel: np.ndarray, arriving: np.ndarray, passed: np.ndarray, stride: int) -> list[Table]:
    """The kernel, the gradient with zeros between and around it, the kernel turned by 180°, and what passes: a weight
    keeps its colour and its letter."""
    rows, cols = kernel.shape
    fills = tied_colours(kernel.size)
    names = [LETTERS[n] if n < len(LETTERS) else "" for n in range(kernel.size)]
    cells = [
        [CellStyle(fills[i * cols + j], bold=True, corner=names[i * cols + j]) for j in range(cols)]
        for i in range(rows)
    ]
    turned = [line[::-1] for line in cells[::-1]]
    spread = np.zeros([(n - 1) * stride + 1 for n in arriving.shape])
    spread[::stride, ::stride] = arriving
    inside = np.zeros(spread.shape, bool)
    inside[::stride, ::stride] = True
    down, across = passed.shape[0] + rows - 1 - len(spread), passed.shape[1] + cols - 1 - spread.shape[1]
    pads = ((rows - 1, down - rows + 1), (cols - 1, across - cols + 1))
    padded, known = np.pad(spread, pads), np.pad(inside, pads)
    around = [
        [CellStyle("#ffffff" if known[i, j] else PADDING, bold=bool(known[i, j])) for j in range(padded.shape[1])]
        for i in range(len(padded))
    ]
    return [
        Table("kernel, forward", kernel, cells),
        Table(f"{ARRIVES} and zeros", padded, around, "→"),
        Table("kernel, turned", kernel[::-1, ::-1], turned, "*"),
        Table(RESULT, passed, _signed_cells(passed), "="),
    ]


def matrix_tables(matrix: np.ndarray, weight: np.ndarray, arriving: np.ndarray, passed: np.ndarray) -> list[Table]:
    """The matrix W of the layer (M, N), its transpose, the gradient and what passes as columns: ∂L/∂x = Wᵀ ∂L/∂y.

    `weight` (M, N): which weight stands at each place, -1 for none; equal ones have one colour."""
    fills = tied_colours(max(int(weight.max()) + 1, 1))
    cells = [
        [CellStyle(fills[n], bold=True) if n >= 0 else CellStyle(BLANK, blank=True) for n in line] for line in weight
    ]
    over = [[cells[i][j] for i in range(len(cells))] for j in range(len(cells[0]))]
    column, result = arriving.reshape(-1, 1), passed.reshape(-1, 1)
    return [
        Table(f"W, {len(matrix)}×{matrix.shape[1]}", matrix, cells),
        Table("its transpose", matrix.T, over, "→"),
        Table(ARRIVES, column, uniform_cells((len(column), 1)), "·"),
        Table(RESULT, result, _signed_cells(result), "="),
    ]


def mask_tables(entering: np.ndarray, arriving: np.ndarray, passed: np.ndarray) -> list[Table]:
    """x, the mask x > 0, the gradient, and what of it passes a ReLU."""
    mask = (entering > 0).astype(float)
    cells = [[CellStyle(CHOSEN_FILL if one else BLOCKED, bold=bool(one)) for one in line] for line in mask]
    return [
        Table("x", entering, cells),
        Table("x > 0", mask, cells, "→"),
        Table(ARRIVES, arriving, uniform_cells((len(arriving), arriving.shape[1])), "×"),
        Table(RESULT, passed, cells, "="),
    ]


def pool_tables(
    entering: np.ndarray, arriving: np.ndarray, passed: np.ndarray, window: int, stride: int
) -> list[Table]:
    """x with its windows in colours where they do not overlap, the gradient in the same colours, and where it goes."""
    fills = tied_colours(arriving.size) if stride >= window else ("#ffffff",) * arriving.size
    cells = uniform_cells((len(entering), entering.shape[1]))
    firsts = np.zeros(entering.shape, bool)
    cols = arriving.shape[1]
    for i, j in np.ndindex(*arriving.shape):
        part = entering[i * stride : i * stride + window, j * stride : j * stride + window]
        down, right = divmod(int(part.argmax()), part.shape[1])
        firsts[i * stride + down, j * stride + right] = True
        for y, x in np.ndindex(*part.shape):
            cells[i * stride + y][j * stride + x] = CellStyle(fills[i * cols + j])
    marked = [
        [CellStyle(cell.fill if firsts[i, j] else "#ffffff", bold=bool(firsts[i, j])) for j, cell in enumerate(line)]
        for i, line in enumerate(cells)
    ]
    shown = [
        [CellStyle(cell.fill, bold=bool(firsts[i, j])) for j, cell in enumerate(line)] for i, line in enumerate(cells)
    ]
    above = [[CellStyle(fills[i * cols + j], bold=True) for j in range(cols)] for i in range(len(arriving))]
    return [
        Table("x, maxima bold", entering, shown),
        Table(ARRIVES, arriving, above, "←"),
        Table(RESULT, passed, marked, "→"),
    ]


def _signed_cells(values: np.ndarray) -> list[list[CellStyle]]:
    fills = {-1.0: "#b7d0ec", 0.0: "#ffffff", 1.0: "#f3c4b3"}
    return [[CellStyle(fills[float(np.sign(value))], bold=True) for value in line] for line in values]


def layer_strip_back(found: LayerBackward, channel: int, filter_: int) -> Strip:
    """Maps of one channel: what enters in viridis, the gradient that arrives and the one that passes in blue–white–red,
    each with its own peak; between them what the layer lets through, of a ReLU its mask, of a pooling its maxima."""
    maps = [
        (f"x, channel {channel}", activation_rgb(found.entering[channel]), found.entering[channel]),
        (f"{ARRIVES}, channel {filter_}", signed_rgb(found.arriving[filter_]), found.arriving[filter_]),
    ]
    if found.kind == "relu":
        maps.append(("x > 0: passes", _mask_rgb(found.entering[channel] > 0), found.entering[channel] > 0))
    elif found.kind == "max-pooling":
        maps.append(("maxima of windows", _mask_rgb(found.chosen[channel] > 0), found.chosen[channel] > 0))
    maps.append((f"{RESULT}, channel {channel}", signed_rgb(found.passed[channel]), found.passed[channel]))
    size = (len(maps) * SIDE + (len(maps) - 1) * GAP, 2 * CAPTION + SIDE)
    canvas = np.full((size[1], size[0], 3), GUTTER, np.uint8)
    words = []
    for place, (title, pixels, values) in enumerate(maps):
        left = place * (SIDE + GAP)
        place_pixels(canvas, fit_map(pixels, SIDE), CAPTION, left, SIDE)
        words.append((float(left), 2.0, float(SIDE), title))
        told = (
            f"{100 * float(values.mean()):.0f} % pass"
            if values.dtype == bool
            else f"largest {value_text(find_peak(values))}"
        )
        words.append((float(left), float(CAPTION + SIDE + 2), float(SIDE), told))
    return Strip(rgb_png(canvas), size, tuple(words))


def _mask_rgb(mask: np.ndarray) -> np.ndarray:
    return np.where(mask[..., None], np.array((232, 93, 4), np.uint8), np.array((176, 183, 192), np.uint8))


def slices_strip(kernel: np.ndarray, turned: np.ndarray, room: int = 480) -> Strip:
    """The slices of a kernel (F, C, kh, kw), a row a filter, and beside them the same ones as the backward pass lays
    them on, (C, F, kh, kw), a row an input channel, each turned; blue–white–red about 0, at most MOST_SLICES a side."""
    parts = [one[:MOST_SLICES, :MOST_SLICES] for one in (kernel, turned)]
    peak, tables = float(np.abs(kernel).max()), []
    cells = max(max(one.shape[0] * (one.shape[2] + 1), one.shape[1] * (one.shape[3] + 1)) for one in parts)
    factor = max(1, room // cells)
    for part in parts:
        rows, cols, high, wide = part.shape
        sheet = np.full((rows * (high + 1) * factor, cols * (wide + 1) * factor, 3), GUTTER, np.uint8)
        for i, j in np.ndindex(rows, cols):
            top, left = i * (high + 1) * factor, j * (wide + 1) * factor
            sheet[top : top + high * factor, left : left + wide * factor] = enlarge(
                signed_rgb(part[i, j], peak), factor
            )
        tables.append(sheet)
    left = max(tables[0].shape[1] + 40, 250)
    size = (left + max(tables[1].shape[1], 250), CAPTION + max(len(one) for one in tables))
    canvas = np.full((size[1], size[0], 3), GUTTER, np.uint8)
    for at, sheet in zip((0, left), tables, strict=True):
        canvas[CAPTION : CAPTION + len(sheet), at : at + sheet.shape[1]] = sheet
    sizes = ["×".join(map(str, one.shape)) for one in (kernel, turned)]
    words = (
        (0.0, 2.0, float(left - 10), f"forward: {sizes[0]}"),
        (float(left), 2.0, float(size[0] - left), f"backward: {sizes[1]}, turned"),
    )
    return Strip(rgb_png(canvas), size, words)
