"""Records of an indexed layer: the k winners of every channel, and each channel's statistics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnviz.display import Summarised

Box = tuple[int, int, int, int]
FIXED_POINT = 2**20  # sums are kept as whole numbers, so that their order does not matter


@dataclass(frozen=True, slots=True)
class Winner:
    """One of a channel's k strongest activations.

    `image`: position in the corpus; `image_id`: its stable id. `row`, `col`: the unit on the feature map.
    `value`: the activation, as the layer puts it out. `box`: the unit's receptive field in the network's
    input, (top, left, bottom, right), half open, clipped to the image; `full_box`: the same unclipped."""

    image: int
    image_id: str
    row: int
    col: int
    value: float
    box: Box
    full_box: Box


@dataclass(frozen=True, slots=True, repr=False)
class LayerTop(Summarised):
    """The winners of one layer, strongest first; `images` is -1 where the corpus had fewer than k.

    `values` (C, k) float32; `images`, `rows`, `cols` (C, k) int64; `boxes`, `full_boxes` (C, k, 4) int64."""

    values: np.ndarray
    images: np.ndarray
    rows: np.ndarray
    cols: np.ndarray
    boxes: np.ndarray
    full_boxes: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, repr=False)
class ChannelStatistics(Summarised):
    """What one pass learnt of a layer's channels beside the winners.

    Of every image: `maximum` (C,) float32, `histogram` (C, 64) int64, how many images had their strongest
    unit in each half octave (see `topk.bin_edges`; the first bin is 0 and below). Of the `sampled` images
    looked at unit by unit, one batch in 32: `means` (C,) int64, the sum over images of the map's mean, in
    1 / 2^20, and `positive` (C,) int64, units above 0 of `units` in each channel. Whole numbers, so that
    adding the statistics of two parts of a corpus gives exactly those of the whole."""

    maximum: np.ndarray
    histogram: np.ndarray
    means: np.ndarray
    positive: np.ndarray
    units: int
    sampled: int

    @property
    def mean(self) -> np.ndarray:
        """(C,) mean activation over the sampled images; NaN if none was sampled."""
        return self.means / FIXED_POINT / self.sampled if self.sampled else np.full(len(self.means), np.nan)

    @property
    def density(self) -> np.ndarray:
        """(C,) share of the sampled units that are above 0; NaN if none was sampled."""
        return self.positive / self.units if self.units else np.full(len(self.positive), np.nan)

    @property
    def dead(self) -> np.ndarray:
        """(C,) True where no unit of any image was above 0."""
        return ~(self.maximum > 0)
