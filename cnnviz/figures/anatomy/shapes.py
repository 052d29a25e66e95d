"""Drawing of one block in the network graph: cells along the flow, branches beside each other, skips above."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cnnviz.figures.anatomy.blocks import Unit
from cnnviz.figures.anatomy.nodes import GraphNode
from cnnviz.figures.base.colors import CHOSEN, GREY, KINDS
from cnnviz.figures.base.scene import INK, Box, Polyline, Scene, Text, arc_points, round_corners, smooth_path
from cnnviz.figures.base.text import shorten, text_width
from cnnviz.wording import plural

EDGE = "#3f4753"
ROUND = ("add", "multiply")
BOWS = 5  # more skips than these are drawn as bows, as in a dense block
TRANSITION = 140.0  # pixels of a line that a long dense block leaves to the transition before it
NAME = 11.0  # pixels of a block's name


@dataclass(frozen=True, slots=True)
class Style:
    """Measures of the picture that follow from the width of a `cell` and of a `line`, in pixels."""

    cell: float
    line: float = 1000.0

    @property
    def high(self) -> float:
        """Height of a cell."""
        return 42.0 if self.cell >= 80 else 37.0 if self.cell >= 44 else max(11.0, 0.62 * self.cell)

    @property
    def gap(self) -> float:
        return max(6.0, 0.2 * self.cell)

    @property
    def lane(self) -> float:
        return self.high + max(4.0, 0.2 * self.high)

    @property
    def between(self) -> float:
        """From block to block."""
        return max(13.0, 0.3 * self.cell)

    @property
    def join(self) -> float:
        """Diameter of a + or ×."""
        return min(20.0, max(11.0, 0.45 * self.cell))

    def width(self, cell: GraphNode) -> float:
        if cell.kind in ROUND:
            return self.join
        if cell.kind == "concat":
            return min(14.0, max(6.0, 0.22 * self.cell))
        return self.cell if cell.kind in ("conv", "linear", "pool") else max(self.cell * 0.62, min(self.cell, 34.0))


@dataclass(frozen=True, slots=True)
class Extent:
    """What a block takes: `width`, and pixels `above` and `below` the flow."""

    width: float
    above: float
    below: float


def is_framed(unit: Unit) -> bool:
    return len(unit.cells) > 1


def fit_style(unit: Unit, style: Style) -> Style:
    """The style of a unit's cells: smaller where a dense block would be longer than a line."""
    if not unit.dense:
        return style
    return Style(min(style.cell, (style.line - TRANSITION) / len(unit.cells) - 3.0), style.line)


def _place_columns(unit: Unit, style: Style) -> tuple[list[float], list[float]]:
    """(left, width) of every layer of cells, from the entry."""
    count = max(unit.layout.layers) + 1
    widths = [0.0] * count
    for cell, layer in zip(unit.cells, unit.layout.layers[1:], strict=True):
        widths[layer] = max(widths[layer], style.width(cell))
    gap = min(style.gap, 3.0 if style.cell < 14 else 6.0) if unit.dense else style.gap
    x, lefts = (7.0 if is_framed(unit) else 0.0), [0.0]
    for wide in widths[1:]:
        lefts.append(x + (gap if is_framed(unit) else 0.0))
        x = lefts[-1] + wide
    return lefts, widths


def _measure_lift(unit: Unit) -> float:
    """Pixels above the cells for the skips."""
    skips = unit.layout.skips
    if not skips:
        return 0.0
    if len(skips) > BOWS:
        return min(64.0, 34.0 + 2.0 * len(unit.cells))
    return 5.0 + 7.0 * max(level for *_, level in skips)


def measure_unit(unit: Unit, style: Style) -> Extent:
    """The place that a unit's drawing takes."""
    style = fit_style(unit, style)
    lefts, widths = _place_columns(unit, style)
    low, high = unit.layout.span
    pad = 8.0 if is_framed(unit) else 1.0
    folded = 6.0 if unit.repeat > 1 else 0.0
    above = style.high / 2 - low * style.lane + pad + _measure_lift(unit) + (13.0 if folded else 0.0)
    below = style.high / 2 + high * style.lane + pad + folded + NAME + 5
    return Extent(lefts[-1] + widths[-1] + (10.0 if is_framed(unit) else 0.0) + folded, above, below)


