"""Dense, locally connected and convolutional wiring of one layer side by side, and what a unit is wired to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.colors import CATEGORIES, CHOSEN, GREY
from cnnviz.figures.base.scene import INK, PAPER, Box, Polyline, Scene, Text
from cnnviz.figures.base.text import text_width
from cnnviz.figures.playground.cells import tied_colours
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.convolution.wiring import Wiring

TITLES = {"dense": "Dense", "local": "Locally connected", "convolution": "Convolution"}
WIRE, FAINT = "#8a94a3", "#dfe3e8"
NARROW = 800.0  # pixels; drawings below each other


def wirings_scene(wirings: Sequence[Wiring], chosen: str = "", width: float = 1070.0) -> Scene:
    """A panel for each wiring: inputs x1 … xn below, outputs h1 … hn above. `chosen`: a unit such as "h3" or "x2",
    whose wires are drawn, and what they lead to; "" draws all. Wires of a convolution have the colour of their weight.

    Every unit is an item, "h3", and lights up its wires."""
    across = len(wirings) if width >= NARROW else 1
    panel, high = width / across, 400.0 if across > 1 else 300.0
    scene = Scene(width, high * -(-len(wirings) // across))
    for at, wiring in enumerate(wirings):
        scene.paste(_wiring_panel(wiring, chosen, panel, high), panel * (at % across), high * (at // across))
    return scene


def _wiring_panel(wiring: Wiring, chosen: str, width: float, high: float) -> Scene:
    scene, count = Scene(width, high), len(wiring.label)
    pitch = (width - 40) / count
    side = min(46.0, 0.76 * pitch)
    upper, lower = 30 + side, high - 62 - side / 2
    middles = [20 + (at + 0.5) * pitch for at in range(count)]
    colours = tied_colours(wiring.weights) if wiring.kind == "convolution" else ()
    scene.add(Text(width / 2, 16, TITLES[wiring.kind], 20, bold=True))
    wires = [(int(h), int(x)) for h, x in np.argwhere(wiring.label >= 0)]
    for lit in (False, True):  # what is chosen lies above the rest
        for h, x in wires:
            if (not chosen or chosen in (f"h{h + 1}", f"x{x + 1}")) is lit:
                colour = (_deepen(colours[wiring.label[h, x]]) if colours else WIRE) if lit else FAINT
                ends = (middles[x], lower), (middles[h], upper)
                scene.add(Polyline(ends, colour, 3.4 if lit else 1.2, lit_by=f"h{h + 1} x{x + 1}"))
    for letter, y in (("h", upper), ("x", lower)):
        for at, middle in enumerate(middles):
            name = f"{letter}{at + 1}"
            others = [f"x{i + 1}" for h, i in wires if letter == "h" and h == at]
            others += [f"h{h + 1}" for h, i in wires if letter == "x" and i == at]
            joined = chosen in others
            fill = "#fde3d0" if name == chosen else "#e3eefb" if joined else PAPER
            stroke = CHOSEN if name == chosen else INK if joined or not chosen else GREY
            marks = " ".join([name, *others])
            title = f"{name}: {plural(len(others), 'connection')}"
            corner = middle - side / 2, y - side / 2
            scene.add(Box(*corner, side, side, fill, stroke, 2.0, side / 2, name, title, marks))
            scene.add(Text(middle, y, name, min(17.0, 0.42 * side), bold=name == chosen))
    words = f"{plural(wiring.connections, 'connection')}, " + plural(wiring.weights, "weight")
    size = min(20.0, (width - 12) / text_width(words, 1.0, True))
    scene.add(Text(width / 2, high - 18, words, size, CHOSEN if wiring.kind == "convolution" else INK, bold=True))
    return scene


def _deepen(colour: str) -> str:
    """A category as it is for its lightened colour; wires need more contrast than cells."""
    light = tied_colours(len(CATEGORIES))
    return CATEGORIES[light.index(colour)] if colour in light else colour


def describe_unit(wirings: Sequence[Wiring], name: str) -> str:
    """What a unit such as "h3" reads, or who reads "x2", in each wiring."""
    at, parts = int(name[1:]) - 1, []
    for wiring in wirings:
        units = wiring.read_by(at) if name[0] == "h" else wiring.readers(at)
        letter = "x" if name[0] == "h" else "h"
        listed = ", ".join(f"{letter}{unit + 1}" for unit in units)
        whole = len(units) == len(wiring.label)
        parts.append(f"{TITLES[wiring.kind].lower()}: {'all ' + str(len(units)) if whole else listed}")
    verb = "reads" if name[0] == "h" else "is read by"
    return f"**{name}** {verb} – " + "; ".join(parts) + "."
