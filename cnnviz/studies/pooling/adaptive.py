"""Adaptive pooling: the bins that make one size of any, and what they hold."""

from __future__ import annotations

import numpy as np

from cnnviz.errors import BadInput


def adaptive_bins(size: int, bins: int) -> list[tuple[int, int]]:
    """[(start, end)] of each bin along an axis of `size` units, half open: ⌊i·n/m⌋ to ⌈(i + 1)·n/m⌉, as
    `torch.nn.AdaptiveAvgPool2d` takes them. They overlap where m does not divide n, and hold a unit several times where
    there are more bins than units. Raises BadInput below 1."""
    if min(size, bins) < 1:
        raise BadInput(f"Units and bins are 1 or more, got {size} and {bins}.")
    return [(i * size // bins, -(-(i + 1) * size // bins)) for i in range(bins)]


def adaptive_pool(maps: np.ndarray, bins: int, kind: str = "average") -> np.ndarray:
    """(…, H, W) → (…, bins, bins) float64: the mean or the maximum ("max") of each bin, whatever H and W are.

    Source: He et al., Spatial pyramid pooling, ECCV 2014 (arXiv:1406.4729). Raises BadInput."""
    values = np.asarray(maps, np.float64)
    if values.ndim < 2 or kind not in ("average", "max"):
        raise BadInput(f"Expected maps (…, H, W) and average or max, got shape {values.shape} and {kind!r}.")
    reduce = np.mean if kind == "average" else np.max
    rows, cols = (adaptive_bins(size, bins) for size in values.shape[-2:])
    pooled = [[reduce(values[..., top:low, left:right], axis=(-2, -1)) for left, right in cols] for top, low in rows]
    return np.moveaxis(np.array(pooled), (0, 1), (-2, -1))
