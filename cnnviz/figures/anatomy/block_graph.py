"""Block diagram of one block: its layers from top to bottom, branches side by side, skips around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnnviz.errors import BadInput
from cnnviz.figures.anatomy.blocks import local_parents
from cnnviz.figures.anatomy.layout import Layout, arrange
from cnnviz.figures.anatomy.nodes import GraphNode, build_nodes, shape_text
from cnnviz.figures.anatomy.shapes import EDGE, ROUND
from cnnviz.figures.base.charts import count_text
from cnnviz.figures.base.colors import GREY, KINDS
from cnnviz.figures.base.scene import INK, Box, Polyline, Scene, Text, round_corners, smooth_path
from cnnviz.figures.base.text import shorten, text_width
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.anatomy.rows import Anatomy

TOP, FOOT = 92.0, 40.0  # above the first layer, below the last
WIDEST, SKIP = 190.0, 20.0  # of a box; between two skips


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where the cells lie: middle of lane 0, width of a lane and of a box, distance and height of layers."""

    centre: float
    lane: float
    box: float
    pitch: float
    high: float
    size: float

    def y(self, layer: int) -> float:
        """The middle of a layer; layer 0 is the entry."""
        return TOP + (layer - 1) * self.pitch + self.high / 2 if layer else TOP - 18

    def x(self, lane: float) -> float:
        return self.centre + lane * self.lane


def block_graph(anatomy: Anatomy, block: int, width: float = 400.0, height: float = 600.0) -> Scene:
    """The layers of one block, `width` pixels wide; taller than `height` where there are many.

    `block`: index into anatomy.blocks. Raises BadInput if there is no such block, or nothing of its own in it."""
    if not 0 <= block < len(anatomy.blocks):
        raise BadInput(f"{anatomy.name} has blocks 0 to {len(anatomy.blocks) - 1}, got {block}.")
    cells = build_nodes(anatomy)
    inside = [i for i, cell in enumerate(cells) if cell.block == block]
    if not inside:
        name = anatomy.blocks[block].block
        raise BadInput(f"{name} of {anatomy.name} is drawn with the block that reads it; choose that one.")
    layout = arrange(local_parents(cells, inside))
    frame = _plan_frame([cells[i] for i in inside], layout, width, height)
    bottom = frame.y(max(layout.layers)) + frame.high / 2
    scene = Scene(width, max(bottom + FOOT, 150.0))
    _draw_words(scene, anatomy, block, frame, cells, inside)
    own = [cells[i] for i in inside]
    _draw_edges(scene, own, layout, frame)
    for number, cell in enumerate(own, 1):
        _draw_node(scene, cell, frame, layout, number)
    return scene


def _plan_frame(cells: list[GraphNode], layout: Layout, width: float, height: float) -> _Frame:
    low, high = layout.span
    around = SKIP * max((level for *_, level in layout.skips), default=0) + (14 if layout.skips else 0)
    lane = min(WIDEST + 14, (width - around - 8) / (high - low + 1))
    box = lane - 10
    size = 14.0 if box >= 120 else 13.0 if box >= 90 else 12.0 if box >= 62 else 11.0
    lines = max((len(_wrap_label(cell, box, size)) for cell in cells), default=1)
    tall = lines * (size + 3) + 9
    count = max(layout.layers)
    pitch = max(tall + 12, min(tall + 44, (height - TOP - FOOT - tall) / max(count - 1, 1)))
    used = (high - low + 1) * lane + around
    left = (width - used) / 2
    return _Frame(left + (0.5 - low) * lane, lane, box, pitch, tall, size)


def _wrap_label(cell: GraphNode, box: float, size: float) -> list[tuple[str, bool]]:
    """The words in a cell's box, a line each, and whether they are its label."""
    if cell.kind in (*ROUND, "concat"):
        return [(cell.label, True)]
    room = box - 8
    label = [cell.label]
    if text_width(cell.label, size, True) > room:
        label = cell.label.split(", ") if ", " in cell.label else cell.label.rsplit(" ", 1)
    around = []
    for notes in (cell.before, cell.notes):
        parts = [notes] if text_width(notes, size - 1) <= room else notes.split(" · ")
        around.append([(shorten(part, size - 1, room), False) for part in parts if part])
    return [*around[0], *((word, True) for part in label for word in _fit_words(part, size, room)), *around[1]]


def _fit_words(part: str, size: float, room: float) -> list[str]:
    """The lines of a part of a label: "1×1" says "1×1 conv" where there is no room for both words, other parts
    get a line a word."""
    if text_width(part, size, True) <= room:
        return [part]
    return [shorten(word, size, room, True) for word in part.removesuffix(" conv").split(" ")]


def _draw_words(
    scene: Scene, anatomy: Anatomy, block: int, frame: _Frame, cells: list[GraphNode], inside: list[int]
) -> None:
    row, middle = anatomy.blocks[block], scene.width / 2
    scene.add(Text(middle, 14, shorten(row.block, 16, scene.width, True), 16, bold=True))
    field = f" · sees {row.receptive_field[0]}×{row.receptive_field[1]} pixels" if row.receptive_field else ""
    facts = f"{plural(count_text(row.parameters), 'parameter')} · {count_text(row.macs)} MACs{field}"
    scene.add(Text(middle, 34, facts, 12.5, GREY))
    before = dict.fromkeys(cells[p].block for i in inside for p in cells[i].parents if p >= 0 and p not in inside)
    names = [anatomy.blocks[b].block for b in before]
    source = (
        "the image"
        if not names
        else " and ".join(names)
        if len(names) < 3
        else f"{plural(len(names), 'block')} before it"
    )
    x = frame.x(0.0)
    text = shorten(f"from {source}", 12.5, min(scene.width, 2 * min(x, scene.width - x)))
    scene.add(Text(x, frame.y(0) - 13, text, 12.5, GREY))
    scene.add(Text(middle, scene.height - 10, f"output {shape_text(row.output)}", 13, INK, bold=True))


