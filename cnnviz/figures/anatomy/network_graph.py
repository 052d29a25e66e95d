"""Network graph: the blocks of a whole network in the order of the forward pass, each with its own branches, under a
line of map sizes."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cnnviz.figures.anatomy.blocks import Unit, group_blocks
from cnnviz.figures.anatomy.nodes import shape_text
from cnnviz.figures.anatomy.shapes import Extent, Style, draw_unit, measure_unit
from cnnviz.figures.base.charts import count_text
from cnnviz.figures.base.colors import GREY, KINDS
from cnnviz.figures.base.scene import INK, Box, Point, Polyline, Scene, Shape, Text, round_corners
from cnnviz.figures.base.text import shorten, text_width
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.anatomy.rows import Anatomy

WIDTHS = (104, 96, 88, 80, 72, 64, 58, 52, 47, 42, 37, 33, 29, 26, 23, 20, 17, 15)  # of a cell, pixels
FADED, PALE = "#f3f4f6", "#b4bbc5"  # fill and lines of a block that has been removed
READABLE = 29  # a cell so wide holds "3×3"
LEFT, TOP, IMAGE = 22.0, 40.0, 46.0  # margins; the image's box
HEADER, GUTTER, LEGEND = 21.0, 15.0, 26.0  # map sizes above a line; the way back below it


@dataclass(slots=True)
class _Row:
    """One line of the picture. `units`: (index, left end); `sizes`: (text, left, right) of its map sizes."""

    units: list[tuple[int, float]] = field(default_factory=list)
    sizes: list[tuple[str, float, float]] = field(default_factory=list)
    above: float = 0.0
    below: float = 0.0
    middle: float = 0.0


@dataclass(frozen=True, slots=True)
class _GraphPlan:
    units: list[Unit]
    rooms: list[Extent]
    style: Style
    lines: list[_Row]
    height: float


def network_graph(
    anatomy: Anatomy,
    width: float = 1060.0,
    height: float = 600.0,
    chosen: int | None = None,
    repeats: str = "auto",
    removed: Container[int] = (),
) -> Scene:
    """The whole network, about `width` × `height` pixels; clicks name blocks ("block:12").

    Blocks are grouped by the size of their maps, as papers write them. `chosen`: index of the framed block.
    `repeats`: "folded" draws equal neighbours once, with "× n"; "all" draws each; "auto" folds where that is
    needed to read the cells. `removed`: indices of blocks that are drawn in grey. Taller than `height` only where
    cells have their least size."""
    plan = _choose_plan(anatomy, width, height, repeats)
    spare = max(0.0, min(26.0, (height - plan.height) / max(len(plan.lines), 1)))
    y = TOP
    for line in plan.lines:
        y += HEADER + line.above
        line.middle = y
        y += line.below + GUTTER + spare
    scene = Scene(width, y - spare - GUTTER + LEGEND + 4)
    scene.add(*_draw_heading(anatomy, width))
    _draw_arrows(scene, plan)
    for line in plan.lines:
        scene.add(*_draw_sizes(line))
        for index, x in line.units:
            before = len(scene.shapes)
            draw_unit(scene, plan.units[index], x, line.middle, plan.style, chosen)
            if all(block in removed for block in plan.units[index].blocks):
                scene.shapes[before:] = map(fade, scene.shapes[before:])
    used = dict.fromkeys(cell.paint for unit in plan.units for cell in unit.cells)
    scene.add(*draw_legend(used, 4, scene.height - LEGEND / 2))
    return scene


def fade(shape: Shape) -> Shape:
    """The same shape in the grey of what has been taken out."""
    if isinstance(shape, Box):
        return replace(shape, fill=shape.fill if shape.fill == "none" else FADED, stroke=shape.stroke and PALE)
    return replace(shape, fill=PALE) if isinstance(shape, Text) else replace(shape, stroke=PALE)


def parse_block_item(item: str) -> int | None:
    """The block that a click on the picture names; None for anything else."""
    kind, _, number = item.partition(":")
    return int(number) if kind == "block" and number.isdigit() else None


def network_graphs(pair: Sequence[Anatomy], width: float, height: float) -> list[Scene]:
    """Graphs to be compared: if equal blocks of one of them are folded, so are those of the others."""
    scenes = [network_graph(one, width, height) for one in pair]
    if any(isinstance(shape, Text) and shape.text.startswith("× ") for scene in scenes for shape in scene.shapes):
        return [network_graph(one, width, height, repeats="folded") for one in pair]
    return scenes


def _choose_plan(anatomy: Anatomy, width: float, height: float, repeats: str) -> _GraphPlan:
    """The plan with the largest cells that fit."""
    full = _fit_largest(group_blocks(anatomy, False), width, height) if repeats != "folded" else None
    if full is not None and (repeats == "all" or full.style.cell >= READABLE and full.height <= height):
        return full
    folded = _fit_largest(group_blocks(anatomy, True), width, height)
    return folded if full is None or folded.style.cell > full.style.cell or folded.height < full.height else full


def _fit_largest(units: list[Unit], width: float, height: float) -> _GraphPlan:
    for cell in WIDTHS:
        style = Style(cell, width - 16 - LEFT)
        rooms = [measure_unit(unit, style) for unit in units]
        lines = _break_rows(units, rooms, style, width - 16)
        tall = sum(HEADER + line.above + line.below + GUTTER for line in lines) + TOP + LEGEND
        if tall <= height and max(room.width for room in rooms) + LEFT < width - 16:
            break
    return _GraphPlan(units, rooms, style, lines, tall)


def _break_rows(units: list[Unit], rooms: list[Extent], style: Style, width: float) -> list[_Row]:
    """Groups of one map size side by side while there is room; a longer group takes lines of its own."""
    lines, x = [_Row()], LEFT + IMAGE
    for text, group in _group_by_size(units):
        least = text_width(text, 14, True) + 6
        wide = max(least, sum(rooms[i].width + style.between for i in group) - style.between)
        x += style.between + 8
        if x + wide > width and lines[-1].units:
            lines.append(_Row())
            x = LEFT
        start = x
        for i in group:
            if x + rooms[i].width > width and x > start:
                lines[-1].sizes.append((text, start, x - style.between))
                lines.append(_Row())
                start = x = LEFT
            lines[-1].units.append((i, x))
            x += rooms[i].width + style.between
        x = max(x - style.between, start + least)
        lines[-1].sizes.append((text, start, x))
    for line in lines:
        line.above = max(rooms[i].above for i, _ in line.units) + _measure_wires(units, line)
        line.below = max(rooms[i].below for i, _ in line.units)
    return lines


def _group_by_size(units: list[Unit]) -> list[tuple[str, list[int]]]:
    """Runs of units of one map size, with the size in words."""
    groups: list[tuple[str, list[int]]] = []
    last = None
    for i, unit in enumerate(units):
        if unit.size != last:
            vector = len(unit.output) == 1
            groups.append(("vector" if vector else f"{unit.size[0]}×{unit.size[1]}", []))
        groups[-1][1].append(i)
        last = unit.size
    return groups


def _measure_wires(units: list[Unit], line: _Row) -> float:
    """Room for what passes above the blocks of a line."""
    inside = {i for i, _ in line.units}
    spans = [u - r for u in inside for r in units[u].reads if r in inside and r != u - 1]
    return min(46.0, 12.0 + 4 * max(spans)) if spans else 0.0


def _draw_heading(anatomy: Anatomy, width: float) -> Iterable[Text]:
    """Title and facts, as many of them as there is room for."""
    layers = plural(anatomy.depth, "layer")
    facts = [f"{plural(count_text(anatomy.parameters), 'parameter')}", f"{count_text(anatomy.macs)} MACs"]
    facts += [f"{layers} deep", f"input {shape_text(anatomy.input_size)}"]
    title = shorten(anatomy.title, 17, width - 8, True)
    left = 4 + text_width(title, 17, True) + 14
    while facts and left + text_width(" · ".join(facts), 13) > width - 4:
        facts.pop()
    yield Text(4, 14, title, 17, anchor="start", bold=True)
    if facts:
        yield Text(left, 15, " · ".join(facts), 13, GREY, "start")


def _draw_sizes(line: _Row) -> Iterable[Text | Polyline]:
    """The line of map sizes."""
    y = line.middle - line.above - 5
    for text, left, right in line.sizes:
        yield Polyline(((left, y), (right, y)), "#aab2bd", 1.2)
        yield Polyline(((left, y), (left, y + 4)), "#aab2bd", 1.2)
        yield Polyline(((right, y), (right, y + 4)), "#aab2bd", 1.2)
        yield Text(left, y - 9, text, 14, anchor="start", bold=True)


def _draw_arrows(scene: Scene, plan: _GraphPlan) -> None:
    """Arrows from block to block; bows where a block reads others than the one before it."""
    place = {i: (number, x) for number, line in enumerate(plan.lines) for i, x in line.units}
    middle = plan.lines[0].middle
    scene.add(Box(LEFT - 10, middle - 13, IMAGE, 26, "#f3f4f6", "#aab2bd", radius=3))
    scene.add(Text(LEFT - 10 + IMAGE / 2, middle, "image", 12))
    for i, unit in enumerate(plan.units):
        line, x = place[i]
        end = (x, plan.lines[line].middle)
        if i == 0:
            scene.add(_make_arrow([(LEFT - 10 + IMAGE, middle), end]))
        for other in unit.reads or ((i - 1,) if i else ()):
            from_line, left = place[other]
            start = (left + plan.rooms[other].width, plan.lines[from_line].middle)
            scene.add(_route_arrow(plan, other, i, start, end, from_line, line))


def _make_arrow(points: list[Point]) -> Polyline:
    return Polyline(round_corners(points), GREY, 1.4, 6.0)


def _route_arrow(plan: _GraphPlan, a: int, b: int, start: Point, end: Point, from_line: int, line: int) -> Polyline:
    """From unit a to unit b; through the gutter where b is on another line."""
    if from_line == line and a == b - 1:
        return _make_arrow([start, end])
    if from_line == line:
        room = plan.lines[line].above - 4
        reach = max(plan.rooms[i].above for i in range(a + 1, b))
        level = end[1] - min(room, reach + 4 + 3 * (b - a))
        return Polyline(
            round_corners([start, (start[0] + 3, level), (end[0] - 3, level), end], 10), "#8b95a5", 1.1, 5.0
        )
    top = plan.lines[line]
    gutter = top.middle - top.above - HEADER - GUTTER * 0.45
    turn, back = start[0] + 8, LEFT - 13
    points = [start, (turn, start[1]), (turn, gutter), (back, gutter), (back, end[1]), end]
    if a != b - 1:
        points = [start, (turn, start[1]), (turn, gutter), (end[0] - 6, gutter), (end[0] - 6, end[1]), end]
    return _make_arrow(points)


def draw_legend(used: Iterable[str], x: float, y: float) -> Iterable[Box | Text]:
    """Swatches with words, from left to right."""
    for paint in used:
        fill, _letters, words = KINDS[paint]
        radius = 6.5 if paint in ("add", "multiply") else 2
        yield Box(x, y - 6.5, 13, 13, fill, INK if radius > 2 else "#6b7480", 0.8, radius)
        if radius > 2:
            yield Text(x + 6.5, y, "+" if paint == "add" else "×", 12, bold=True)
        yield Text(x + 19, y, words, 12, GREY, "start")
        x += 19 + text_width(words, 12) + 18
