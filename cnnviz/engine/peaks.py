"""The strongest unit of every feature map: its value and its position."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

Peaks = tuple[Tensor, Tensor]  # values and positions, see `find_peaks`


def find_peaks(maps: Tensor) -> Peaks:
    """(N, C) maximum of each map of (N, C, H, W), and (N, C) its position row · W + column, of equal maxima the
    first. One reading of the maps: on a CPU by a pooling window as large as the map, whose kernel is the one
    that finds both at the speed of memory in either memory layout."""
    if maps.device.type == "cpu" and maps.shape[2] * maps.shape[3] > 1:
        values, flat = F.max_pool2d(maps, maps.shape[2:], return_indices=True)
        return values.flatten(1), flat.flatten(1)
    values, flat = maps.flatten(2).max(dim=2)
    return values, flat
