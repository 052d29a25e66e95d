"""Drawings of wirings: LeNet-5's C3, AlexNet's two towers, a dense block, and chains of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnnviz.figures.base.colors import CATEGORIES, GREY, KINDS
from cnnviz.figures.base.scene import INK, Box, Polyline, Scene, Text, arc_points
from cnnviz.figures.base.text import text_width
from cnnviz.figures.families.table import RULE
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.families.dense_block import DenseWiring
    from cnnviz.studies.families.lenet_c3 import ConnectionTable
    from cnnviz.studies.families.towers import TowerLayer

SEEN, CROSSING = CATEGORIES[0], CATEGORIES[4]
_CHAIN = {"conv": "conv", "1×1": "conv1", "BN": "norm", "ReLU": "activation"}


def connections_scene(table: ConnectionTable, width: float = 1070.0, chosen: int | None = None) -> Scene:
    """Which maps of S2 (rows) each map of C3 (columns) sees, with the parameters of each below; a click on a column
    chooses it."""
    rows, columns = table.sees.shape
    side = (width - 2) / (columns + 2.4)
    left, size = 2.4 * side, 0.42 * side
    scene = Scene(width, side * (rows + 2.1))
    scene.add(Text(left - 0.2 * side, 0.5 * side, "map of C3", 0.34 * side, GREY, "end"))
    for column in range(columns):
        x = left + column * side
        picked = column == chosen
        scene.add(Text(x + side / 2, 0.5 * side, str(column), size, INK, bold=picked))
        for row in range(rows):
            fill = (CROSSING if picked else SEEN) if table.sees[row, column] else "#ffffff"
            words = "sees" if table.sees[row, column] else "does not see"
            box = Box(x, side * (row + 1), side, side, fill, RULE, 1.5, item=f"map:{column}")
            scene.add(box_with_title(box, f"C3's map {column} {words} S2's map {row}"))
        y = side * (rows + 1.5)
        scene.add(Text(x + side / 2, y, str(table.parameters[column]), 0.34 * side, INK, bold=picked))
    for row in range(rows):
        scene.add(Text(left - 0.2 * side, side * (row + 1.5), f"S2 map {row}", 0.34 * side, INK, "end"))
    scene.add(Text(left - 0.2 * side, side * (rows + 1.5), "parameters", 0.34 * side, GREY, "end"))
    return scene


def box_with_title(box: Box, title: str) -> Box:
    """The box, and what is shown when pointed at."""
    return Box(box.x, box.y, box.width, box.height, box.fill, box.stroke, box.line, box.radius, box.item, title)


def towers_scene(layers: Sequence[TowerLayer], width: float = 1070.0, height: float = 480.0) -> Scene:
    """Two rows of boxes, a tower each; lines between the towers where a layer reads both. Below: units of a layer, and
    the paper's count where it is another one."""
    pitch = width / len(layers)
    box, high = 0.72 * pitch, 0.2 * height
    tops = (0.16 * height, 0.5 * height)
    size = min(20.0, 0.19 * pitch)
    scene = Scene(width, height)
    for at, layer in enumerate(layers):
        x = (at + 0.5) * pitch
        scene.add(Text(x, 0.05 * height, layer.name, size, bold=True))
        if at:
            _join_towers(scene, layer, at, pitch, box, tops, high)
        for top in tops:
            split = at > 0 and len(layer.output) == 3 or at > 0 and layer.name != "fc8"
            if not split:
                continue
            fill = KINDS["conv" if len(layer.output) == 3 else "linear"][0]
            scene.add(Box(x - box / 2, top, box, high, fill, "#4b5563", 1, 4, title=layer.detail))
            for text, lift in _tower_words(layer):
                scene.add(
                    Text(x, top + high / 2 + lift * size, text, min(size, 0.9 * box / text_width(text, 1.0)), INK)
                )
        if at == 0 or layer.name == "fc8":
            whole, middle = tops[1] + high - tops[0], (tops[0] + tops[1] + high) / 2
            fill = "#dde1e7" if at == 0 else KINDS["linear"][0]
            scene.add(Box(x - box / 2, tops[0], box, whole, fill, "#4b5563", 1, 4))
            text = "×".join(map(str, layer.output[1:] + layer.output[:1]))
            scene.add(Text(x, middle, text, min(size, 0.9 * box / text_width(text, 1.0))))
        fit = min(size, 0.94 * pitch / text_width(f"{layer.units:,}", 1.0, True))
        scene.add(Text(x, 0.8 * height, f"{layer.units:,}", fit, INK, bold=True))
        if layer.printed:
            scene.add(Text(x, 0.88 * height, f"paper: {layer.printed:,}", 0.72 * fit, CROSSING))
    scene.add(Text(0, 0.735 * height, "units", 0.8 * size, GREY, "start"))
    total = sum(layer.units for layer in layers)
    text = f"{total:,} with the input, {total - layers[0].units:,} without"
    scene.add(Text(width / 2, 0.96 * height, text, min(22.0, 1.15 * size), INK, bold=True))
    return scene


