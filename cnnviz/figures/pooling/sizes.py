"""Input sizes that a network accepts: which run, the size of the last map, and the predicted class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnnviz.figures.base.colors import CATEGORIES, GREY
from cnnviz.figures.base.scene import INK, Box, Scene, Text
from cnnviz.figures.base.text import shorten
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.pooling.global_pooling import SizeRun

RUNS, FAILS = "#007a58", CATEGORIES[4]
LINE, NAMES = 108.0, 176.0


def sizes_scene(networks: Sequence[tuple[str, str, Sequence[SizeRun]]], wide: float = 1070.0) -> Scene:
    """A line for each (name, how it ends, runs); a box a size, in proportion, green where the network runs."""
    scene = Scene(wide, LINE * len(networks))
    for at, (name, ends, runs) in enumerate(networks):
        top, column = at * LINE, (wide - NAMES) / len(runs)
        scene.add(Text(4, top + 40, shorten(name, 17, NAMES - 10), 17, anchor="start", bold=True))
        scene.add(Text(4, top + 62, shorten(ends, 14, NAMES - 10), 14, GREY, "start"))
        most = max(run.size[0] for run in runs)
        for number, run in enumerate(runs):
            _draw_run(scene, run, NAMES + number * column, top, column, 40 * run.size[0] / most)
    return scene


def _draw_run(scene: Scene, run: SizeRun, left: float, top: float, column: float, side: float) -> None:
    ran = run.answer is not None
    colour = RUNS if ran else FAILS
    middle, room = left + column / 2, column - 8
    box = min(side, 0.36 * column)
    scene.add(Box(middle - box / 2, top + 42 - box, box, box, "#e3f3ee" if ran else "#fbe6da", colour, 2.0))
    scene.add(Text(middle, top + 54, f"{run.size[0]}×{run.size[1]}", 14, INK, bold=True))
    shape = "no map" if run.map_size is None else "map " + "×".join(map(str, run.map_size))
    scene.add(Text(middle, top + 73, shorten(shape, 13, room), 13, GREY))
    text = "does not run"
    if run.answer is not None and run.probability is not None:
        text = f"{run.answer} {100 * run.probability:.0f} %"
    scene.add(Text(middle, top + 93, shorten(text, 15, room), 15, colour, bold=True))


def sizes_sentence(name: str, runs: Sequence[SizeRun]) -> str:
    """How many sizes a network takes, and why not the others."""
    fine = sum(run.answer is not None for run in runs)
    if fine == len(runs):
        return f"{name} runs on all {plural(fine, 'size')}."
    problem = next(run.problem for run in runs if run.answer is None)
    return f"{name} runs on {fine} of {plural(len(runs), 'size')}. {problem}"
