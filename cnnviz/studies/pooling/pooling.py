"""Pooling of small maps and rows: maximum, average, root mean square, stochastic, and across channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.wording import plural

Row = Sequence[float] | np.ndarray  # (n,)
KINDS = ("max", "average", "rms", "l2", "stochastic")
_REDUCE: dict[str, Callable[..., Any]] = {
    "max": np.max,
    "average": np.mean,
    "rms": lambda values, axis: np.sqrt(np.mean(np.square(values), axis=axis)),
    "l2": lambda values, axis: np.sqrt(np.sum(np.square(values), axis=axis)),
}
DETECTOR, ENTERING = (0.1, 1.0, 0.2, 0.1), (0.3,)  # Goodfellow, Bengio, Courville, Deep Learning, figure 9.8


def pool(values: np.ndarray, kind: str = "max", size: int = 2, stride: int | None = None, seed: int = 0) -> np.ndarray:
    """(…, H, W) → (…, ⌊(H − size)/stride⌋ + 1, …) float64, windows inside the map; `stride` None is `size`.

    "rms": the root of the mean square. "l2": the root of the sum of squares, larger by the root of the window's number
    of units.
    "stochastic": one value a window, drawn with probability a / Σa by NumPy's generator with `seed`; 0 where all are 0.
    Raises BadInput for another kind, windows that do not fit, negative values in stochastic pooling.
    Sources: Zeiler and Fergus, ICLR 2013 (arXiv:1301.3557) for the stochastic one."""
    windows = _windows(values, kind, size, size if stride is None else stride)
    if kind == "stochastic":
        return _draw(windows, np.random.default_rng(seed))
    return _REDUCE[kind](windows, axis=-1)


def stochastic_mean(values: np.ndarray, size: int = 2, stride: int | None = None) -> np.ndarray:
    """The expectation of stochastic pooling, Σa² / Σa, which the paper uses in testing ("probabilistic weighting").
    Raises as `pool` does."""
    windows = _windows(values, "stochastic", size, size if stride is None else stride)
    total = windows.sum(axis=-1)
    return np.square(windows).sum(axis=-1) / np.where(total > 0, total, 1)


def pool_channels(maps: np.ndarray, pieces: int | None = None) -> np.ndarray:
    """(C, …) → (C / pieces, …): the maximum over each `pieces` neighbouring channels, by default over all of them.

    Source: maxout, Goodfellow et al., ICML 2013 (arXiv:1302.4389). Raises BadInput if pieces do not divide C."""
    maps = np.asarray(maps)
    pieces = len(maps) if pieces is None else pieces
    if pieces < 1 or not len(maps) or len(maps) % pieces:
        raise BadInput(f"{plural(len(maps), 'channel')} cannot be taken {pieces} at a time.")
    return maps.reshape(-1, pieces, *maps.shape[1:]).max(axis=1)


def pool_row(values: Row, kind: str = "max", width: int = 3, stride: int = 1, seed: int = 0) -> np.ndarray:
    """(⌈n / stride⌉,) float64: a row pooled with windows centred on every `stride`-th unit and cut off at the ends, as
    in the book's figure. Even widths reach one unit further to the right. `seed`: of "stochastic", where window i of
    every row draws by the same random number, so that equal windows give equal values. Raises BadInput."""
    row = np.asarray(values, np.float64)
    if row.ndim != 1 or not len(row) or kind not in KINDS or min(width, stride) < 1:
        raise BadInput(f"Expected a row of numbers, one of {', '.join(KINDS)}, width and stride >= 1.")
    before = (width - 1) // 2
    windows = [row[max(start, 0) : start + width] for start in range(-before, len(row) - before, stride)]
    if kind != "stochastic":
        return np.array([_REDUCE[kind](window, axis=-1) for window in windows])
    _refuse_negative(row)
    generator = np.random.default_rng(seed)
    return np.array([float(_draw(window, generator)) for window in windows])


@dataclass(frozen=True, slots=True, repr=False)
class PoolRows(Summarised):
    """A detector row and its pooled row, before and after a shift. `detector`, `shifted` (n,); `pooled`,
    `pooled_shifted` (m,). `inputs_changed`, `outputs_changed`: (n,) and (m,) bool, values that are not what they were.
    Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, figure 9.8."""

    detector: np.ndarray
    pooled: np.ndarray
    shifted: np.ndarray
    pooled_shifted: np.ndarray
    inputs_changed: np.ndarray
    outputs_changed: np.ndarray

    @property
    def sentence(self) -> str:
        """ "4 of 4 inputs and 2 of 4 outputs change"."""
        inputs, outputs = self.inputs_changed, self.outputs_changed
        return (
            f"{inputs.sum()} of {plural(len(inputs), 'input')} and {outputs.sum()} of {plural(len(outputs), 'output')} "
            "change"
        )


def pool_rows(
    detector: Row = DETECTOR,
    entering: Row = ENTERING,
    shift: int = 1,
    kind: str = "max",
    width: int = 3,
    stride: int = 1,
    seed: int = 0,
) -> PoolRows:
    """Shift a detector row by `shift` units to the right (negative: left) and pool both.

    `entering`: the values that come in, nearest first; the last one is repeated as often as needed. `seed`: of both
    rows, so that stochastic pooling changes by the shift alone. Values apart by less than rounding count as equal.
    Raises BadInput."""
    row = np.asarray(detector, np.float64)
    pooled = pool_row(row, kind, width, stride, seed)
    if shift and not len(entering):
        raise BadInput("Give at least one value that enters with the shift.")
    many = min(abs(shift), len(row))
    new = [float(entering[min(i, len(entering) - 1)]) for i in range(abs(shift))][abs(shift) - many :]
    if shift >= 0:
        moved = np.concatenate([np.array(new[::-1], np.float64), row[: len(row) - many]])
    else:
        moved = np.concatenate([row[many:], np.array(new, np.float64)])
    pooled_moved = pool_row(moved, kind, width, stride, seed)
    changed = (~np.isclose(a, b, rtol=1e-12, atol=1e-12) for a, b in ((row, moved), (pooled, pooled_moved)))
    return PoolRows(row, pooled, moved, pooled_moved, *changed)


def _windows(values: np.ndarray, kind: str, size: int, stride: int) -> np.ndarray:
    """(…, rows, cols, size²) float64."""
    array = np.asarray(values, np.float64)
    if kind not in KINDS:
        raise BadInput(f"No pooling named {kind!r}. Choose one of: {', '.join(KINDS)}.")
    if array.ndim < 2 or not 1 <= size <= min(array.shape[-2:], default=0) or stride < 1:
        raise BadInput(f"A window of {size}×{size} at stride {stride} does not fit a map of shape {array.shape}.")
    if kind == "stochastic":
        _refuse_negative(array)
    windows = sliding_window_view(array, (size, size), axis=(-2, -1))[..., ::stride, ::stride, :, :]
    return windows.reshape(*windows.shape[:-2], size * size)


def _refuse_negative(values: np.ndarray) -> None:
    if (values < 0).any():
        raise BadInput("Stochastic pooling draws in proportion to the values: they must be 0 or more, as after ReLU.")


def _draw(windows: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    heights = windows.cumsum(axis=-1)
    total = heights[..., -1:]
    place = (heights <= generator.random(total.shape) * total).sum(axis=-1, keepdims=True)
    picked = np.take_along_axis(windows, np.minimum(place, windows.shape[-1] - 1), axis=-1)[..., 0]
    return np.where(total[..., 0] > 0, picked, 0.0)
