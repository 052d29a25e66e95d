"""Whether bfloat16 is good enough for a landscape: decided by measuring a few of its points both ways."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from cnnviz.device import fast_bfloat16

if TYPE_CHECKING:
    from cnnviz.landscape.evaluate.evaluator import Evaluator

PRECISIONS = ("auto", "float32", "bfloat16")
MEDIAN, MAXIMUM = 0.01, 0.03  # of |Δlog10 loss|, up to which bfloat16 serves
STEPS = ((0.0, 0.0), (0.25, -0.25), (-0.5, 0.5), (0.7, 0.3), (-1.0, -1.0))  # spans along the directions


def bfloat16_errors(evaluator: Evaluator, directions: Sequence[Mapping[str, Tensor]], span: float) -> list[float]:
    """|Δlog10 loss| of bfloat16 at five points up to `span` along `directions`; [] where the device gains nothing
    by bfloat16, so that nothing was measured."""
    if not fast_bfloat16(str(evaluator.device)):
        return []
    plane = evaluator.plane(*directions)
    errors = []
    for steps in STEPS:
        point = tuple(span * steps[i % 2] for i in range(len(directions)))
        exact, fast = (plane._at(point, bfloat16).loss for bfloat16 in (False, True))
        errors.append(log_error(exact, fast))
    return errors


def log_error(exact: float, other: float) -> float:
    """|log10 other − log10 exact|; 0 for two equal losses, also where both are 0 or inf."""
    if exact == other:
        return 0.0
    if not (0 < exact < math.inf and 0 < other < math.inf):
        return math.inf
    return abs(math.log10(other / exact))


def within_bounds(errors: Sequence[float]) -> bool:
    """Whether these errors let bfloat16 serve. False if none were measured."""
    return bool(errors) and statistics.median(errors) <= MEDIAN and max(errors) <= MAXIMUM
