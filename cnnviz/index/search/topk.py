"""Running top k and statistics of every channel of a layer during a long pass, without keeping its maps."""

from __future__ import annotations

import torch
from torch import Tensor

from cnnviz.device import doubled
from cnnviz.engine.peaks import find_peaks
from cnnviz.index.records import FIXED_POINT

BINS = 64  # half octaves: bin 0 holds what is 0 or less, bin i values up to 2 ** ((i - 24) / 2)
_LOWEST = -24
SETTLE = 512  # images whose maxima wait before they are compared: one visit of a layer stays one operation
FIRST = 16  # the same at the beginning; then twice as many each time


class RunningTop:
    """The k strongest images of every channel so far. Memory: (C, k) records and (SETTLE, C) waiting maxima.

    `add_maps` takes the maxima of a few images, with their positions; they wait until there are SETTLE of them,
    and only then are compared with the records, counted, and sorted in where a channel has new ones. `groups` (N,): of
    each image of the corpus, where only the strongest image of a group may be among the k.

    `maximum` (C,), `histogram` (C, BINS) of the images' maxima; of the sampled batches `means` (C,), the sum
    of the maps' means in 1 / FIXED_POINT, `positive` (C,) units above 0, and `units`, how many there were."""

    def __init__(self, channels: int, width: int, k: int, device: torch.device, groups: Tensor | None = None) -> None:
        self.k, self.width, self.groups = k, width, groups
        self.values = torch.full((channels, k), float("-inf"), device=device)
        self.images = torch.full((channels, k), -1, device=device)
        self.flat = torch.zeros((channels, k), dtype=torch.long, device=device)
        self.maximum = torch.full((channels,), float("-inf"), device=device)
        self.histogram = torch.zeros((channels, BINS), dtype=torch.long, device=device)
        self.means = torch.zeros(channels, dtype=torch.long, device=device)
        self.positive = torch.zeros(channels, dtype=torch.long, device=device)
        self.units = self.sampled = 0
        self.waiting: list[tuple[Tensor, Tensor, Tensor]] = []  # maxima (N, C), their positions (N, C), images (N,)
        self.newest: Tensor | None = None  # the maxima (N, C) of the batch that came last
        self._count, self._settle = 0, FIRST

    def add_maps(self, maps: Tensor, images: Tensor, sample: bool = False) -> None:
        """Take in maps (N, C, H, W) of the images at these positions (N,) of the corpus. `sample`: also look
        at every unit, for the means and the share above 0."""
        if sample:
            self._sample_units(maps)
        self.add_peaks(*find_peaks(maps), images)

    def add_peaks(self, values: Tensor, flat: Tensor, images: Tensor) -> None:
        """Take in what `find_peaks` gives for maps of these images."""
        self.newest = values
        self.waiting.append((values, flat, images))
        self._count += len(images)
        if self._count >= self._settle:
            self.settle()
            self._settle = min(2 * self._settle, SETTLE)

    def settle(self) -> None:
        """Bring everything that waits into the records."""
        if not self.waiting:
            return
        with torch.inference_mode():  # as `add_maps`, so that the records stay of one kind
            values, flat, images = (torch.cat(parts) for parts in zip(*self.waiting, strict=True))
            self.waiting, self._count = [], 0
            self._take(values.float().T.nan_to_num(nan=float("-inf")), flat.T, images)

    def _take(self, values: Tensor, flat: Tensor, images: Tensor) -> None:
        """Maxima (C, M) and positions (C, M) of images (M,). A NaN has become -inf, which enters nothing: a
        damaged network must not win everything."""
        self._histogram(values)
        enter = (values.amax(1) >= self.values[:, -1]).nonzero().flatten()  # an equal one may be an earlier image
        if len(enter):
            self._sort_in(enter, values[enter], flat[enter], images.expand(len(enter), -1))

    def _histogram(self, values: Tensor) -> None:
        self.maximum = torch.maximum(self.maximum, values.amax(1))
        places = (2 * values.clamp_min(1e-30).log2()).ceil().long() - _LOWEST
        places = torch.where(values > 0, places.clamp(1, BINS - 1), 0)
        self.histogram.scatter_add_(1, places, torch.ones_like(places))

    def _sort_in(self, channels: Tensor, values: Tensor, flat: Tensor, images: Tensor) -> None:
        """By value; equal values by position in the corpus, which is their order here: what is held is older.
        Places that are free, -inf of image -1, stay before a new -inf."""
        reaches = values >= self.values[channels, -1:]
        counts = reaches.sum(1)
        many = int(counts.max())
        if 2 * many < values.shape[1]:  # sort only what can enter, in the order in which it came
            row, column = reaches.nonzero(as_tuple=True)
            among = column.new_full((len(values), many), -1)
            among[row, torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]] = column
            missing = among < 0  # of channels that fewer can enter
            among.clamp_min_(0)
            values, images, flat = values.gather(1, among), images.gather(1, among), flat.gather(1, among)
            values[missing] = float("-inf")  # behind the k that are held: they enter nothing
        values = torch.cat([self.values[channels], values], 1)
        images = torch.cat([self.images[channels], images], 1)
        flat = torch.cat([self.flat[channels], flat], 1)
        values, order = values.sort(dim=1, descending=True, stable=True)
        if self.groups is not None:
            values, order, free = self._keep_strongest(values, order, images, self.groups)
            images, flat = images.masked_fill(free, -1), flat.masked_fill(free, 0)
        best = order[:, : self.k]
        self.values[channels], self.images[channels] = values[:, : self.k], images.gather(1, best)
        self.flat[channels] = flat.gather(1, best)

    @staticmethod
    def _keep_strongest(values: Tensor, order: Tensor, images: Tensor, groups: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sorted values and their order, all but the first of each group behind the others, as -inf; and which of the
        unsorted places are free (C, n)."""
        own = groups[images.gather(1, order).clamp_min(0)]
        by_group, place = own.sort(dim=1, stable=True)
        again = torch.zeros_like(by_group, dtype=torch.bool)
        again[:, 1:] = by_group[:, 1:] == by_group[:, :-1]
        again = torch.zeros_like(again).scatter(1, place, again)
        values, kept = values.masked_fill(again, float("-inf")).sort(dim=1, descending=True, stable=True)
        order = order.gather(1, kept)
        free = torch.zeros_like(images, dtype=torch.bool).scatter(1, order, values == float("-inf"))
        return values, order, free

    def _sample_units(self, maps: Tensor) -> None:
        maps = maps.float()
        means = doubled(maps.mean(dim=(2, 3)).nan_to_num())
        self.means += (means * FIXED_POINT).round().long().sum(0).to(self.means.device)
        above = maps.sign().clamp_min_(0)  # three times faster than comparing
        self.positive += above.sum(dim=(2, 3)).long().sum(0)
        self.units += maps.shape[0] * maps.shape[2] * maps.shape[3]
        self.sampled += maps.shape[0]


def bin_edges() -> list[float]:
    """The BINS - 1 upper edges of all but the last bin: 0, then half octaves."""
    return [0.0, *(2 ** ((i + _LOWEST) / 2) for i in range(1, BINS - 1))]
