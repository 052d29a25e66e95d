"""Bar chart of activations, parameters and multiply-adds, from the first layer to the last."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from cnnviz.figures.anatomy.nodes import choose_paint, shape_text
from cnnviz.figures.base.charts import count_text
from cnnviz.figures.base.colors import GREY, KINDS
from cnnviz.figures.base.scene import Box, Polyline, Scene, Text
from cnnviz.figures.base.text import shorten, text_width
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.anatomy.rows import Anatomy

MOST_LAYERS = 34  # more layers than these are shown block by block
TOP, ROW, LABEL = 66.0, 18.0, 13.0  # above the bars; height of a bar at most; least height that holds a label
QUANTITIES = ("activations", "parameters", "macs")
Peaks = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of the chart: what it stands for, and its three quantities in the order of QUANTITIES."""

    name: str
    output: str
    paint: str
    values: Peaks


def build_bars(anatomy: Anatomy) -> list[Bar]:
    """The image and every layer that keeps a map of its own or has weights; block by block in deep networks.

    The values sum to the anatomy's totals."""
    image = Bar("image", shape_text(anatomy.input_size), "other", (prod(anatomy.input_size), 0, 0))
    rows = [row for row in anatomy.rows if row.kind in ("conv", "linear", "pool") or row.parameters]
    if sum(row.kind in ("conv", "linear", "pool") for row in rows) <= MOST_LAYERS:
        return [image, *_build_layer_bars(anatomy)]
    bars = [
        Bar(
            b.block,
            shape_text(b.output),
            _choose_block_paint(anatomy, b.rows),
            (_count_kept(anatomy, b.rows), b.parameters, b.macs),
        )
        for b in anatomy.blocks
    ]
    return [image, *bars]


def _build_layer_bars(anatomy: Anatomy) -> list[Bar]:
    bars: list[Bar] = []
    for row in anatomy.rows:
        if row.kind in ("conv", "linear", "pool"):
            kept = _count_kept(anatomy, (row.index,))
            values = (kept, row.parameters, row.macs)
            if any(values):
                bars.append(Bar(row.layer, shape_text(row.output), choose_paint(row), values))
        elif row.parameters and bars:  # a norm's parameters belong to the layer before it
            last = bars[-1]
            a, p, m = last.values
            bars[-1] = Bar(last.name, last.output, last.paint, (a, p + row.parameters, m))
        elif row.parameters:
            bars.append(Bar(row.layer, shape_text(row.output), choose_paint(row), (0, row.parameters, 0)))
    return bars


def _count_kept(anatomy: Anatomy, indices: tuple[int, ...]) -> int:
    """Values of the maps that need memory of their own, as in anatomy.activations."""
    rows = [anatomy.rows[i] for i in indices]
    return sum(
        r.activations for r in rows if r.kind in ("conv", "linear", "pool") and "changes nothing" not in r.detail
    )


def _choose_block_paint(anatomy: Anatomy, indices: tuple[int, ...]) -> str:
    """The colour of a block: that of the layer with most work in it."""
    best = max((anatomy.rows[i] for i in indices), key=lambda row: (row.macs, row.kind == "pool"))
    return choose_paint(best)


def find_peaks(anatomies: list[Anatomy]) -> Peaks:
    """The largest single value of each quantity in these networks: their common scale."""
    bars = [bar for anatomy in anatomies for bar in build_bars(anatomy)]
    activations, parameters, macs = (max((bar.values[q] for bar in bars), default=1) or 1 for q in range(3))
    return activations, parameters, macs


def profile(
    anatomy: Anatomy, width: float = 1060.0, height: float = 600.0, scale: Peaks | None = None, title: bool = True
) -> Scene:
    """Activations, parameters and multiply-adds of every layer as aligned bars, the first layer on top.

    `scale`: the values of a full bar; default: the network's own peaks. All bars start at 0."""
    bars = build_bars(anatomy)
    full = scale or find_peaks([anatomy])
    pitch = max(1.0, min(ROW, (height - TOP - 8) / len(bars)))
    labels = max(1, -int(-LABEL // pitch)) if pitch < LABEL else 1
    names = min(0.2 * width, max(text_width(bar.name, 12) for bar in bars) + 4)
    shapes = max(text_width(bar.output, 12) for bar in bars) + 16
    room = (width - names - shapes) / 3
    scene = Scene(width, TOP + pitch * len(bars) + 8)
    _draw_heads(scene, anatomy, names + shapes, room, title)
    for number, bar in enumerate(bars):
        y = TOP + (number + 0.5) * pitch
        if number % labels == 0:
            scene.add(Text(names, y, shorten(bar.name, 12, names), 12, anchor="end"))
            scene.add(Text(names + shapes - 8, y, bar.output, 12, GREY, "end"))
        for q in range(3):
            _draw_bar(scene, bar, q, names + shapes + q * room, y, room, pitch, full[q])
    return scene


def _draw_heads(scene: Scene, anatomy: Anatomy, left: float, room: float, title: bool) -> None:
    if title:
        scene.add(Text(4, 13, anatomy.title, 17, anchor="start", bold=True))
    totals = (
        ("Activations", f"{plural(count_text(anatomy.activations), 'value')}, {anatomy.activation_bytes / 1e6:.4g} MB"),
        ("Parameters", count_text(anatomy.parameters)),
        ("Multiply-adds", count_text(anatomy.macs)),
    )
    for q, (head, total) in enumerate(totals):
        x = left + q * room
        scene.add(Text(x, 38, head, 14, anchor="start", bold=True), Text(x, 55, total, 12.5, GREY, "start"))
        scene.add(Polyline(((x, TOP - 2), (x, scene.height - 6)), "#aab2bd", 1.0))


def _draw_bar(scene: Scene, bar: Bar, q: int, x: float, y: float, room: float, pitch: float, full: float) -> None:
    value = bar.values[q]
    if not value:
        return
    words = count_text(value)
    space = room - 12 - text_width("88.88 M", 11)
    long = max(0.8, value / full * space)
    fill, _, _ = KINDS[bar.paint]
    high = max(0.9, pitch - 3 if pitch > 6 else pitch)
    title = f"{bar.name}: {value:,} {('activations', 'parameters', 'multiply-adds')[q]}"
    stroke = "#4b5563" if pitch > 6 else ""
    scene.add(Box(x, y - high / 2, long, high, fill, stroke, 0.6, title=title))
    if pitch >= LABEL - 1:
        scene.add(Text(x + long + 4, y, words, 11, GREY, "start"))
