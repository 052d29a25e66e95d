"""One layer over a row of units, wired densely, locally or as a convolution, and which of them commute with a shift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnviz.display import Summarised
from cnnviz.errors import BadInput

KINDS = ("dense", "local", "convolution")
BORDERS = ("circular", "zeros")


@dataclass(frozen=True, slots=True, repr=False)
class Wiring(Summarised):
    """Which of n inputs each of n outputs reads. `label` (n, n) int, outputs down, inputs across: which weight it is,
    −1 where there is none; equal numbers are one weight."""

    kind: str
    label: np.ndarray

    @property
    def connections(self) -> int:
        """Products that one pass computes."""
        return int((self.label >= 0).sum())

    @property
    def weights(self) -> int:
        """Numbers that are learned."""
        return len(np.unique(self.label[self.label >= 0]))

    def read_by(self, output: int) -> list[int]:
        """The inputs that an output reads."""
        return [int(i) for i in np.flatnonzero(self.label[output] >= 0)]

    def readers(self, given: int) -> list[int]:
        """The outputs that read an input."""
        return [int(i) for i in np.flatnonzero(self.label[:, given] >= 0)]


def wire_units(units: int, kernel: int, kind: str) -> Wiring:
    """n outputs over n inputs, with zeros beyond the ends where a window of `kernel` inputs is read.

    `kind`: "dense" reads all inputs; "local" its own window with weights of its own; "convolution" its own window with
    the same weights everywhere. Raises BadInput for another kind, an even kernel, or one wider than 2n − 1.
    Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, section 9.2 and figure 9.14."""
    if kind not in KINDS or units < 1 or kernel % 2 == 0 or not 1 <= kernel <= 2 * units - 1:
        raise BadInput(
            f"Expected one of {', '.join(KINDS)}, 1 unit or more and an odd kernel of at most 2n − 1, got {kind!r}, "
            f"{units} and {kernel}."
        )
    if kind == "dense":
        return Wiring(kind, np.arange(units * units).reshape(units, units))
    taps = _taps(units, kernel, "zeros")
    if kind == "convolution":
        return Wiring(kind, taps)
    own = np.full(taps.shape, -1)
    own[taps >= 0] = np.arange(int((taps >= 0).sum()))
    return Wiring(kind, own)


def _taps(units: int, kernel: int, border: str) -> np.ndarray:
    """(n, n): which weight of a centred kernel joins output and input, −1 for none."""
    outputs, inputs = np.indices((units, units))
    taps = inputs - outputs + kernel // 2
    if border == "circular":
        taps = taps % units
    return np.where((taps >= 0) & (taps < kernel), taps, -1)


def tie_weights(matrix: np.ndarray, kernel: int, border: str = "circular") -> np.ndarray:
    """The convolution nearest to a dense layer (n, n): each weight of the kernel is the mean of the places that share
    it, all others are 0. It is the orthogonal projection, so that it changes the matrix least (Frobenius norm).

    `border`: what lies beyond the ends, "circular" or "zeros". Raises BadInput for other shapes, borders, or kernels
    that are even or wider than n."""
    given = np.asarray(matrix, np.float64)
    if given.ndim != 2 or given.shape[0] != given.shape[1]:
        raise BadInput(f"Expected a square matrix, got shape {given.shape}.")
    if border not in BORDERS or kernel % 2 == 0 or not 1 <= kernel <= len(given):
        raise BadInput(
            f"Expected a border of {', '.join(BORDERS)} and an odd kernel of at most {len(given)}, got {border!r} and "
            f"{kernel}."
        )
    taps = _taps(len(given), kernel, border)
    means = np.array([given[taps == tap].mean() for tap in range(kernel)])
    return np.where(taps >= 0, means[np.maximum(taps, 0)], 0.0)


@dataclass(frozen=True, slots=True, repr=False)
class ShiftTest(Summarised):
    """A layer and a shift in either order. `values`, `output` (n,): x and Wx. `shifted` (n,): Sx. `shift_first` (n,):
    W(Sx). `layer_first` (n,): S(Wx)."""

    values: np.ndarray
    output: np.ndarray
    shifted: np.ndarray
    shift_first: np.ndarray
    layer_first: np.ndarray

    @property
    def difference(self) -> np.ndarray:
        """(n,): W(Sx) − S(Wx); 0 everywhere for a layer that is equivariant to the shift."""
        return self.shift_first - self.layer_first

    @property
    def error(self) -> float:
        """‖W(Sx) − S(Wx)‖ / ‖S(Wx)‖; 0 where both are 0."""
        size = float(np.linalg.norm(self.layer_first))
        return float(np.linalg.norm(self.difference)) / size if size else 0.0


def run_shift_test(matrix: np.ndarray, values: np.ndarray, shift: int, border: str = "circular") -> ShiftTest:
    """Apply a layer (n, n) to a row (n,) before and after it is shifted by `shift` units to the right.

    `border`: "circular", what leaves at one end enters at the other; "zeros", it is lost, and zeros enter.
    Raises BadInput for shapes that do not fit."""
    weights, row = np.asarray(matrix, np.float64), np.asarray(values, np.float64)
    if weights.shape != (len(row), len(row)) or border not in BORDERS:
        raise BadInput(f"A matrix {weights.shape}, a row of {len(row)} and the border {border!r} do not fit.")
    moved = shift_row(row, shift, border)
    return ShiftTest(row, weights @ row, moved, weights @ moved, shift_row(weights @ row, shift, border))


def shift_row(values: np.ndarray, shift: int, border: str) -> np.ndarray:
    """(n,) moved by `shift` places to the right."""
    moved = np.roll(values, shift)
    if border == "zeros":
        count = min(abs(shift), len(moved))
        moved[: count if shift > 0 else 0] = 0
        moved[len(moved) - (count if shift < 0 else 0) :] = 0
    return moved
