"""Tables of numbers that can be read from the last row, with one colour for each weight of a kernel."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnviz.figures.base.colors import CATEGORIES, from_hex, signed_rgb, to_hex
from cnnviz.figures.base.scene import INK, PAPER, Box, Scene, Text
from cnnviz.figures.base.text import text_width

EDGE, BLANK, PADDING = "#aab2bd", "#f3f4f6", "#e3e7ec"
LEAST = 7.0  # pixels; smaller digits are left out


@dataclass(frozen=True, slots=True)
class CellStyle:
    """How one number is drawn. `corner`: small text at the lower right, such as the weight that meets it."""

    fill: str = PAPER
    ink: str = INK
    bold: bool = False
    corner: str = ""
    item: str = ""
    title: str = ""
    blank: bool = False


def pad_pair(padding: int | tuple[int, int]) -> tuple[int, int]:
    """Padding above and below, and left and right, of one number for both or of the pair."""
    return (padding, padding) if isinstance(padding, int) else padding


def number_text(value: float) -> str:
    """−0.25, 114, 1.33: four digits at most, and a proper minus."""
    return f"{value + 0.0:.4g}".replace("-", "−")  # −0.0 is 0


def spell_floor(text: str) -> str:
    """⌊x⌋ as floor(x), which every font can write."""
    return text.replace("⌊", "floor(").replace("⌋", ")")


def tied_colours(count: int) -> tuple[str, ...]:
    """One light colour for each of `count` weights, dark letters readable on all of them.

    Up to eight are the categories of all pages, lightened; more are hues at equal steps in two lightnesses."""
    if count <= len(CATEGORIES):
        return tuple(_lighten(colour) for colour in CATEGORIES[:count])
    hues = [colorsys.hls_to_rgb(n / count, 0.72 + 0.12 * (n % 2), 0.75) for n in range(count)]
    return tuple(to_hex(round(255 * part) for part in hue) for hue in hues)


def _lighten(colour: str, share: float = 0.5) -> str:
    return to_hex(round(part + (255 - part) * share) for part in from_hex(colour))


def draw_grid(
    scene: Scene, values: np.ndarray, left: float, top: float, side: float, cells: Sequence[Sequence[CellStyle]]
) -> None:
    """Draw a table of numbers with its upper left corner at (left, top), `side` pixels a cell.

    `values` (rows, cols); `cells`: of the same shape. All numbers of a table have one size."""
    size = digits_size(values, side)
    for (row, col), value in np.ndenumerate(values):
        cell, x, y = cells[row][col], left + col * side, top + row * side
        scene.add(Box(x, y, side, side, cell.fill, EDGE, 1.0, item=cell.item, title=cell.title))
        if not cell.blank and size >= LEAST:
            lift = 0.08 * side if cell.corner else 0.0
            text = number_text(float(value))
            scene.add(Text(x + side / 2, y + side / 2 - lift, text, size, cell.ink, bold=cell.bold))
        if cell.corner and side >= 44:
            scene.add(Text(x + side - 4, y + side - 0.14 * side, cell.corner, 0.22 * side, INK, "end"))


def digits_size(values: np.ndarray, side: float, share: float = 0.44) -> float:
    """Pixels of the digits, at most `share` of a cell, so that the longest number of a table fits into it."""
    longest = max((text_width(number_text(float(v)), 1.0, True) for v in np.unique(values)), default=1.0)
    return min(share * side, 0.88 * side / max(longest, 0.1))


def uniform_cells(shape: tuple[int, int], cell: CellStyle | None = None) -> list[list[CellStyle]]:
    """Cells that are all alike."""
    return [[cell or CellStyle()] * shape[1] for _ in range(shape[0])]


def kernel_scene(weights: np.ndarray, width: float = 220.0) -> Scene:
    """A kernel (rows, cols) as a table, negative weights bluish and positive ones reddish."""
    rows, cols = weights.shape
    side = (width - 4) / cols
    scene = Scene(width, side * rows + 4)
    fills = {-1.0: "#b7d0ec", 0.0: PAPER, 1.0: "#f3c4b3"}
    styles = [[CellStyle(fills[float(np.sign(w))], bold=True) for w in row] for row in weights]
    if digits_size(weights, side) < LEAST:  # too small for numbers: the colours say how much
        shades = signed_rgb(weights, float(np.abs(weights).max()) or 1.0)
        styles = [[CellStyle(to_hex(shade)) for shade in row] for row in shades]
    draw_grid(scene, weights, 2, 2, side, styles)
    return scene


def wrap_sum(text: str, size: float, room: float) -> list[str]:
    """A sum in lines of at most `room` pixels, broken before a plus or an equals sign."""
    pieces = text.replace(" = ", " \n= ").replace(" + ", " \n+ ").split("\n")
    lines = [pieces[0]]
    for piece in pieces[1:]:
        if text_width(lines[-1] + piece, size) <= room:
            lines[-1] += piece
        else:
            lines.append(piece)
    return [line.strip() for line in lines]


def fit_sum(text: str, room: float, height: float, most: float = 30.0) -> tuple[list[str], float]:
    """(lines, size of letters): the largest letters in which a sum fits `room` × `height` pixels; one line if it is
    readable."""
    size = min(most, room / text_width(text, 1.0, True))
    if size >= 20:
        return [text], size
    size = most
    while size > 11:
        lines = wrap_sum(text, size, room)
        if len(lines) * 1.35 * size <= height and max(text_width(line, size) for line in lines) <= room:
            break
        size -= 1
    return wrap_sum(text, size, room), size
