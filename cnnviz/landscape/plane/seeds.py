"""Spread over direction seeds: median and quartiles of the loss over several random planes through one network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.landscape.results import Surface


@dataclass(frozen=True, slots=True, repr=False)
class Spread(Summarised):
    """Over k planes, cell by cell. Arrays are (A, B); NaN where a plane was not evaluated.

    `lower`, `upper`: quartiles of the loss, nats; an overflowed point counts as larger than any other."""

    alphas: np.ndarray  # (A,)
    betas: np.ndarray  # (B,)
    median: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    accuracy: np.ndarray  # median, 0..1
    planes: int


def summarise_planes(surfaces: Sequence[Surface]) -> Spread:
    """Median and quartiles of the loss over surfaces of one network on re-rolled directions.

    Raises BadInput for none, for different grids, or for surfaces of different networks, data or statistics."""
    if not surfaces:
        raise BadInput("A median over planes needs at least one surface, got none.")
    first = surfaces[0]
    for other in surfaces[1:]:
        _refuse_another(first, other)
    losses = np.stack([surface.loss for surface in surfaces])
    lower, median, upper = _compute_quantiles(losses, (0.25, 0.5, 0.75))
    (accuracy,) = _compute_quantiles(np.stack([surface.accuracy for surface in surfaces]), (0.5,))
    return Spread(first.alphas, first.betas, median, lower, upper, accuracy, len(surfaces))


def _refuse_another(first: Surface, other: Surface) -> None:
    for name in ("alphas", "betas"):
        if not np.array_equal(getattr(first, name), getattr(other, name)):
            raise BadInput(f"The surfaces have different {name}: give all the same steps and span.")
    kinds = ("architecture", "weights", "data", "statistics")
    differ = [kind for kind in kinds if first.meta.get(kind) != other.meta.get(kind)]
    if differ:
        raise BadInput(f"The surfaces differ in {', '.join(differ)}; a median is over directions alone.")


def _compute_quantiles(values: np.ndarray, shares: tuple[float, ...]) -> list[np.ndarray]:
    """Linear between order statistics along the first axis, as NumPy's, where infinite values are allowed."""
    ordered = np.sort(values, axis=0)  # NaN last
    missing = np.isnan(values).any(axis=0)
    found = []
    for share in shares:
        place = share * (len(values) - 1)
        low, high = ordered[int(np.floor(place))], ordered[int(np.ceil(place))]
        part = place - np.floor(place)
        with np.errstate(invalid="ignore"):
            between = np.where(low == high, low, low + part * (high - low))
        found.append(np.where(missing, np.nan, np.where(np.isinf(high) & (part > 0), high, between)))
    return found
