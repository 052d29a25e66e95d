"""Loss along one direction. Source: Li et al., NeurIPS 2018 (arXiv:1712.09913), figures 2 and 3."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from cnnviz.errors import BadInput, Cancelled
from cnnviz.landscape.evaluate.evaluator import Evaluator
from cnnviz.landscape.plane.directions import plane_directions
from cnnviz.landscape.plane.grid import Span, find_ends, space_points
from cnnviz.landscape.plane.plan import list_values
from cnnviz.landscape.results import Line
from cnnviz.models.model import LoadedModel
from cnnviz.progress import Progress
from cnnviz.wording import plural

LineWatcher = Callable[["LineProgress"], bool | None]


@dataclass(frozen=True, slots=True)
class LineProgress(Progress):
    """`done` of `total` points, an estimate of the seconds left, and what is known so far (NaN elsewhere)."""

    line: Line = field(kw_only=True)


def loss_line(
    model: LoadedModel,
    images: Any,
    labels: Any,
    steps: int = 51,
    span: Span = 1.0,
    seed: int = 0,
    precision: str = "auto",
    progress: LineWatcher | None = None,
    statistics: str = "frozen",
    direction: Mapping[str, Tensor] | None = None,
    batch: int | None = None,
) -> Line:
    """Loss and accuracy at `steps` points: the network's weights + step × direction.

    Arguments as of `loss_surface`. The direction of a seed is the first of its plane, so that the line is the
    surface's row beta = 0; `direction`: one of your own. The network is not changed. Raises BadInput if
    something cannot be used or the network's own loss is not finite, Cancelled when `progress` returns
    False."""
    points = space_points(steps, span)
    evaluator = Evaluator(model, images, labels, precision, statistics, batch)
    way = plane_directions(model, seed)[0] if direction is None else direction
    plane = evaluator.plane(way)
    evaluator.settle_precision(way, span=max(map(abs, find_ends(span))))
    if not math.isfinite(plane.at(0.0).loss):
        raise BadInput(f"The loss of {model.name} itself is not finite over these images.")
    values = np.full((4, len(points)), math.nan)
    meta = (
        {"kind of line": "direction", "architecture": model.name, "weights": model.fingerprint}
        | {"data": evaluator.data, "images": evaluator.count, "seed": seed if direction is None else None}
        | {"span": list(find_ends(span)), **evaluator.precision_meta(), **evaluator.loss_meta()}
        | {"statistics": statistics, "batch": evaluator.batch}
    )
    started = time.monotonic()
    for i, point in enumerate(points):
        values[:, i] = list_values(plane.at(float(point)))
        left = (time.monotonic() - started) / (i + 1) * (len(points) - 1 - i)
        loss, accuracy, loss_error, accuracy_error = values.copy()
        line = Line(points, loss, accuracy, loss_error, accuracy_error, meta)
        state = LineProgress(i + 1, len(points), "points", left, line=line)
        if progress and progress(state) is False and i + 1 < len(points):
            raise Cancelled(f"Stopped after {i + 1} of {plural(len(points), 'point')} of the line.")
    return line
