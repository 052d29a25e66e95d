"""The strongest unit of every feature map: its value and its position."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WHOLE_NUMBERS = 2**15 - 1  # units of a map at most whose bfloat16 values can be pooled as whole numbers of 16 bits
HUGE = 1e12  # a network whose maps reach this may overflow further on
Peaks = tuple[Tensor, Tensor]  # values and positions, see `find_peaks`


def find_peaks(maps: Tensor, rectified: bool = False) -> Peaks:
    """(N, C) maximum of each map of (N, C, H, W), and (N, C) its position row · W + column, of equal maxima the
    first. One reading of the maps: on a CPU by a pooling window as large as the map, whose kernel is the one
    that finds both at the speed of memory in either memory layout. `rectified`: none of the units is below 0, nor NaN;
    the bits of such bfloat16 values, read as whole numbers, have the same order, and are compared in half the time.
    A maximum of -0 is then one of 0, anywhere."""
    if maps.device.type == "cpu" and maps.shape[2] * maps.shape[3] > 1:
        whole = rectified and maps.dtype == torch.bfloat16 and maps.shape[2] * maps.shape[3] <= WHOLE_NUMBERS
        values, flat = F.max_pool2d(maps.view(torch.int16) if whole else maps, maps.shape[2:], return_indices=True)
        values = values.view(maps.dtype) if whole else values
        return values.flatten(1), flat.flatten(1)
    values, flat = maps.flatten(2).max(dim=2)
    return values, flat