def _draw_node(scene: Scene, cell: GraphNode, frame: _Frame, layout: Layout, number: int) -> None:
    x, y = frame.x(layout.lanes[number]), frame.y(layout.layers[number])
    fill, letters, _ = KINDS[cell.paint]
    if cell.kind in ROUND:
        scene.add(Box(x - 14, y - 14, 28, 28, fill, INK, 1.6, 14, title=cell.title))
        scene.add(Text(x, y, cell.label, 24, letters, bold=True))
        return
    if cell.kind == "concat":
        left, right = _find_reach(frame, layout, number)
        scene.add(Box(left, y - 12, right - left, 24, fill, fill, 1, 3, title=cell.title))
        count = cell.output[0]
        words = (f"concat: {plural(str(count), 'map')}", f"concat: {count}", f"{count}")
        text = next((text for text in words if text_width(text, 13, True) <= right - left - 8), words[-1])
        scene.add(Text((left + right) / 2, y, text, 13, letters, bold=True))
        return
    texts, high = _wrap_label(cell, frame.box, frame.size), frame.high
    scene.add(Box(x - frame.box / 2, y - high / 2, frame.box, high, fill, "#4b5563", 1, 4, title=cell.title))
    for i, (text, main) in enumerate(texts):
        at = y + (i - (len(texts) - 1) / 2) * (frame.size + 3)
        scene.add(Text(x, at, text, frame.size if main else frame.size - 1, letters, bold=main))


def _find_reach(frame: _Frame, layout: Layout, number: int) -> tuple[float, float]:
    """Left and right end of a concatenation: over all that enters it."""
    lanes = [bends[-1] if bends else layout.lanes[a] for a, b, bends in layout.routes if b == number]
    lanes = lanes if len(lanes) > 1 else [layout.lanes[number]]
    half = max(frame.box / 2, 75.0) if len(lanes) == 1 else frame.box / 2
    return frame.x(min(lanes)) - half, frame.x(max(lanes)) + half


def _half_height(cell: GraphNode, frame: _Frame) -> float:
    """Half the height of a cell."""
    if cell.kind in ROUND:
        return 14.0
    return 12.0 if cell.kind == "concat" else frame.high / 2


def _draw_edges(scene: Scene, cells: list[GraphNode], layout: Layout, frame: _Frame) -> None:
    scene.add(Polyline(((frame.x(0), frame.y(0) - 5), (frame.x(0), frame.y(0))), EDGE, 1.6))
    for a, b, bends in layout.routes:
        points = [
            (frame.x(layout.lanes[a]), frame.y(layout.layers[a]) + (_half_height(cells[a - 1], frame) if a else 0))
        ]
        for layer, lane in enumerate(bends, layout.layers[a] + 1):
            middle = frame.y(layer)
            points += [(frame.x(lane), middle - frame.high / 2), (frame.x(lane), middle + frame.high / 2)]
        x = points[-1][0] if cells[b - 1].kind == "concat" and bends else frame.x(layout.lanes[b])
        x = frame.x(layout.lanes[a]) if cells[b - 1].kind == "concat" and not bends and a else x
        end = (x, frame.y(layout.layers[b]) - _half_height(cells[b - 1], frame))
        scene.add(Polyline(smooth_path([*points, end], False), EDGE, 1.5, 7.0))
    for a, b, level in layout.skips:
        _draw_skip(scene, cells, layout, frame, a, b, level)
    last = max(range(1, len(cells) + 1), key=lambda n: (layout.layers[n], n))
    x, y = frame.x(layout.lanes[last]), frame.y(layout.layers[last]) + _half_height(cells[last - 1], frame)
    scene.add(Polyline(((x, y), (x, scene.height - 20)), EDGE, 1.5, 7.0))


def _draw_skip(scene: Scene, cells: list[GraphNode], layout: Layout, frame: _Frame, a: int, b: int, level: int) -> None:
    """A way around the branch, on its right."""
    start = (frame.x(layout.lanes[a]), frame.y(layout.layers[a]) + (_half_height(cells[a - 1], frame) + 6 if a else 0))
    cell, y = cells[b - 1], frame.y(layout.layers[b])
    across = 14.0 if cell.kind in ROUND else frame.box / 2
    end = frame.x(layout.lanes[b]) + across
    if cell.kind == "concat":
        end = _find_reach(frame, layout, b)[1]
    level_x = frame.x(layout.span[1]) + frame.box / 2 + SKIP * level - 4
    points = [start, (level_x, start[1]), (level_x, y), (end, y)]
    scene.add(Box(start[0] - 3, start[1] - 3, 6, 6, INK, radius=3))
    scene.add(Polyline(round_corners(points, 16), INK, 2.0, 8.0))
