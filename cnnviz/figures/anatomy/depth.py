"""Depth of networks to scale, a cell a layer; and the ranking of ILSVRC-2012 as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnnviz.figures.base.colors import GREY, KINDS
from cnnviz.figures.base.scene import INK, Box, Scene, Text
from cnnviz.figures.base.text import text_width
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.anatomy.depth import DepthStrip
    from cnnviz.studies.anatomy.history import RankedTeam

DEEP, BEFORE = "#0072b2", "#b5bcc6"  # as in the chart of the challenge


def depth_scene(strips: Sequence[DepthStrip], width: float = 1070.0, height: float = 480.0) -> Scene:
    """A row of cells for each network, all cells of one width; a gap between blocks."""
    high = height / len(strips)
    size = min(22.0, width / 34)
    longest = max(len(strip.layers) + 0.4 * len(strip.blocks) for strip in strips)
    cell = (width - 2) / longest
    scene = Scene(width, height)
    for at, strip in enumerate(strips):
        top = at * high
        words = f"{strip.title}, {strip.year}: {plural(len(strip.layers), 'layer')}"
        scene.add(Text(0, top + 0.2 * high, words, size, INK, "start", True))
        x, done = 1.0, 0
        for held in strip.blocks:
            for kind in strip.layers[done : done + held]:
                scene.add(Box(x, top + 0.4 * high, cell * 0.86, 0.42 * high, KINDS[kind][0], title=kind))
                x += cell
            done += held
            x += 0.4 * cell
    for kind, left in (("conv", 0.72), ("linear", 0.87)):
        scene.add(Box(left * width, 6, 16, 16, KINDS[kind][0]))
        scene.add(Text(left * width + 22, 14, KINDS[kind][2], 15 if width > 800 else 13, GREY, "start"))
    return scene


def ranking_scene(teams: Sequence[RankedTeam], width: float = 1070.0, height: float = 430.0) -> Scene:
    """Top-5 error of each team as a bar from 0, per cent, with the published digits."""
    high = height / len(teams)
    size = min(21.0, width / 36)
    room = width - text_width("0.00000", 1.25 * size, True) - 20
    scene = Scene(width, height)
    for at, team in enumerate(teams):
        top, long = at * high, room * team.error / max(one.error for one in teams)
        scene.add(Text(0, top + 0.2 * high, f"{team.team}: {team.method}", size, INK, "start"))
        scene.add(Box(0, top + 0.38 * high, long, 0.46 * high, DEEP if team.deep else BEFORE, title=team.method))
        scene.add(Text(long + 10, top + 0.61 * high, f"{team.error:.5f}", 1.25 * size, INK, "start", True))
    return scene
