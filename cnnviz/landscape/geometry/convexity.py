"""Nonconvexity of a loss surface: the share of its grid where it curves downwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.landscape.results import Surface
from cnnviz.wording import plural

# Both measured on ResNet-20 over 1,000 images of CIFAR-10, at steps of 0.04 filter norms: the standard error of second
# differences of single images' losses gives a correlation of 0.994 to 0.999; bfloat16 scatters by 0.2 to 0.6 %.
CORRELATION = 0.99
ROUNDING = {"bfloat16": 4e-3, "float32": 1e-6}
_STENCILS = {  # second differences over (alpha, beta) steps of -1, 0, 1
    "aa": np.array([[0, 1, 0], [0, -2, 0], [0, 1, 0]], float),
    "bb": np.array([[0, 0, 0], [1, -2, 1], [0, 0, 0]], float),
    "ab": np.array([[1, 0, -1], [0, 0, 0], [-1, 0, 1]], float) / 4,
}


@dataclass(frozen=True, slots=True, repr=False)
class Nonconvexity(Summarised):
    """Where a slice curves downwards.

    `share`: of the counted points, 0..1, NaN if none could be counted. `counted`: their number, inside the grid,
    finite and below the clip. `smallest`, `largest` (A, B): eigenvalues of the 2×2 Hessian, nats over squared
    steps; NaN where a point was not counted. `error` (A, B): what the standard errors leave open of `smallest`.
    `negative` (A, B): smallest + sigmas · error < 0. `nearest`: how far from the centre of the plane, in steps, the
    nearest of these points lies; infinite if there is none."""

    share: float
    counted: int
    smallest: np.ndarray
    largest: np.ndarray
    error: np.ndarray
    negative: np.ndarray
    nearest: float


def nonconvexity(
    surface: Surface,
    clip: float = 10.0,
    log: bool = False,
    stride: int | None = None,
    sigmas: float = 2.0,
    correlation: float = CORRELATION,
    rounding: float | None = None,
) -> Nonconvexity:
    """The share of a slice where the loss curves downwards along some direction of the plane.

    At every inner point the Hessian of the loss (of its logarithm with `log`) by (alpha, beta) is taken by
    central differences over `stride` grid steps; a point counts as negative when its smallest eigenvalue is
    below zero by more than `sigmas` standard errors. Whether one is negative does not depend on the angle or the
    length of the directions (Sylvester's law of inertia). Points with a loss above `clip`, nats, or with
    a neighbour that is not finite, are left out.

    All points see the same images, so their errors move together: `correlation`, of any two points of a
    stencil, is what part of the variance they share, which a second difference all but cancels. `rounding`:
    relative error of each loss by itself; None takes that of the precision in which the surface was computed.
    `stride`: None takes 1, and 2 for bfloat16 on grids of 21 points a side and more, whose rounding would hide
    weak curvature. Errors of the surface that are NaN count as 0. A
    slice that is convex proves nothing about the rest; a point that is not convex here is not convex in the
    whole space either (Li et al. 2018, section 6).
    Raises BadInput for uneven or too small grids, and parameters out of range."""
    if rounding is None:
        rounding = ROUNDING.get(str(surface.meta.get("precision")), ROUNDING["float32"])
    if stride is None:
        stride = 2 if surface.meta.get("precision") == "bfloat16" and min(surface.loss.shape) >= 21 else 1
    steps = [_measure_spacing(axis, stride) for axis in (surface.alphas, surface.betas)]
    if not 0 <= correlation <= 1 or sigmas < 0 or rounding < 0:
        given = f"{correlation}, {sigmas}, {rounding}"
        raise BadInput(f"correlation must lie in 0..1, sigmas and rounding be >= 0, got {given}.")
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        values = np.where(surface.loss > 0, np.log(surface.loss), np.nan) if log else surface.loss
        spread = np.nan_to_num(surface.loss_error) / (surface.loss if log else 1.0)
        single = np.full(values.shape, rounding) if log else rounding * np.abs(surface.loss)
        aa, bb, ab = (_take_differences(values, _scale_stencil(name, *steps), stride) for name in _STENCILS)
        smallest, largest, turn = _compute_eigenvalues(aa, bb, ab)
        error = _propagate_error(spread, single, turn, steps, stride, correlation)
        inner = (slice(stride, -stride), slice(stride, -stride))
        usable = np.isfinite(smallest) & (surface.loss[inner] <= clip)
        negative = usable & (smallest + sigmas * np.nan_to_num(error) < 0)
    counted = int(usable.sum())

    def fill(part: np.ndarray, empty: float | bool) -> np.ndarray:
        whole = np.full(values.shape, empty)
        whole[inner] = np.where(usable, part, empty)
        return whole

    bent, share = fill(negative, False), float(negative.sum() / counted) if counted else np.nan
    nearest = np.hypot(surface.alphas[:, None], surface.betas[None, :]).min(where=bent, initial=np.inf)
    eigenvalues = fill(smallest, np.nan), fill(largest, np.nan)
    return Nonconvexity(share, counted, *eigenvalues, fill(error, np.nan), bent, float(nearest))


def _measure_spacing(axis: np.ndarray, stride: int) -> float:
    """The distance between points that a difference spans on one side."""
    if stride < 1 or len(axis) < 2 * stride + 1:
        raise BadInput(
            f"Second differences over {plural(stride, 'step')} need at least "
            f"{plural(2 * max(stride, 1) + 1, 'point')} on each axis, got "
            f"{len(axis)}. Compute a finer surface."
        )
    gaps = np.diff(axis)
    if not np.allclose(gaps, gaps[0], rtol=1e-6) or gaps[0] <= 0:
        raise BadInput("Second differences need a grid of even, rising steps.")
    return float(gaps[0]) * stride


def _scale_stencil(name: str, alpha: float, beta: float) -> np.ndarray:
    return _STENCILS[name] / {"aa": alpha**2, "bb": beta**2, "ab": alpha * beta}[name]


def _stack_neighbours(values: np.ndarray, stride: int) -> np.ndarray:
    """(3, 3, A - 2 stride, B - 2 stride): every inner point's surroundings."""
    rows, columns = (size - 2 * stride for size in values.shape)
    return np.array([[values[i * stride :, j * stride :][:rows, :columns] for j in range(3)] for i in range(3)])


def _take_differences(values: np.ndarray, stencil: np.ndarray, stride: int) -> np.ndarray:
    around = _stack_neighbours(values, stride)
    return sum(stencil[i, j] * around[i, j] for i in range(3) for j in range(3) if stencil[i, j])


def _compute_eigenvalues(aa: np.ndarray, bb: np.ndarray, ab: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eigenvalues of [[aa, ab], [ab, bb]], smallest and largest, and the angle of the smallest one's vector."""
    middle, radius = (aa + bb) / 2, np.hypot((aa - bb) / 2, ab)
    return middle - radius, middle + radius, np.arctan2(2 * ab, aa - bb) / 2 + np.pi / 2


def _propagate_error(
    spread: np.ndarray, single: np.ndarray, turn: np.ndarray, steps: list[float], stride: int, correlation: float
) -> np.ndarray:
    """Standard error of the second difference along the direction `turn`, a first-order expansion of the
    eigenvalue: its stencil is v·H·v, linear in the nine losses."""
    cos, sin = np.cos(turn), np.sin(turn)
    aa, bb, ab = (_scale_stencil(name, *steps)[:, :, None, None] for name in _STENCILS)
    weights = cos**2 * aa + sin**2 * bb + 2 * sin * cos * ab
    shared = weights * _stack_neighbours(spread, stride)
    alone = weights * _stack_neighbours(single, stride)
    together, apart = shared.sum(axis=(0, 1)) ** 2, (shared**2).sum(axis=(0, 1))
    return np.sqrt(correlation * together + (1 - correlation) * apart + (alone**2).sum(axis=(0, 1)))