def draw_unit(scene: Scene, unit: Unit, x: float, middle: float, style: Style, chosen: int | None) -> None:
    """Draw a unit whose flow enters at (x, middle)."""
    room, style = measure_unit(unit, style), fit_style(unit, style)
    item = f"block:{unit.blocks[0]}"
    marked = chosen in unit.blocks
    _draw_frame(scene, unit, x, middle, room, marked, item)
    _draw_edges(scene, unit, x, middle, style)
    lefts, widths = _place_columns(unit, style)
    for number, cell in enumerate(unit.cells, 1):
        layer, lane = unit.layout.layers[number], unit.layout.lanes[number]
        wide = style.width(cell)
        left = x + lefts[layer] + (widths[layer] - wide) / 2
        several = unit.dense or unit.merged
        own = f"block:{cell.block}" if several else item
        here = several and chosen == cell.block
        here = here or (marked and not is_framed(unit))
        if cell.kind == "concat":
            top, bottom = (middle + end for end in _find_reach(unit, number, style))
            _draw_concat(scene, cell, left, top, bottom, style, own)
        else:
            _draw_node(scene, cell, left, middle + lane * style.lane, style, own, here)
    text = choose_name(unit, room.width + style.between - 6)
    y = middle + room.below - NAME / 2 - 1
    scene.add(Text(x + room.width / 2, y, text, NAME, CHOSEN if marked else GREY, bold=marked))


def choose_name(unit: Unit, room: float) -> str:
    """The unit's name with the number of its maps, as much of it as is readable in `room` pixels."""
    if not unit.name:
        return ""
    last = unit.name.rpartition(".")[2]
    full = f"{unit.name} · {unit.output[0]}"
    for text in (full if is_framed(unit) and not unit.dense else unit.name, unit.name):
        if text_width(text, NAME, True) <= room:
            return text
    if text_width(last, NAME, True) <= room and not last.isdigit():
        return last
    if last.isdigit():
        return f"….{last}" if text_width(f"….{last}", NAME, True) <= room else ""
    text = shorten(unit.name, NAME, room, True)
    return text if len(text) > 4 else ""


def _draw_frame(scene: Scene, unit: Unit, x: float, middle: float, room: Extent, marked: bool, item: str) -> None:
    folded = 6.0 if unit.repeat > 1 else 0.0
    top = middle - room.above + (13.0 if folded else 0.0)
    high = middle + room.below - NAME - 5 - folded - top
    wide = room.width - folded
    if not is_framed(unit):
        return
    for back in (folded, folded / 2) if folded else ():
        scene.add(Box(x + back, top + back, wide, high, "#eceff3", "#aab2bd", 1, 7))
    stroke, line = (CHOSEN, 2.5) if marked else ("#c3cad3", 1.0)
    alike = "more of these layers, each with its own factor" if unit.varied else "equal to it"
    title = unit.name + (f" and {plural(unit.repeat - 1, 'block')} {alike}" if folded else "")
    scene.add(Box(x, top, wide, high, "#f6f7f9", stroke, line, 7, item, title))
    if folded:
        count = f"× {unit.repeat}" + ", factors differ" * unit.varied
        scene.add(Text(x + wide, top - 7, count, 14, anchor="end", bold=True))


def _draw_concat(
    scene: Scene, cell: GraphNode, left: float, top: float, bottom: float, style: Style, item: str
) -> None:
    """A concatenation."""
    fill = KINDS[cell.paint][0]
    scene.add(Box(left, top, style.width(cell), bottom - top, fill, fill, 0.8, 2, item, cell.title))


def _draw_node(
    scene: Scene, cell: GraphNode, left: float, middle: float, style: Style, item: str, marked: bool
) -> None:
    fill, letters, _ = KINDS[cell.paint]
    wide, high = style.width(cell), style.high
    line, stroke = (2.5, CHOSEN) if marked else (0.8, "#4b5563")
    if cell.kind in ROUND:
        scene.add(Box(left, middle - wide / 2, wide, wide, fill, INK, 1.3, wide / 2, item, cell.title))
        scene.add(Text(left + wide / 2, middle, cell.short[0], wide * 0.95, letters, bold=True))
        return
    scene.add(Box(left, middle - high / 2, wide, high, fill, stroke, line, 3, item, cell.title))
    size = 15.0 if style.cell >= 80 else 14.0 if style.cell >= 64 else 13.0 if style.cell >= 56 else 12.0
    lines = [s for s in cell.short if s] if style.cell >= 44 else list(cell.short[:1])
    for number, text in enumerate(lines):
        fits = next((s for s in (size, 12.0, 11.0) if s <= size and text_width(text, s) <= wide - 3), None)
        if fits is not None:
            y = middle + (number - (len(lines) - 1) / 2) * (size + 2)
            scene.add(Text(left + wide / 2, y, text, fits, letters))