def _tower_words(layer: TowerLayer) -> list[tuple[str, float]]:
    """The maps of one tower in two lines, or its units in one."""
    half = layer.output[0] // 2
    if len(layer.output) == 1:
        return [(f"{half:,}", 0.0)]
    return [(plural(half, "map"), -0.6), (f"{layer.output[1]}×{layer.output[2]}", 0.6)]


def _join_towers(
    scene: Scene, layer: TowerLayer, at: int, pitch: float, box: float, tops: tuple[float, float], high: float
) -> None:
    start, end = (at - 0.5) * pitch + box / 2, (at + 0.5) * pitch - box / 2
    middles = [top + high / 2 for top in tops]
    for here in middles:
        scene.add(Polyline(((start, here), (end, here)), INK, 2.2, 7.0))
    if layer.crosses:
        for here, there in (middles, middles[::-1]):
            scene.add(Polyline(((start, here), (end, there)), CROSSING, 2.6, 7.0))


def dense_scene(wiring: DenseWiring, width: float = 1070.0, height: float = 360.0) -> Scene:
    """A dense block: the input and its layers in a row, an arc for every connection, and the channels each reads."""
    nodes = wiring.layers + 1
    pitch = width / nodes
    side = min(0.5 * pitch, 64.0)
    base = height - 104
    size = min(18.0, 0.3 * pitch)
    scene = Scene(width, height)
    for a, b in wiring.pairs:
        start, end = ((n + 0.5) * pitch for n in (a, b))
        colour = CATEGORIES[a % len(CATEGORIES)]
        lift = (base - 12) * (b - a) / wiring.layers
        if b == a + 1:
            scene.add(
                Polyline(((start + side / 2, base + side / 4), (end - side / 2, base + side / 4)), colour, 2.0, 7.0)
            )
        else:
            scene.add(Polyline(arc_points((start, base), (end, base), lift), colour, 2.0))
    for node in range(nodes):
        x = (node + 0.5) * pitch
        fill = "#dde1e7" if node == 0 else KINDS["conv"][0]
        scene.add(Box(x - side / 2, base, side, side / 2, fill, "#4b5563", 1, 4))
        scene.add(Text(x, base + side / 4, "input" if node == 0 else str(node), min(size, 0.32 * side), bold=True))
        words = str(wiring.inputs) if node == 0 else f"reads {wiring.reads[node - 1]}"
        scene.add(Text(x, base + side / 2 + 16, words, min(size, 0.94 * pitch / text_width(words, 1.0)), INK))
    text = f"{plural(wiring.connections, 'connection')}; {plural(wiring.output, 'channel')} leave the block"
    scene.add(Text(width / 2, height - 16, text, min(20.0, width / text_width(text, 1.0, True)), INK, bold=True))
    return scene


def chain_scene(
    chain: Sequence[str], sums: Sequence[int], skips: Sequence[tuple[int, int]], width: float = 1070.0
) -> Scene:
    """A chain of layers from left to right. `sums`: places in `chain` that an addition follows. `skips`: (place that
    the shortcut starts behind, place that its sum follows); −1 starts before the chain. Red lines cut the units apart
    where their shortcuts start."""
    slots = len(chain) + len(sums)
    pitch = width / (slots + 1)
    base, high, size = 116.0, 54.0, min(17.0, 0.3 * pitch)
    scene = Scene(width, 196.0)
    ends: dict[int, float] = {-1: 0.5 * pitch}
    joins: dict[int, float] = {}
    x = pitch
    line: list[float] = []
    for at, layer in enumerate(chain):
        line.append(x)
        scene.add(Polyline(((x - pitch / 2 - 2, base), (x - 0.42 * pitch, base)), INK, 1.6))
        fill = KINDS[_CHAIN.get(layer, "other")][0]
        scene.add(Box(x - 0.42 * pitch, base - high / 2, 0.84 * pitch, high, fill, "#4b5563", 1, 4))
        scene.add(Text(x, base, layer, size, INK, bold=layer == "conv"))
        scene.add(Polyline(((x + 0.42 * pitch, base), (x + pitch / 2 + 2, base)), INK, 1.6))
        ends[at] = x + pitch / 2
        x += pitch
        if at in sums:
            radius = min(15.0, 0.36 * pitch)
            scene.add(Polyline(((x - pitch / 2, base), (x + pitch / 2, base)), INK, 1.6))
            scene.add(Box(x - radius, base - radius, 2 * radius, 2 * radius, "#ffffff", INK, 1.8, radius))
            scene.add(Text(x, base, "+", 1.4 * radius, INK, bold=True))
            joins[at], ends[at] = x, x + pitch / 2
            x += pitch
    for start, end in skips:
        a, b = ends[start], joins[end]
        scene.add(Polyline((*arc_points((a, base - 16), (b, base - 16), 84), (b, base - 15)), INK, 2.2, 9.0))
        scene.add(Polyline(((a, base), (a, base - 16)), INK, 2.2))
        scene.add(Polyline(((a, base - 100), (a, base + 62)), CROSSING, 3.0))
    scene.add(Text(ends[skips[0][0]] + 6, base + 54, "unit begins", 14, CROSSING, "start", True))
    return scene
