"""A residual unit with what stands on its shortcut, and what many such shortcuts leave of a signal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnnviz.figures.base.colors import CATEGORIES, GREY, KINDS
from cnnviz.figures.base.scene import INK, Box, Polyline, Scene, Text, round_corners
from cnnviz.figures.families.rows import product_text
from cnnviz.figures.families.table import RULE
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.families.residual_units import ShortcutVariant

LOWEST = -17  # power of ten at the foot of the curve
_BRANCH = (("3×3 conv, BN", "conv"), ("ReLU", "activation"), ("3×3 conv, BN", "conv"))


def unit_scene(variant: ShortcutVariant, width: float = 420.0, height: float = 300.0) -> Scene:
    """The unit from top to bottom: the residual path on the left, the shortcut on the right with what it does."""
    scene = Scene(width, height)
    left, right, box = 0.32 * width, 0.78 * width, 0.44 * width
    top, sum_at = 34.0, height - 58.0
    gated = variant.residual != "F(x)"
    steps = [*_BRANCH, *([(f"× {variant.residual.removesuffix(' F(x)')}", "multiply")] if gated else [])]
    pitch = (sum_at - top - 28) / len(steps)
    scene.add(Text(left, 12, "x", 18, bold=True), Polyline(((left, 22), (left, sum_at - 15)), INK, 1.8, 8.0))
    for at, (words, kind) in enumerate(steps):
        y = top + (at + 0.5) * pitch
        fill = KINDS[kind][0]
        scene.add(Box(left - box / 2, y - 0.33 * pitch, box, 0.66 * pitch, fill, "#4b5563", 1, 4))
        scene.add(Text(left, y, words, min(17.0, 0.4 * pitch), INK, bold=kind == "multiply"))
    if variant.shortcut != "none":
        path = [(left, 27.0), (right, 27.0), (right, sum_at), (left + 15, sum_at)]
        scene.add(Polyline(round_corners(path, 18), INK, 2.6, 9.0))
        if variant.key != "identity":
            middle, wide = (27 + sum_at) / 2, 0.38 * width
            scene.add(Box(right - wide / 2, middle - 24, wide, 48, "#fde3c8", "#4b5563", 1, 4))
            words = {"conv": "1×1 conv", "dropout": "dropout 0.5"}.get(
                variant.key, f"× {variant.shortcut.removesuffix(' x')}"
            )
            scene.add(Text(right, middle, words, 17, INK, bold=True))
    scene.add(Box(left - 15, sum_at - 15, 30, 30, "#ffffff", INK, 1.8, 15), Text(left, sum_at, "+", 24, bold=True))
    scene.add(Polyline(((left, sum_at + 15), (left, height - 26)), INK, 1.8, 7.0))
    scene.add(Text(left, height - 12, "ReLU, next unit", 15, INK))
    return scene


def product_scene(
    variants: Sequence[ShortcutVariant],
    chosen: ShortcutVariant,
    units: int,
    width: float = 620.0,
    height: float = 300.0,
) -> Scene:
    """λ multiplied over 1 to `units` units, on a logarithmic scale from 1 down; the chosen variant in bold."""
    left, top, foot = 76.0, 24.0, 44.0
    wide, high = width - left - 14, height - top - foot
    scene = Scene(width, height)

    def place(unit: int, value: float) -> tuple[float, float]:
        power = max(math.log10(max(value, 1e-300)), LOWEST)
        return left + wide * unit / units, top + high * power / LOWEST

    for power in (0, -5, -10, -15):
        y = top + high * power / LOWEST
        scene.add(Polyline(((left, y), (width - 14, y)), RULE, 1.0))
        scene.add(Text(left - 8, y, "1" if power == 0 else f"10^−{-power}", 14, GREY, "end"))
    for factor in sorted({v.factor for v in variants if v.factor}):
        line = tuple(place(unit, factor**unit) for unit in range(units + 1))
        scene.add(Polyline(line, GREY, 1.2))
    if chosen.factor:
        line = tuple(place(unit, chosen.factor**unit) for unit in range(units + 1))
        scene.add(Polyline(line, CATEGORIES[4], 4.0))
    product = chosen.product(units)
    if product is None:
        words = "a 1×1 convolution multiplies by a matrix, not by one number"
    elif product == 0:
        words = "without a shortcut nothing is passed on"
    else:
        words = f"after {plural(units, 'unit')}: {product_text(product)}"
    scene.add(Text(left + 10, height - foot - 16, words, 17, INK, "start", True))
    scene.add(Text(left, height - 22, "0", 14, GREY), Text(width - 14, height - 22, str(units), 14, GREY, "end"))
    scene.add(Text(left + wide / 2, height - 14, "units", 15, GREY))
    scene.add(Text(left, 8, "what the shortcuts leave of a signal, λⁿ", 14, GREY, "start"))
    return scene
