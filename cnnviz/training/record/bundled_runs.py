"""The trainings that come with cnnviz as runs: recorded ones, and what was measured after each epoch of others."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnviz.models.bundled import BUNDLED, bundled, read_training, recorded_folder, snapshots
from cnnviz.models.runs.moment import list_history
from cnnviz.training.record.result import RecordedRun, RunReader

_MEASURED = ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "lr")


def bundled_runs() -> list[RecordedRun]:
    """A run for each network whose training comes along or is told beside its bundled weights, "bundled:lenet5_tanh" …

    The steps of the latter are not recorded: a step is an epoch there, and what was seen within one is empty. "time":
    seconds of training until then."""
    found: list[RecordedRun] = []
    for name in bundled():
        if folder := recorded_folder(name):
            found.append(RunReader(folder, BUNDLED + name).read())
        elif lines := list_history(name):
            found.append(_make_run(name, lines))
    return found


def _make_run(name: str, lines: list[dict[str, Any]]) -> RecordedRun:
    numbers = np.array([line["epoch"] for line in lines], np.int64)
    epochs = {"step": numbers, "epoch": numbers, **{key: _column(lines, key) for key in _MEASURED}}
    if any("seconds" in line for line in lines):
        epochs["time"] = np.cumsum(_column(lines, "seconds"))
    none = np.empty(0, np.int64)
    kept = snapshots(name)
    kept.setdefault(int(numbers[-1]), bundled()[name])
    told = read_training(name)
    about = {key: value for key, value in told.items() if key != "history"} | {"architecture": name, "ended": True}
    looks = {"step": none, **{what: np.empty((0, 0)) for what in ("gradient", "weight", "update", "dead")}}
    return RecordedRun(BUNDLED + name, {"step": none}, looks, epochs, [], [], dict(kept), dict(kept), about)


def _column(lines: list[dict[str, Any]], key: str) -> np.ndarray:
    values = [line.get(key) for line in lines]
    return np.array([float(value) if isinstance(value, int | float) else np.nan for value in values])
