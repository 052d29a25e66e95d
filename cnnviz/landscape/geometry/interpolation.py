"""Linear interpolation between two networks, and the loss barrier on the line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnnviz.errors import BadInput
from cnnviz.landscape.evaluate.evaluator import Evaluator
from cnnviz.landscape.results import Line
from cnnviz.models.model import LoadedModel
from cnnviz.progress import StudyWatcher, Ticker

STEPS = np.linspace(-0.5, 1.5, 25)  # holds 0 and 1
State = Mapping[str, Tensor]


def interpolate(
    model_a: LoadedModel,
    model_b: LoadedModel,
    images: Any,
    labels: Any,
    steps: Sequence[float] | np.ndarray = STEPS,
    precision: str = "auto",
    statistics: str = "frozen",
    progress: StudyWatcher | None = None,
) -> Line:
    """Loss and accuracy at (1 - t) a + t b for each t of `steps`: 0 is `model_a`, 1 is `model_b`.

    All parameters and running statistics move linearly; beyond the two networks a running variance that
    would become negative is held at 0, and `meta["clamped"]` lists these steps. `images`, `labels`, `precision`,
    `statistics`: as for `Evaluator`, on `model_a`'s device. Neither network is changed.
    Sources: Goodfellow, Vinyals, Saxe, ICLR 2015, arXiv:1412.6544; Li et al. 2018, section 2, whose tool moves
    the running statistics too. Raises BadInput, naming the first difference, for networks that are not the same
    function of their tensors or prepare images differently; Cancelled when `progress` returns False."""
    points = _check_steps(steps)
    evaluator = Evaluator(model_a, images, labels, precision, statistics)
    first, second = (copy_state(model, evaluator.device) for model in (model_a, model_b))
    check_same(first, second, f"{model_a.name} (the first)", f"{model_b.name} (the second)")
    _check_alike(model_a, model_b)
    ticker, rows, clamped = Ticker(len(points), progress), [], []
    for t in points:
        weights = {name: torch.lerp(first[name], second[name], float(t)) for name in first}
        if _hold_variances(weights):
            clamped.append(float(t))
        at = evaluator.at(weights)
        rows.append((at.loss, at.accuracy, at.loss_error, at.accuracy_error))
        ticker.tick("interpolating")
    both = (model_a, model_b)
    meta = (
        {"kind of line": "interpolation", "architecture": model_a.name, "data": evaluator.data}
        | {"weights": [model.fingerprint for model in both], "origins": [model.origin for model in both]}
        | {"images": evaluator.count, **evaluator.precision_meta(), "statistics": statistics, "clamped": clamped}
    )
    loss, accuracy, loss_error, accuracy_error = np.array(rows, np.float64).T
    return Line(points, loss, accuracy, loss_error, accuracy_error, meta)


def barrier(line: Line, of: str = "loss") -> float:
    """How far the worst point between two networks lies above the straight line from one value to the other:
    the maximum over t in 0..1 of f(t) - ((1 - t) f(0) + t f(1)), at least 0, for f the loss in nats, or with
    `of="error"` the share of wrong answers.

    Source: Entezari, Sedghi, Saukh, Neyshabur, ICLR 2022, arXiv:2110.06296, definition 1; where both ends are
    equally good it is the instability of Frankle, Dziugaite, Roy, Carbin, ICML 2020, arXiv:1912.05671, section 2.
    A point between that overflowed makes it infinite. Raises BadInput for a line that lacks the points 0 or 1, was not
    evaluated there, or is not finite there."""
    if of not in ("loss", "error"):
        raise BadInput(f'A barrier is that of "loss" or "error", got {of!r}.')
    values = line.loss if of == "loss" else 1 - line.accuracy
    between = (line.steps >= -1e-9) & (line.steps <= 1 + 1e-9) & ~np.isnan(values)
    ends = [np.flatnonzero(between & np.isclose(line.steps, end, atol=1e-9)) for end in (0, 1)]
    if not all(len(end) for end in ends):
        raise BadInput("A barrier needs the values at both networks: interpolate with 0 and 1 among the steps.")
    start, stop = (values[end[0]] for end in ends)
    if not np.isfinite([start, stop]).all():
        raise BadInput(
            f"A barrier needs a finite {of} at both networks, got {start:.4g} and {stop:.4g}: the weights or the "
            "images of one hold NaN or far too large numbers."
        )
    t = line.steps[between]
    return max(0.0, float(np.max(values[between] - ((1 - t) * start + t * stop))))


def copy_state(model: LoadedModel, device: torch.device) -> dict[str, Tensor]:
    """Copies of `model`'s floating-point parameters and running statistics, float32, on `device`."""
    with model.lock:
        state = model.module.state_dict()
        return {k: v.detach().to(device, torch.float32, copy=True) for k, v in state.items() if v.is_floating_point()}


def check_same(first: State, second: State, name: str, other: str) -> None:
    """Raise BadInput, naming the first difference, unless both states have the same names and shapes."""
    differ = f"{name} and {other} are not the same network"
    for key in [*first, *second]:
        if key not in second or key not in first:
            has, lacks = (name, other) if key in first else (other, name)
            raise BadInput(
                f"{differ}: {has} has {key!r}, {lacks} has not. Choose two sets of weights of one architecture."
            )
        if first[key].shape != second[key].shape:
            shapes = f"{tuple(first[key].shape)} and {tuple(second[key].shape)}"
            raise BadInput(f"{differ}: {key!r} has shapes {shapes}.")


def _check_alike(a: LoadedModel, b: LoadedModel) -> None:
    """The same tensors may serve two functions (a ResNet and its plain twin), and two views of an image."""
    first, second = (model.preprocessing.as_dict() for model in (a, b))
    if first != second:
        key = next(k for k in {**first, **second} if first.get(k) != second.get(k))
        raise BadInput(
            f"The two networks prepare images differently ({key}: {first.get(key)} and {second.get(key)}): no point "
            "between them has a preprocessing. Load both with the same one, cnnviz.load(…, preprocessing=…)."
        )
    if a.name != b.name:
        raise BadInput(
            f"{a.name} and {b.name} have the same tensors but are two networks: no line between them is one network. "
            "Load both as the same architecture."
        )


def _check_steps(steps: Sequence[float] | np.ndarray) -> np.ndarray:
    points = np.array(steps, np.float64)
    if points.ndim != 1 or not len(points) or not np.isfinite(points).all():
        raise BadInput(f"steps must be a list of finite numbers, e.g. 0, 0.5, 1, got {steps!r:.80}.")
    points[np.abs(points) < 1e-12] = 0.0  # linspace leaves such crumbs
    return points


def _hold_variances(weights: Mapping[str, Tensor]) -> bool:
    """Keep running variances at or above 0, in place; True if one had to be."""
    variances = [tensor for name, tensor in weights.items() if name.endswith("running_var")]
    negative = any(bool((tensor < 0).any()) for tensor in variances)
    for tensor in variances if negative else ():
        tensor.clamp_(min=0)
    return negative
