"""Results of loss landscapes: surfaces, lines and trajectories in weight space, with their provenance."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import numpy as np

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.store import load_arrays, save_arrays


class _Kept:
    """Saving and loading for the frozen results below: arrays by name, `meta` as JSON beside them."""

    meta: Mapping[str, Any]

    def save(self, path: str | Path) -> None:
        """Write arrays and meta as one .npz. Raises CnnvizError if the file cannot be written."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "meta"}  # type: ignore[arg-type]
        save_arrays(path, arrays, {"kind": type(self).__name__, **self.meta})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Inverse of `save`. Raises BadInput for a file that is missing, damaged or of another kind."""
        arrays, meta = load_arrays(path)
        wanted = {f.name for f in fields(cls) if f.name != "meta"}  # type: ignore[arg-type]
        if meta.pop("kind", None) != cls.__name__ or set(arrays) != wanted:
            raise BadInput(f"{path} holds no {cls.__name__.lower()} of a loss landscape. Compute it again.")
        return cls(**{**arrays, "meta": meta})


@dataclass(frozen=True, slots=True)
class Measured:
    """Loss and accuracy at one point. `loss`: mean cross-entropy over the images, nats; `accuracy`: 0..1.
    The errors are standard errors of these means over the sample of images."""

    loss: float
    accuracy: float
    loss_error: float
    accuracy_error: float


@dataclass(frozen=True, slots=True, repr=False)
class Surface(_Kept, Summarised):
    """Loss on a plane in weight space. Source: Li et al. 2018, arXiv:1712.09913.

    The network's own weights are at (0, 0). `meta`: architecture, hash of the weights, data, number of
    images, seed, precision, statistics of batch normalisation, cosine of the directions."""

    alphas: np.ndarray  # (A,) steps along direction 1, filter norms
    betas: np.ndarray  # (B,) steps along direction 2, filter norms
    loss: np.ndarray  # (A, B) mean cross-entropy, nats; NaN = not evaluated, inf = the network overflowed
    accuracy: np.ndarray  # (A, B) 0..1
    loss_error: np.ndarray  # (A, B) standard error of the loss over the images, nats
    accuracy_error: np.ndarray  # (A, B) standard error of the accuracy
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Points that were evaluated."""
        return int((~np.isnan(self.loss)).sum())

    @property
    def complete(self) -> bool:
        """Whether every point was evaluated."""
        return self.done == self.loss.size

    def csv(self) -> str:
        """One line a point: alpha, beta, loss, accuracy and their errors."""
        rows = (
            (a, b, *(float(v[i, j]) for v in (self.loss, self.accuracy, self.loss_error, self.accuracy_error)))
            for i, a in enumerate(self.alphas.tolist())
            for j, b in enumerate(self.betas.tolist())
        )
        return _csv(("alpha", "beta", "loss", "accuracy", "loss_error", "accuracy_error"), rows)


@dataclass(frozen=True, slots=True, repr=False)
class Line(_Kept, Summarised):
    """Loss along one direction, or from one network to another.

    `meta` says which: "kind of line": "direction" (0 is the network) or "interpolation" (0 is the first
    network, 1 the second)."""

    steps: np.ndarray  # (S,)
    loss: np.ndarray  # (S,) mean cross-entropy, nats; NaN = not evaluated
    accuracy: np.ndarray  # (S,) 0..1
    loss_error: np.ndarray  # (S,)
    accuracy_error: np.ndarray  # (S,)
    meta: Mapping[str, Any] = field(default_factory=dict)

    def csv(self) -> str:
        """One line a step."""
        columns = [getattr(self, f.name).tolist() for f in fields(self) if f.name != "meta"]
        return _csv(("step", "loss", "accuracy", "loss_error", "accuracy_error"), zip(*columns, strict=True))


@dataclass(frozen=True, slots=True, repr=False)
class Trajectory(_Kept, Summarised):
    """The way of a training run, projected on a plane through its last weights.

    `meta`: share of the variance that the two directions explain, their cosine, data, number of images."""

    epochs: np.ndarray  # (E,) of the snapshots
    positions: np.ndarray  # (E, 2) coordinates in the plane, in the units of Surface.alphas and .betas
    residual: np.ndarray  # (E,) distance from the plane over the distance from the last weights, 0..1
    loss: np.ndarray  # (E,) true loss of the snapshot, nats, not that of its projection
    accuracy: np.ndarray  # (E,) true accuracy, 0..1
    meta: Mapping[str, Any] = field(default_factory=dict)

    def csv(self) -> str:
        """One line a snapshot: epoch, the two coordinates, the share outside the plane, loss and accuracy."""
        columns = (self.epochs, *self.positions.T, self.residual, self.loss, self.accuracy)
        names = ("epoch", "direction_1", "direction_2", "residual", "loss", "accuracy")
        return _csv(names, zip(*(column.tolist() for column in columns), strict=True))


def _csv(names: tuple[str, ...], rows: Any) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return out.getvalue()
