"""Receptive field of a unit in numbers, and the profile of its gradient with the Gaussian of the same moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.charts import share_text
from cnnviz.figures.base.colors import CATEGORIES, CHOSEN, GREY
from cnnviz.figures.base.scene import INK, Box, Polyline, Scene, Text
from cnnviz.figures.base.text import shorten
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.receptive.effective import MeasuredField
    from cnnviz.tracing.receptive_field import ReceptiveField

THEORY = CHOSEN
FREE, MOST, HALF, BARS = GREY, CATEGORIES[5], CATEGORIES[3], "#33638d"
EDGE = "#aab2bd"
Span = tuple[int, int]
LINE = 25.0  # pixels from row to row


@dataclass(frozen=True, slots=True)
class Fact:
    """One row of the card: a colour of the frames or "", what it is, its value."""

    colour: str
    name: str
    value: str


def theory_facts(field: ReceptiveField, row: int, col: int) -> list[Fact]:
    """Size, what of it lies inside the image, stride, padding, first and last pixel of one unit's field."""
    top, left, bottom, right = field.box(row, col, clip=False)
    inner_top, inner_left, inner_bottom, inner_right = field.box(row, col)
    facts = [Fact(THEORY, "theoretical field", f"{bottom - top}×{right - left}")]
    if (inner_top, inner_left, inner_bottom, inner_right) != (top, left, bottom, right):
        facts.append(Fact("", "of it in the image", f"{inner_bottom - inner_top}×{inner_right - inner_left}"))
    facts += [
        Fact("", "stride", _pair_text(field.stride)),
        Fact("", "padding", _pair_text(field.padding)),
        Fact("", "first … last row", f"{_signed_text(top)} … {_signed_text(bottom - 1)}"),
        Fact("", "first … last column", f"{_signed_text(left)} … {_signed_text(right - 1)}"),
    ]
    return facts


def effective_facts(found: MeasuredField) -> list[Fact]:
    """The boxes of half and of 95 % of the gradient with their share of the theoretical area, and sigma."""
    if not found.weight.any():
        return [Fact("", "effective field", "no gradient arrives")]
    facts = []
    for colour, share, name in ((MOST, 0.95, "95 % of the gradient"), (HALF, 0.5, "half of the gradient")):
        top, left, bottom, right = found.box(share)
        facts.append(Fact(colour, name, f"{bottom - top}×{right - left} · {share_text(found.ratio(share))} of area"))
    rows, cols = found.sigma
    facts.append(Fact("", "Gaussian, σ", f"{rows:.1f} rows, {cols:.1f} columns"))
    return facts


def unit_scene(
    facts: Sequence[Fact], found: MeasuredField | None, curve: np.ndarray, span: Span, width: float = 330.0
) -> Scene:
    """The facts, and under them the profile of the gradient where there is one; see `profile_scene`."""
    card = card_scene(facts, width)
    if found is None or not found.weight.any():
        return card
    profile = profile_scene(found, curve, span, width)
    whole = Scene(width, card.height + 10 + profile.height)
    whole.paste(card, 0, 0)
    whole.paste(profile, 0, card.height + 10)
    return whole


def card_scene(facts: Sequence[Fact], width: float = 330.0) -> Scene:
    """The facts as rows: swatch, name, value, the value below the name where the card is narrow; all lengths are in
    pixels of the network's input."""
    narrow = width < 260
    line = 1.55 * LINE if narrow else LINE
    scene = Scene(width, LINE + line * len(facts))
    scene.add(Text(0, LINE / 2, "pixels of the network's input", 12.5, GREY, "start"))
    for at, fact in enumerate(facts):
        y = LINE + line * at + LINE / 2
        if fact.colour:
            scene.add(Box(1, y - 6, 12, 12, "none", fact.colour, 3))
        scene.add(Text(20, y, fact.name, 13 if narrow else 14, anchor="start"))
        if narrow:
            scene.add(Text(20, y + 16, shorten(fact.value, 13, width - 20, True), 13, anchor="start", bold=True))
        else:
            scene.add(Text(width, y, shorten(fact.value, 14, width - 150, True), 14, anchor="end", bold=True))
    return scene


def profile_scene(
    found: MeasuredField, curve: np.ndarray, span: Span, width: float = 330.0, height: float = 150.0
) -> Scene:
    """The gradient of each column of the image, summed over rows, as bars from 0; over them `curve` (W,), the Gaussian
    of its moments; below, the theoretical field as a bracket. `span`: first column and the one behind the last."""
    scene, bars = Scene(width, height), found.weight.sum(axis=0)[slice(*span)]
    curve = curve[slice(*span)]
    foot, peak = height - 36, max(float(bars.max(initial=0)), float(curve.max(initial=0)), 1e-12)
    step, scale = width / max(len(bars), 1), (foot - 24) / peak
    scene.add(Text(0, 9, "gradient by column", 12.5, BARS, "start", bold=True))
    scene.add(Text(width, 9, "Gaussian", 12.5, INK, "end", bold=True))
    for at, value in enumerate(bars):
        if value > 0:
            high = max(float(value) * scale, 0.4)
            title = f"column {at + span[0]}: {share_text(float(value))}"
            scene.add(Box(at * step, foot - high, step, high, BARS, title=title))
    points = tuple(((at + 0.5) * step, foot - float(value) * scale) for at, value in enumerate(curve))
    if len(points) > 1:
        scene.add(Polyline(points, INK, 2.0))
    scene.add(Polyline(((0, foot), (width, foot)), EDGE, 1.2))
    left, right = (min(max((at - span[0]) * step, 0), width) for at in (found.free[1], found.free[3]))
    scene.add(Polyline(((left, foot + 7), (right, foot + 7)), THEORY, 4.0))
    first, last = str(span[0]), str(span[1] - 1)
    scene.add(Text(0, foot + 24, first, 12, GREY, "start"), Text(width, foot + 24, last, 12, GREY, "end"))
    scene.add(Text(width / 2, foot + 24, "column; orange: theory", 12, GREY))
    return scene


def _pair_text(values: tuple[float, float]) -> str:
    first, second = (_signed_text(value) for value in values)
    return first if first == second else f"{plural(first, 'row')}, {plural(second, 'column')}"


def _signed_text(value: float) -> str:
    return f"{value:g}".replace("-", "−")
