"""Degradation: whether of two networks of one kind the deeper one learns its own training images worse."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnviz.training.record.result import RecordedRun

_NAME = re.compile(r"(plain|resnet)([0-9]{1,4})(?:_cifar)?")  # without and with shortcuts, see He et al. 2016


@dataclass(frozen=True, slots=True)
class DepthPair:
    """The shallowest and the deepest of the runs of one kind. `kind`: "plain" or "resnet"; `layers`, `epochs`,
    `train`, `test`: of both, accuracies 0 to 1 after the last epoch; NaN where it was not measured."""

    kind: str
    layers: tuple[int, int]
    epochs: tuple[int, int]
    train: tuple[float, float]
    test: tuple[float, float]

    @property
    def gain(self) -> float:
        """Training accuracy of the deeper network less that of the shallower, -1 to 1: below 0 it is degraded."""
        return self.train[1] - self.train[0]


def compare_depths(runs: Sequence[RecordedRun]) -> list[DepthPair]:
    """A pair for each kind of which runs of two depths are among `runs`, with their last training accuracies.

    Source: He et al. 2016, arXiv:1512.03385, section 4.2."""
    found: dict[str, dict[int, RecordedRun]] = {}
    for run in runs:
        match = _NAME.fullmatch(run.architecture)
        if match and np.isfinite(run.epochs.get("train_accuracy", [])).any():
            found.setdefault(match[1], {}).setdefault(int(match[2]), run)
    return [_make_pair(kind, of) for kind, of in sorted(found.items()) if len(of) > 1]


def _make_pair(kind: str, runs: dict[int, RecordedRun]) -> DepthPair:
    layers = min(runs), max(runs)
    both = [runs[depth] for depth in layers]
    last = [[_last(run, name) for run in both] for name in ("train_accuracy", "test_accuracy")]
    epochs = [int(run.epochs["epoch"][-1]) for run in both]
    return DepthPair(kind, layers, (epochs[0], epochs[1]), (last[0][0], last[0][1]), (last[1][0], last[1][1]))


def _last(run: RecordedRun, name: str) -> float:
    values = run.epochs.get(name, np.empty(0))
    known = values[np.isfinite(values)]
    return float(known[-1]) if len(known) else float("nan")
