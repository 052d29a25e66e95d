"""Grid of a line or plane: its points, and an order in which a coarse picture comes first."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from cnnviz.errors import BadInput

Span = float | tuple[float, float]
Cell = tuple[int, int]


def space_points(steps: int, span: Span) -> np.ndarray:
    """(steps,) equally spaced coordinates, ends included: -span … span, or low … high for a pair.

    An odd number of steps about 0 has 0 itself in the middle; one step is the middle alone. Raises BadInput for
    fewer than one step, or a span that is empty or not finite."""
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1:
        raise BadInput(f"steps must be a whole number from 1, got {steps!r}.")
    low, high = find_ends(span)
    if steps == 1:
        return np.array([(low + high) / 2])
    points = np.linspace(low, high, int(steps))
    if low == -high and steps % 2:
        points[steps // 2] = 0.0
    return points


def find_ends(span: Span) -> tuple[float, float]:
    """(low, high) of a span. Raises BadInput if there is nothing between them."""
    try:
        low, high = map(float, span if isinstance(span, tuple | list) else (-span, span))
    except (TypeError, ValueError):
        raise BadInput(f"span must be a number above 0, or a pair (low, high), got {span!r}.") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise BadInput(f"span must be a number above 0, or a pair (low, high) with low < high, got {span!r}.")
    return low, high


def coarse_to_fine(steps: int) -> list[Cell]:
    """Every cell of a steps × steps grid once: the middle, then the grids of every 16th, 8th, 4th, 2nd row and
    column from the middle, then all. For 51 steps these are grids of 3, 7, 13, 25 and 51 points a side, each
    within the next."""
    middle = (steps - 1) // 2
    ordered = {(middle, middle): None}
    for stride in strides(steps):
        rows = range(middle % stride, steps, stride)
        ordered.update(((i, j), None) for i in rows for j in rows)
    return list(ordered)


def strides(steps: int) -> Iterator[int]:
    """16, 8, 4, 2, 1: those whose grid has more than the middle."""
    yield from (stride for stride in (16, 8, 4, 2, 1) if stride == 1 or stride <= (steps - 1) // 2)
