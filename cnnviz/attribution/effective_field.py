"""Effective receptive field: the mean gradient of units over the pixels of their theoretical field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnviz.attribution.reconstruct import reconstruct_batch
from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel
from cnnviz.tracing.receptive_field import receptive_field


@dataclass(frozen=True, slots=True, repr=False)
class EffectiveField(Summarised):
    """Mean absolute gradient of one channel's units over the pixels of their receptive field.

    `weight` (h, w) float32, its sum is 1; all 0 where no gradient arrives. `size`: the theoretical (h, w).
    Source: Luo, Li, Urtasun, Zemel, NeurIPS 2016, arXiv:1701.04128."""

    weight: np.ndarray
    size: tuple[int, int]

    def within(self, share: float) -> tuple[int, int]:
        """(h, w) of the smallest box about the middle of the field that holds `share` (0..1) of the weight.

        The box keeps the proportions of the field, growing by a pixel on each side of its longer axis.
        Raises BadInput for a share outside 0..1."""
        if not 0 <= share <= 1:
            raise BadInput(f"share must lie in 0..1, got {share}.")
        height, width = self.weight.shape
        for step in range(max(height, width) // 2, -1, -1):  # from the middle outwards
            high, wide = _inner(self.weight.shape, step)
            top, left = (height - high) // 2, (width - wide) // 2
            if self.weight[top : top + high, left : left + wide].sum() >= share - 1e-6:
                return high, wide
        return height, width


def _inner(shape: tuple[int, int], step: int) -> tuple[int, int]:
    """The box `step` pixels inside the longer axis of `shape`."""
    longest = max(shape)
    sizes = [max(n % 2 or 2, n - 2 * round(step * n / longest)) for n in shape]
    return min(sizes[0], shape[0]), min(sizes[1], shape[1])


def effective_field(
    model: LoadedModel, images: Any, layer: str, units: Sequence[tuple[int, int, int]]
) -> EffectiveField:
    """The effective field of `units`, one (channel, row, col) an image: the absolute gradient of the unit's
    value by the input, summed over input channels, cut out of each image along the unit's own field and averaged.

    Pixels outside an image have no gradient: the mean is over the images in which a pixel lies. `images`: as
    for `LoadedModel.batch`. Raises as `reconstruct.reconstruct_batch` does."""
    field = receptive_field(model, layer)
    gradients = np.abs(reconstruct_batch(model, images, layer, units, "gradient")).sum(axis=1)
    size = field.size
    total, seen = np.zeros(size, np.float64), np.zeros(size, np.float64)
    for gradient, (_channel, row, col) in zip(gradients, units, strict=True):
        top, left, bottom, right = field.box(row, col, clip=False)
        top += (bottom - top - size[0]) // 2  # fields at borders may differ in size: the middles are laid together
        left += (right - left - size[1]) // 2
        inside, into = _overlap((top, left), size, gradient.shape)
        total[into] += gradient[inside]
        seen[into] += 1
    mean = total / np.maximum(seen, 1)
    return EffectiveField((mean / max(mean.sum(), 1e-30)).astype(np.float32), size)


def _overlap(
    corner: tuple[int, int], size: tuple[int, int], shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a field that begins at `corner` meets an image of `shape`: slices of the image and of the field."""
    inside, into = [], []
    for start, length, limit in zip(corner, size, shape, strict=True):
        low, high = max(start, 0), max(min(start + length, limit), max(start, 0))
        inside.append(slice(low, high))
        into.append(slice(low - start, high - start))
    return (inside[0], inside[1]), (into[0], into[1])