def _find_reach(unit: Unit, number: int, style: Style) -> tuple[float, float]:
    """Top and bottom of a concatenation, from the block's middle: over all branches that enter it."""
    layout = unit.layout
    if number == len(unit.cells):  # the last one closes the block
        half = max(-layout.span[0], layout.span[1])
        lanes = [layout.lanes[number] - half, layout.lanes[number] + half]
    else:
        lanes = [bends[-1] if bends else layout.lanes[a] for a, b, bends in layout.routes if b == number]
        lanes.append(layout.lanes[number])
    return min(lanes) * style.lane - style.high / 2, max(lanes) * style.lane + style.high / 2


def _draw_edges(scene: Scene, unit: Unit, x: float, middle: float, style: Style) -> None:
    """Ways between the cells of a unit."""
    lefts, widths = _place_columns(unit, style)
    layout = unit.layout

    def sides(node: int) -> tuple[float, float, float]:
        """Left end, right end and height of a node."""
        y = middle + layout.lanes[node] * style.lane
        if node == 0:
            return x, x + (5.0 if is_framed(unit) else 0.0), y
        layer, wide = layout.layers[node], style.width(unit.cells[node - 1])
        left = x + lefts[layer] + (widths[layer] - wide) / 2
        return left, left + wide, y

    if not is_framed(unit):
        return
    scene.add(Polyline(((x, middle), (x + 5, middle)), EDGE, 1.2))
    for a, b, bends in layout.routes:
        points = [(sides(a)[1], sides(a)[2])]
        for step, lane in enumerate(bends, layout.layers[a] + 1):
            level = middle + lane * style.lane
            points += [(x + lefts[step], level), (x + lefts[step] + widths[step], level)]
        left, _, y = sides(b)
        cell = unit.cells[b - 1]
        y = points[-1][1] if cell.kind == "concat" else y
        scene.add(Polyline(smooth_path([*points, (left, y)], True), EDGE, 1.2))
    last = sides(len(unit.cells))
    end = x + measure_unit(unit, style).width - (6.0 if unit.repeat > 1 else 0.0)
    scene.add(Polyline(((last[1], last[2]), (end, last[2])), EDGE, 1.2))
    _draw_skips(scene, unit, sides, middle, style)


def _draw_skips(
    scene: Scene, unit: Unit, sides: Callable[[int], tuple[float, float, float]], middle: float, style: Style
) -> None:
    layout = unit.layout
    top = middle + layout.span[0] * style.lane - style.high / 2
    for a, b, level in layout.skips:
        start = sides(a)[1] if a else sides(a)[1] - 1
        left, right, y = sides(b)
        end = (left + right) / 2
        cell = unit.cells[b - 1]
        tip = y - style.join / 2 if cell.kind in ROUND else y - style.high / 2
        if len(layout.skips) > BOWS:
            lift, count = (_measure_lift(unit) - 6) * ((b - a) / len(unit.cells)) ** 0.6, len(unit.cells)
            colour = "#55606e" if count < 30 else "#98a2b0"  # thousands of wires would be one black surface
            scene.add(
                Polyline(arc_points((start, top - 1), (end, top - 1), lift), colour, max(0.25, min(0.9, 12 / count)))
            )
        else:
            up = top - 1 - 7 * level
            points = [(start, sides(a)[2]), (start, up), (end, up), (end, tip)]
            scene.add(Polyline(round_corners(points, 8), INK, 1.6, 5.0))
    if layout.skips and any(a == 0 for a, *_ in layout.skips):
        scene.add(Box(sides(0)[1] - 3.5, middle - 2.5, 5, 5, INK, radius=2.5))
