"""Receptive field of stacked convolutions in one dimension: the taps below one unit, and how its weight is spread."""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.charts import count_text
from cnnviz.figures.base.colors import CHOSEN, GREY, to_hex, viridis
from cnnviz.figures.base.scene import INK, Box, Polyline, Scene, Text
from cnnviz.figures.base.text import shorten, text_width
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.convolution.stacks import Stack

UNIT, WIRE, EDGE, BARS = "#56b4e9", "#9aa5b4", "#aab2bd", "#33638d"
HEAD, CONE, PROFILE, NUMBERS = 36.0, 262.0, 108.0, 106.0  # heights in pixels, top to bottom
ROOMY = 34.0  # pixels from level to level that leave room for a layer's name in two lines
NAMES = 96.0  # pixels left of the cone for the layers' names


def stack_scene(
    stack: Stack,
    title: str,
    channels: int,
    side: int,
    width: float = 530.0,
    shared: int | None = None,
    peak: float | None = None,
) -> Scene:
    """The cone, under it the effective field if all taps weigh the same, and the counts for `channels` in and out at
    `side` × `side`. `shared`: pixels that the width stands for, `peak`: the highest share, so that two stacks have one
    scale."""
    scene = Scene(width, HEAD + CONE + PROFILE + NUMBERS)
    across, peak = max(shared or 0, stack.size), max(peak or 0.0, float(stack.profile.max()))
    scene.add(Text(NAMES, 15, shorten(title, 18, width - NAMES, True), 18, anchor="start", bold=True))
    step = (width - NAMES) / across
    left = NAMES + (across - stack.size) / 2 * step
    _draw_cone(scene, stack, left, step)
    _draw_profile(scene, stack, left, step, peak)
    _draw_numbers(scene, stack, channels, side, width)
    return scene


def level_places(stack: Stack) -> list[tuple[np.ndarray, float]]:
    """For each level from the top to the input: the middles of the units that are read, in pixels of the field from 0
    to size - 1, and how many pixels apart two neighbours of that level lie."""
    found, jumps = [], [1, *stack.strides]
    for taps, count in zip(stack.taps, range(len(stack.layers), -1, -1), strict=True):
        below = stack.layers[:count]
        first = sum((layer.kernel - 1) * layer.dilation * jump for layer, jump in zip(below, jumps, strict=False)) / 2
        found.append((taps * jumps[count] + first, float(jumps[count])))
    return found


def _draw_cone(scene: Scene, stack: Stack, left: float, step: float) -> None:
    levels, rows = level_places(stack), len(stack.layers)
    high = (CONE - 26) / max(rows, 1)
    tops = [HEAD + 8 + at * high for at in range(rows + 1)]
    cell = min(16.0, 0.62 * high)
    for at, layer in enumerate(reversed(stack.layers)):
        upper, lower = levels[at][0], levels[at + 1][0]
        for unit, x in enumerate(upper):
            reads = stack.taps[at][unit] * layer.stride + layer.dilation * np.arange(layer.kernel)
            for tap in np.searchsorted(stack.taps[at + 1], reads):
                start = (left + (x + 0.5) * step, tops[at] + cell / 2)
                end = (left + (lower[tap] + 0.5) * step, tops[at + 1] + cell / 2)
                scene.add(Polyline((start, end), WIRE, 0.9))
    _name_layers(scene, stack, [(upper + lower + cell) / 2 for upper, lower in pairwise(tops)], high)
    colours = _pixel_colours(stack)
    for at, (places, jump) in enumerate(levels):
        wide = min(jump * step * 0.86, 22.0 if at < rows else 1e9)
        for number, x in enumerate(places):
            fill = CHOSEN if at == 0 else colours[int(stack.taps[-1][number])] if at == rows else UNIT
            middle = left + (x + 0.5) * step
            scene.add(Box(middle - wide / 2, tops[at], wide, cell, fill, "#ffffff", 0.5))
    away = max(0.0, 25 - high / 2)  # from the names between them
    scene.add(Text(0, tops[-1] + cell / 2 + away, "input", 13, GREY, "start"))
    scene.add(Text(0, tops[0] + cell / 2 - away, "one unit", 13, CHOSEN, "start", bold=True))


