"""Curves of recorded trainings on one axis: each step, the mean of each epoch, and what was held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnviz.training.record.result import RecordedRun

AXES = ("epochs", "steps", "time")
STEP, TRAIN, TEST = PARTS = ("step", "train", "test")
MEASURES = ("loss", "accuracy")
MOST = 1_500  # points of a curve; more are thinned out evenly
_SHARE = 60  # of a run's steps that one mean is taken over: 1 / _SHARE


@dataclass(frozen=True, slots=True)
class RunCurve:
    """One curve. `run`: its name. `measure`: "loss" (nats, for a cross-entropy) or "accuracy" (0 to 1). `part`: "step",
    smoothed over neighbouring steps; "train", mean of an epoch; "test", measured after it. `x`, `y`: (n,), ascending in
    x: epochs, steps, or seconds since the run began; NaN in y where there is no number."""

    run: str
    measure: str
    part: str
    x: np.ndarray
    y: np.ndarray


def collect_curves(run: RecordedRun, axis: str = "epochs") -> list[RunCurve]:
    """All curves of a run that have something to show on this axis, one of AXES. Of a run that has ended no epoch and
    does not say how many steps one has there is nothing along epochs, and of one whose steps are not recorded nothing
    along steps."""
    found = []
    for measure in MEASURES:
        if measure in run.steps:
            found.append((measure, STEP, *_thin(place_steps(run, run.steps, axis), smooth(run.steps[measure]))))
        train = run.epochs.get(f"train_{measure}")
        train = average_epochs(run, measure) if train is None else train
        where = place_steps(run, run.epochs, axis)
        found.append((measure, TRAIN, where, train))
        found.append((measure, TEST, where, run.epochs.get(f"test_{measure}", np.full(len(where), np.nan))))
    curves = [RunCurve(run.name, measure, part, x, y) for measure, part, x, y in found]
    return [curve for curve in curves if (np.isfinite(curve.x) & np.isfinite(curve.y)).any()]


def place_steps(run: RecordedRun, table: dict[str, np.ndarray], axis: str) -> np.ndarray:
    """(n,) where the lines of `table`, steps or epochs of the run, lie on an axis; NaN where that is not known."""
    steps = table["step"].astype(float)
    if axis == "time":
        times = table.get("time", np.full(len(steps), np.nan))
        return times if run.knows_epochs_alone else times - _find_start(run)
    if axis == "steps":
        return np.full(len(steps), np.nan) if run.knows_epochs_alone else steps
    return count_epochs(run, steps)


def count_epochs(run: RecordedRun, steps: np.ndarray) -> np.ndarray:
    """(n,) epochs that had been trained at each of `steps` (n,), with the part of the one that was under way; NaN where
    the run tells neither the end of an epoch nor how long one is."""
    ends, numbers = np.append(0, run.epochs["step"]), np.append(0, run.epochs.get("epoch", np.empty(0)))
    if run.knows_epochs_alone:
        return np.asarray(steps, float)
    long = run.about.get("steps_per_epoch")
    if len(ends) > 1 and ends[-1] > ends[-2] and numbers[-1] > numbers[-2]:
        long = (ends[-1] - ends[-2]) / (numbers[-1] - numbers[-2])
    if not isinstance(long, int | float) or not long > 0:
        return np.full(len(steps), np.nan)
    beyond = numbers[-1] + (steps - ends[-1]) / long
    return np.where(steps > ends[-1], beyond, np.interp(steps, ends, numbers))


def _find_start(run: RecordedRun) -> float:
    """When the first step that is kept was written, or where there is none the first epoch."""
    known = [
        float(np.nanmin(table["time"])) for table in (run.steps, run.epochs) if np.isfinite(table.get("time", [])).any()
    ]
    return min(known, default=float("nan"))


def average_epochs(run: RecordedRun, measure: str) -> np.ndarray:
    """(epochs,) the mean of a measure over the steps of each epoch that are kept; NaN where there is none."""
    values, ends = run.steps.get(measure), run.epochs["step"]
    if values is None:
        return np.full(len(ends), np.nan)
    epoch = np.searchsorted(ends, run.steps["step"], "left")
    known = np.isfinite(values) & (epoch < len(ends))
    counts = np.bincount(epoch[known], minlength=len(ends)).astype(float)
    sums = np.bincount(epoch[known], values[known], minlength=len(ends))
    return np.divide(sums, counts, out=np.full(len(ends), np.nan), where=counts > 0)


def smooth(values: np.ndarray, width: int | None = None) -> np.ndarray:
    """(n,) the mean of the known ones of the `width` values around each, fewer at the ends; NaN stays NaN.

    `width`: odd; None for one sixtieth of them."""
    count = len(values)
    half = max(count // _SHARE, 1) // 2 if width is None else width // 2
    known = np.isfinite(values)
    sums, counts = (np.concatenate([[0.0], np.cumsum(part)]) for part in (np.where(known, values, 0.0), known))
    low, high = np.maximum(np.arange(count) - half, 0), np.minimum(np.arange(count) + half + 1, count)
    total = counts[high] - counts[low]
    mean = np.divide(sums[high] - sums[low], total, out=np.full(count, np.nan), where=total > 0)
    return np.where(known, mean, np.nan)


def _thin(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    chosen = np.unique(np.linspace(0, len(x) - 1, MOST).round().astype(int)) if len(x) > MOST else slice(None)
    return x[chosen], y[chosen]


def find_first_nan(run: RecordedRun) -> int | None:
    """The first step that is kept whose loss is no number; None where all are."""
    bad = ~np.isfinite(run.steps.get("loss", np.empty(0)))
    return int(run.steps["step"][bad.argmax()]) if bad.any() else None
