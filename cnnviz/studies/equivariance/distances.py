"""Distance between two feature maps: cosine and relative L2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Distances(NamedTuple):
    """`cosine`: 1 - cos of the angle, 0 … 2. `relative`: L2 norm of the difference over that of the first. NaN if there
    is nothing to compare; two maps of zeros are equal, and beside a map of zeros any other is at (1, infinity)."""

    cosine: float
    relative: float


def measure_distances(first: Tensor, second: Tensor, mask: np.ndarray | None = None) -> Distances:
    """Between maps (C, H, W), over the places where `mask` (H, W) is True. Sums in float64, and the cosine distance as
    half the squared distance of the unit vectors, so that equal maps are at exactly 0."""
    if mask is not None and not mask.all():
        if not mask.any():
            return Distances(float("nan"), float("nan"))
        inside = torch.from_numpy(mask).to(first.device)
        first, second = first[..., inside], second[..., inside]
    dtype = torch.float64 if first.device.type != "mps" else torch.float32
    a, b = first.to(dtype), second.to(dtype)
    norm_a, norm_b = a.norm(), b.norm()
    if not norm_a or not norm_b:
        if not norm_a and not norm_b:
            return Distances(0.0, 0.0)
        return Distances(1.0, 1.0 if norm_a else float("inf"))
    cosine = (a / norm_a - b / norm_b).square().sum() / 2
    return Distances(float(cosine), float((b - a).norm() / norm_a))


def stack_maps(maps: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """(K, …) of K arrays; None if they were not kept."""
    kept = [m for m in maps if m is not None]
    return np.stack(kept) if kept else None