def _name_layers(scene: Scene, stack: Stack, middles: list[float], high: float) -> None:
    """Each layer's kernel at its height, and below it what is more than that. Where lines are closer than `ROOMY`,
    equal layers that follow each other get one name."""
    layers = list(reversed(stack.layers))
    if high >= ROOMY:
        for layer, y in zip(layers, middles, strict=True):
            first, _, rest = layer.words.partition(" · ")
            scene.add(Text(0, y - (7 if rest else 0), first, 13, anchor="start"))
            if rest:
                scene.add(Text(0, y + 7, shorten(rest, 12, NAMES - 6), 12, GREY, "start"))
        return
    letters, at = min(13.0, 0.95 * high), 0
    for layer, run in ((layer, len(list(same))) for layer, same in groupby(layers)):
        y = (middles[at] + middles[at + run - 1]) / 2
        words = f"{plural(run, 'layer')} {layer.words}" if run > 1 else layer.words
        scene.add(Text(0, y, shorten(words, letters, NAMES - 6), letters, anchor="start"))
        at += run


def _pixel_colours(stack: Stack) -> list[str]:
    """The input's pixels in viridis from 0 by their share."""
    share = stack.profile / stack.profile.max()
    return [to_hex(viridis()[round(255 * float(value))]) for value in share]


def _draw_profile(scene: Scene, stack: Stack, left: float, step: float, peak: float) -> None:
    """The share of each pixel as bars, and the Gaussian of the same standard deviation."""
    foot, room = HEAD + CONE + PROFILE - 8, PROFILE - 22
    for at, share in enumerate(stack.profile):
        high, title = float(share) / peak * room, f"pixel {at}: {100 * share:.3g} %"
        if high > 0:
            scene.add(Box(left + (at + 0.07) * step, foot - high, 0.86 * step, high, BARS, title=title))
    if stack.sigma > 0:
        places = np.linspace(-0.5, stack.size - 0.5, 121)
        middle = (stack.size - 1) / 2
        density = np.exp(-0.5 * ((places - middle) / stack.sigma) ** 2) / (stack.sigma * np.sqrt(2 * np.pi))
        lowered = np.minimum(density / peak, 1.12) * room
        points = zip(places, lowered, strict=True)
        scene.add(Polyline(tuple((left + (x + 0.5) * step, foot - float(y)) for x, y in points), INK, 1.8))
    scene.add(Polyline(((left, foot), (left + stack.size * step, foot)), EDGE, 1.2))
    scene.add(Text(0, foot - 34, "effective", 13, BARS, "start", bold=True))
    scene.add(Text(0, foot - 17, f"σ {stack.sigma:.4g} pixels", 13, INK, "start"))


def _draw_numbers(scene: Scene, stack: Stack, channels: int, side: int, width: float) -> None:
    top, column = HEAD + CONE + PROFILE + 16, width / 3
    rectifiers = "nonlinearity" if stack.nonlinearities == 1 else "nonlinearities"
    facts = (
        (f"{stack.size}×{stack.size}", "receptive field", f"stride {stack.strides[-1]}"),
        (f"{stack.weights(channels):,}", "parameters", f"{stack.formula}, C = {channels}"),
        (f"{stack.nonlinearities}", rectifiers, f"{count_text(stack.macs(channels, side))}MAC at {side}×{side}"),
    )
    for at, (number, words, more) in enumerate(facts):
        x = column * (at + 0.5)
        size = min(30.0, (column - 12) / text_width(number, 1.0, True))
        scene.add(Text(x, top + 18, number, size, CHOSEN if at == 0 else INK, bold=True))
        scene.add(Text(x, top + 50, words, 15))
        scene.add(Text(x, top + 72, more, min(13.0, (column - 6) / text_width(more, 1.0)), GREY))


def weights_sentence(first: Stack, second: Stack, channels: int) -> str:
    """Which of two stacks costs what, and which sees more, in a sentence."""
    one, two = first.weights(channels), second.weights(channels)
    seen = (
        f"Both see {plural(first.size, 'pixel')} a side"
        if first.size == second.size
        else f"The left one sees {plural(first.size, 'pixel')} a side, the right one {second.size}"
    )
    cost = f"{one:,} against {plural(two, 'parameter')} at C = {channels}"
    sigmas = f"σ {first.sigma:.4g} against {second.sigma:.4g} pixels"
    if first.size != second.size:
        return f"{seen}: {cost}; {sigmas}."
    if abs(first.sigma - second.sigma) < 1e-9:
        return f"{seen}: {cost}; both spread their weight alike."
    narrow = "left" if first.sigma < second.sigma else "right"
    return f"{seen}: {cost}; the {narrow} one gathers more of its weight in the middle ({sigmas})."
