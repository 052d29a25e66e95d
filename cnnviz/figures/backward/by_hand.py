"""A small network drawn with all its numbers: forward in black, backward in orange."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnviz.figures.base.colors import CATEGORIES, CHOSEN, GREY
from cnnviz.figures.base.scene import INK, PAPER, Box, Polyline, Scene, Text
from cnnviz.figures.playground.cells import number_text

if TYPE_CHECKING:
    from cnnviz.studies.backward.by_hand import HandPass

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def network_scene(found: HandPass, width: float = 860.0, height: float = 500.0) -> Scene:
    """Inputs, hidden units, output and loss from left to right; on every wire its weight and beneath it, in orange, the
    gradient; in every unit its value and beneath it its δ."""
    scene, narrow = Scene(width, height), width < 600
    letters = 11.0 if narrow else 16.0
    radius = 24.0 if narrow else 40.0
    top, room = 30.0, height - 60.0
    columns = [radius + 6, width * (0.42 if narrow else 0.4), width * (0.74 if narrow else 0.72), width - radius - 10]
    inputs = [(columns[0], top + room * (i + 0.5) / len(found.net.x)) for i in range(len(found.net.x))]
    hidden = [(columns[1], top + room * (j + 0.5) / len(found.z)) for j in range(len(found.z))]
    output, loss = (columns[2], top + room / 2), (columns[3], top + room / 2)
    for j, unit in enumerate(hidden):
        for i, entry in enumerate(inputs):
            share = 0.3 + 0.34 * (j % 2) if len(inputs) > 1 else 0.5
            _wire(scene, entry, unit, radius, found.net.v[j, i], found.of_v[j, i], letters, share)
        _wire(scene, unit, output, radius, found.net.w[j], found.of_w[j], letters, 0.42)
    _wire(scene, output, loss, radius, None, None, letters, 0.5)
    for i, place in enumerate(inputs):
        _unit(scene, place, radius, f"x{_low(i)}", found.net.x[i], "", letters)
    for j, place in enumerate(hidden):
        _unit(scene, place, radius, f"z{_low(j)}", found.z[j], f"δ{_low(j)} = {_short(found.deltas[j])}", letters)
    _unit(scene, output, radius, "ŷ", found.output, f"δ = {_short(found.delta)}", letters, CATEGORIES[0])
    _unit(scene, loss, radius, "L", found.loss, f"y = {_short(found.net.y)}", letters, CHOSEN)
    legend = "black: forward, weights and values · orange: backward, gradients"
    scene.add(Text(width / 2, height - 10, legend, 11.0 if narrow else 15.0, GREY))
    return scene


def _unit(
    scene: Scene,
    at: tuple[float, float],
    radius: float,
    name: str,
    value: float,
    below: str,
    letters: float,
    edge: str = GREY,
) -> None:
    x, y = at
    scene.add(Box(x - radius, y - radius, 2 * radius, 2 * radius, PAPER, edge, 2.4, radius))
    scene.add(Text(x, y - 0.42 * radius, name, letters, GREY, bold=True))
    scene.add(Text(x, y + 0.22 * radius, _short(value), letters, INK, bold=True))
    if below:
        ink = GREY if below.startswith("y") else CHOSEN
        scene.add(Text(x, y + radius + 0.8 * letters, below, letters, ink, bold=True))


def _wire(
    scene: Scene,
    start: tuple[float, float],
    end: tuple[float, float],
    radius: float,
    weight: float | None,
    gradient: float | None,
    letters: float,
    share: float,
) -> None:
    (x0, y0), (x1, y1) = start, end
    far = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
    ux, uy = (x1 - x0) / far, (y1 - y0) / far
    first, last = (x0 + ux * radius, y0 + uy * radius), (x1 - ux * radius, y1 - uy * radius)
    scene.add(Polyline((first, last), "#c9cfd7", 1.6, 9.0))
    if weight is None or gradient is None:
        return
    x, y = first[0] + (last[0] - first[0]) * share, first[1] + (last[1] - first[1]) * share
    wide = letters * 3.6
    scene.add(Box(x - wide / 2, y - 1.15 * letters, wide, 2.3 * letters, PAPER, radius=3))
    scene.add(Text(x, y - 0.55 * letters, _short(weight), letters, INK))
    scene.add(Text(x, y + 0.58 * letters, _short(gradient), letters, CHOSEN))


def _short(value: float) -> str:
    """Three decimals; four digits of what is large."""
    return number_text(round(float(value), 3)) if abs(value) < 1000 else f"{value:.1e}".replace("-", "−")


def _low(place: int) -> str:
    return str(place + 1).translate(_SUBSCRIPTS)
