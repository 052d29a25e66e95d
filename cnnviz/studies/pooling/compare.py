"""One pooling layer under one shift, unit by unit, and other kinds of pooling in its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from cnnviz.display import Summarised
from cnnviz.interventions.padding import check_padding, override_padding
from cnnviz.models.model import LoadedModel
from cnnviz.probes.capture import as_maps
from cnnviz.probes.layer_io import capture_io
from cnnviz.studies.equivariance.shifting import check_shifts, make_shiftable
from cnnviz.studies.pooling.pooling import pool


@dataclass(frozen=True, slots=True, repr=False)
class UnchangedUnits(Summarised):
    """Two maps of one shape, unit by unit. `same`: bool, they differ by at most the tolerance. `active`: bool, above it
    in either map; a unit that is 0 both times says nothing."""

    same: np.ndarray
    active: np.ndarray

    @property
    def share(self) -> float:
        """Unchanged units among the active ones; 1 where none is active."""
        return float(self.same[self.active].mean()) if self.active.any() else 1.0

    def __getitem__(self, channel: int) -> UnchangedUnits:
        """One channel of it."""
        return UnchangedUnits(self.same[channel], self.active[channel])


def compare_units(first: np.ndarray, second: np.ndarray, tolerance: float) -> UnchangedUnits:
    """Which units of `second` are what they are in `first`; `tolerance`: a part of the largest absolute value of
    `first`, as in `invariance.pooling_invariance`."""
    limit = tolerance * np.abs(first).max(initial=0.0)
    return UnchangedUnits(np.abs(second - first) <= limit, (np.abs(first) > limit) | (np.abs(second) > limit))


@dataclass(frozen=True, slots=True, repr=False)
class PooledMaps(Summarised):
    """What enters a pooling layer, `before` (C, H, W), and what leaves it, `after` (C, h, w); of the image as it is and
    of the shifted one. Nothing is moved back. float32."""

    layer: str
    before: np.ndarray
    before_shifted: np.ndarray
    after: np.ndarray
    after_shifted: np.ndarray


def capture_pooled_maps(
    model: LoadedModel,
    image: Any,
    shift: tuple[int, int],
    layer: str,
    padding: str = "native",
    how: str = "circular",
) -> PooledMaps:
    """The maps around one pooling module under one shift (rows, columns) of the image.

    Arguments and errors as for `invariance.pooling_invariance`."""
    check_padding(padding)
    (pair,) = check_shifts([shift])
    batch = make_shiftable(model, image, how, max(map(abs, pair))).at([(0, 0), pair])
    with model.lock, torch.inference_mode(), override_padding(padding):
        given, made = capture_io(model.module, batch, [layer])[layer]
    (x, shifted), (y, y_shifted) = (as_maps(maps).cpu().float().numpy() for maps in (given, made))
    return PooledMaps(layer, x, shifted, y, y_shifted)


def repool(
    maps: PooledMaps, channel: int, kind: str, size: int = 2, stride: int = 2, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """((h, w), (h, w)) float64: one channel of what enters the layer, pooled by `kind` instead, without and with the
    shift. "stochastic" draws by the same random numbers for both. Raises BadInput as `pooling.pool` does."""
    first, second = (pool(m[channel], kind, size, stride, seed) for m in (maps.before, maps.before_shifted))
    return first, second
