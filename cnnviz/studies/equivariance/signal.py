"""Shift equivariance in one dimension: a time series, its response, and what pooling makes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.studies.pooling.pooling import pool_row

SIGNALS = ("event", "step", "two events", "chirp", "noise")
KERNELS: dict[str, tuple[float, ...]] = {
    "difference": (-1.0, 0.0, 1.0),
    "smooth": (0.25, 0.5, 0.25),
    "peak": (-1.0, 2.0, -1.0),
    "average of 5": (0.2, 0.2, 0.2, 0.2, 0.2),
}


@dataclass(frozen=True, slots=True, repr=False)
class SignalShift(Summarised):
    """A signal x, its shifted copy T(x), and the layer f: a kernel, its stride, a ReLU, and pooling.

    `signal`, `shifted` (n,). `response` f(x), `response_shifted` f(T(x)), `moved` T(f(x)) (m,): T moves by `steps`
    units, the shift over the stride to the nearest. `pooled`, `pooled_shifted` (⌈m / pool_stride⌉,). `unchanged`,
    `pooled_unchanged`: shares of the active units (above 0 in either) that are, at their place, what they were."""

    signal: np.ndarray
    shifted: np.ndarray
    response: np.ndarray
    response_shifted: np.ndarray
    moved: np.ndarray
    pooled: np.ndarray
    pooled_shifted: np.ndarray
    steps: int
    unchanged: float
    pooled_unchanged: float

    @property
    def error(self) -> float:
        """Relative L2 of f(T(x)) − T(f(x)); 0 where the layer is equivariant, inf where only f(T(x)) responds."""
        norm = float(np.linalg.norm(self.moved))
        apart = float(np.linalg.norm(self.response_shifted - self.moved))
        return apart / norm if norm else math.inf if apart else 0.0


def make_signal(kind: str = "event", length: int = 64, seed: int = 0) -> np.ndarray:
    """(length,) float64, about 0 … 1. "event": a bump at a third; "noise": seeded. Raises BadInput."""
    if kind not in SIGNALS or length < 8:
        raise BadInput(f"A signal is one of {', '.join(SIGNALS)}, 8 values or more; got {kind!r}, {length}.")
    time = np.arange(length) / length
    bump = np.exp(-0.5 * ((time - 1 / 3) / 0.03) ** 2)
    made = {
        "event": bump,
        "step": (np.abs(time - 0.45) < 0.12).astype(np.float64),
        "two events": bump + 0.6 * np.exp(-0.5 * ((time - 0.6) / 0.05) ** 2),
        "chirp": np.where(time < 0.7, np.sin(2 * np.pi * (2 + 12 * time) * time) ** 2 * np.sin(np.pi * time / 0.7), 0),
        "noise": np.random.default_rng(seed).random(length),
    }
    return made[kind]


def shift_signal(
    values: np.ndarray,
    kernel: np.ndarray | tuple[float, ...],
    shift: int,
    stride: int = 1,
    circular: bool = True,
    rectify: bool = True,
    pooling: str = "max",
    pool: int = 3,
    pool_stride: int = 1,
) -> SignalShift:
    """Shift a series (n,) by `shift` values to the right and send both through one layer.

    The kernel is laid on without a flip, centred; around the series it is itself (`circular`) or zero. What a shift
    brings in is what left, or zero. Raises BadInput for other arrays, or a kernel longer than the series."""
    x, weights = np.asarray(values, np.float64), np.asarray(kernel, np.float64)
    if x.ndim != 1 or weights.ndim != 1 or not 0 < len(weights) <= len(x) or stride < 1:
        raise BadInput(f"Expected a series, a kernel no longer than it, stride >= 1; got {x.shape}, {weights.shape}.")
    shifted = _move(x, shift, circular)
    first, second = (_response(part, weights, stride, circular, rectify) for part in (x, shifted))
    steps = int(np.floor(shift / stride + 0.5))
    pooled, pooled_shifted = (pool_row(part, pooling, pool, pool_stride) for part in (first, second))
    return SignalShift(
        signal=x,
        shifted=shifted,
        response=first,
        response_shifted=second,
        moved=_move(first, steps, circular),
        pooled=pooled,
        pooled_shifted=pooled_shifted,
        steps=steps,
        unchanged=_same(first, second),
        pooled_unchanged=_same(pooled, pooled_shifted),
    )


def _move(values: np.ndarray, steps: int, circular: bool) -> np.ndarray:
    moved = np.roll(values, steps)
    if not circular and steps:
        moved[slice(0, steps) if steps > 0 else slice(steps, None)] = 0
    return moved


def _response(x: np.ndarray, kernel: np.ndarray, stride: int, circular: bool, rectify: bool) -> np.ndarray:
    before = (len(kernel) - 1) // 2
    padded = np.pad(x, (before, len(kernel) - 1 - before), mode="wrap" if circular else "constant")
    response = np.convolve(padded, kernel[::-1], mode="valid")[::stride]
    return np.maximum(response, 0) if rectify else response


def _same(first: np.ndarray, second: np.ndarray) -> float:
    active = (first > 1e-12) | (second > 1e-12)
    return float(np.isclose(first, second, atol=1e-9)[active].mean()) if active.any() else 1.0
