"""Receptive fields under operations that move elements: each element gets a number, the operation itself moves the
numbers, and what lies where afterwards is read off. So no rule for a move can be wrong."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from cnnviz.tracing.rf_intervals import FAR, Axis

_NUMBER = np.int32


class FieldTable:
    """The different elements of one axis of one or several tensors, numbered from 1; 0 is an element that sees nothing,
    such as a constant."""

    def __init__(self) -> None:
        self._limit, self._step = 0, Fraction(0)
        # (5, n): low, high, free_low, free_high, place along the axis's own dimension
        self._parts = [np.array([[0], [-1], [FAR], [-FAR], [0]], np.int64)]
        self._count = 1

    def add(self, axis: Axis, shape: tuple[int, ...]) -> np.ndarray:
        """Numbers (`shape`, read only) of the elements of a tensor whose axis this is."""
        sizes, first = axis.low.shape, self._count
        cells = np.zeros((5, *sizes), np.int64)
        for cell, bound in zip(cells, axis.bounds, strict=False):
            cell[...] = bound
        if axis.dim is not None:
            cells[4] = np.arange(sizes[axis.dim]).reshape(-1, *(1,) * (len(sizes) - axis.dim - 1))
        self._parts.append(cells.reshape(5, -1))
        self._count += axis.low.size
        if axis.step is not self._step:
            self._step = max(self._step, axis.step, key=abs)
        self._limit = self._parts[0][0, 0] = axis.limit
        numbers = np.arange(first, first + axis.low.size, dtype=_NUMBER).reshape(sizes)
        return numbers if sizes == shape else np.broadcast_to(numbers, shape)

    def read(self, numbers: np.ndarray) -> Axis | None:
        """The axis of a tensor that holds these `numbers`; None if none of its elements sees anything."""
        numbers = _shrink(numbers[None], numbers[None])[0]
        if numbers.size == 0 or not numbers.any():
            return None
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts, axis=1)]
        cells = self._parts[0][:, numbers]
        cells = _shrink(cells, cells[:4])
        dim, pace = _find_line(cells[4])
        low, high, free_low, free_high = (np.ascontiguousarray(bound) for bound in cells[:4])
        return Axis(low, high, free_low, free_high, self._step * pace, self._limit, dim)


def _shrink(values: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """`values` (k, …) with length 1 along every dimension, but the first, along which `judged` does not change."""
    for dim in range(1, values.ndim):
        first = (slice(None),) * dim + (slice(0, 1),)
        if judged.shape[dim] > 1 and _is_constant(judged, dim):
            judged, values = judged[first], values[first]
    return values


def _is_constant(values: np.ndarray, dim: int) -> bool:
    if values.strides[dim] == 0:
        return True
    first, last = values.take(0, dim), values.take(-1, dim)
    if not np.array_equal(first, last):
        return False
    return bool((np.expand_dims(first, dim) == values).all())


def _find_line(place: np.ndarray) -> tuple[int | None, Fraction]:
    """(dimension along which the places go on, places from one element to the next); of several the widest step."""
    best: tuple[int | None, Fraction] = (None, Fraction(0))
    for dim, size in enumerate(place.shape):
        if size == 1:
            continue
        line = place[tuple(slice(None) if d == dim else n // 2 for d, n in enumerate(place.shape))]
        pace = _find_pace(line)
        if pace and abs(pace) >= abs(best[1]):
            best = dim, pace
    return best


def _find_pace(line: np.ndarray) -> Fraction:
    steps = np.diff(line)
    if not steps.any():
        return Fraction(0)
    if (steps >= 0).all() and (steps == 0).any():  # each place several times
        return Fraction(int(line[-1] - line[0]) + 1, len(line))
    values, counts = np.unique(steps, return_counts=True)
    return Fraction(int(values[counts.argmax()]))
