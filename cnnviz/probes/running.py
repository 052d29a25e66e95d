"""What a long pass keeps of one layer: the top k of every channel, and its statistics. Never the maps."""

from __future__ import annotations

import torch
from torch import Tensor

from cnnviz.probes.patchindex import FIXED_POINT

BINS = 64  # half octaves: bin 0 holds what is 0 or less, bin i values up to 2 ** ((i - 24) / 2)
_LOWEST = -24
SETTLE = 32  # batches whose maxima wait for the histogram


class RunningTop:
    """The k strongest images of every channel so far. Memory: (C, k) records and about as many waiting ones.

    `seen` compares an image's maxima with the k-th best values of the last `settle`; what exceeds them waits,
    with its position, until so much waits that sorting it in costs little. Comparing with old values lets too
    much wait, never too little: the outcome is that of sorting everything.

    `maximum` (C,), `histogram` (C, BINS) of the images' maxima; of the sampled batches `means` (C,), the sum
    of the maps' means in 1 / FIXED_POINT, `positive` (C,) units above 0, and `units`, how many there were."""

    def __init__(self, channels: int, width: int, k: int, device: torch.device) -> None:
        self.k, self.width = k, width
        self.values = torch.full((channels, k), float("-inf"), device=device)
        self.images = torch.full((channels, k), -1, device=device)
        self.flat = torch.zeros((channels, k), dtype=torch.long, device=device)
        self.maximum = torch.full((channels,), float("-inf"), device=device)
        self.histogram = torch.zeros((channels, BINS), dtype=torch.long, device=device)
        self.means = torch.zeros(channels, dtype=torch.long, device=device)
        self.positive = torch.zeros(channels, dtype=torch.long, device=device)
        self.units = self.sampled = 0
        self._waiting: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        self._peaks: list[Tensor] = []
        self._count = 0

    def seen(self, maps: Tensor, images: Tensor, sample: bool = False) -> None:
        """Take in maps (N, C, H, W) of the images at these positions (N,) of the corpus. `sample`: also look
        at every unit, for the means and the share above 0."""
        peaks = maps.amax(dim=(2, 3)).float()
        self._peaks.append(peaks)
        if len(self._peaks) >= SETTLE:
            self._count_peaks()
        if sample:
            self._look(maps)
        image, channel = self._enters(peaks).nonzero(as_tuple=True)
        if not len(image):
            return
        flat = maps[image, channel].flatten(1).max(dim=1).indices  # of equal maxima the first
        self._waiting.append((channel, peaks[image, channel], images[image], flat))
        self._count += len(image)
        if self._count > self.values.numel() // 2:
            self._sort_in()

    def _enters(self, peaks: Tensor) -> Tensor:
        """(N, C) True where a maximum may be a record; images are expected in the order of the corpus."""
        return peaks > self.values[:, -1]  # false for NaN: a damaged network must not win everything

    def settle(self) -> None:
        """Bring everything that waits into the records."""
        with torch.inference_mode():  # as `seen`, so that the records stay of one kind
            self._count_peaks()
            self._sort_in()

    def _look(self, maps: Tensor) -> None:
        means = maps.float().mean(dim=(2, 3)).nan_to_num().double()
        self.means += (means * FIXED_POINT).round().long().sum(0)
        self.positive += (maps > 0).sum(dim=(0, 2, 3))
        self.units += maps.shape[0] * maps.shape[2] * maps.shape[3]
        self.sampled += maps.shape[0]

    def _count_peaks(self) -> None:
        if not self._peaks:
            return
        peaks = torch.cat(self._peaks).T.nan_to_num(nan=float("-inf"))  # (C, N)
        self._peaks = []
        self.maximum = torch.maximum(self.maximum, peaks.amax(1))
        places = (2 * peaks.clamp_min(1e-30).log2()).ceil().long() - _LOWEST
        places = torch.where(peaks > 0, places.clamp(1, BINS - 1), 0)
        self.histogram.scatter_add_(1, places, torch.ones_like(places))

    def _sort_in(self) -> None:
        """By value; equal values by position in the corpus."""
        if not self._waiting:
            return
        channels, device = len(self.values), self.values.device
        own = torch.arange(channels, device=device).repeat_interleave(self.k)
        held = (own, self.values.flatten(), self.images.flatten(), self.flat.flatten())
        channel, value, image, flat = (torch.cat(parts) for parts in zip(held, *self._waiting, strict=True))
        order = image.argsort(stable=True)
        order = order[value[order].argsort(descending=True, stable=True)]
        order = order[channel[order].argsort(stable=True)]
        sizes = torch.bincount(channel, minlength=channels)
        first = sizes.cumsum(0) - sizes
        best = order[first[:, None] + torch.arange(self.k, device=device)]  # (C, k): each has k records or more
        self.values, self.images, self.flat = value[best], image[best], flat[best]
        self._waiting, self._count = [], 0


def bin_edges() -> list[float]:
    """The BINS - 1 upper edges of all but the last bin: 0, then half octaves."""
    return [0.0, *(2 ** ((i + _LOWEST) / 2) for i in range(1, BINS - 1))]
