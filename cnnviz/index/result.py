"""The result of an index run: for every channel the k images that drive it most, and where."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.display import Displayed
from cnnviz.errors import BadInput, unknown
from cnnviz.index.crops.crops import LayerCrops
from cnnviz.index.crops.source import Source, attached
from cnnviz.store import load_arrays, save_arrays

if TYPE_CHECKING:
    from cnnviz.data.open import Corpus
    from cnnviz.index.views import LayerView, UnitView
    from cnnviz.models.model import LoadedModel

Box = tuple[int, int, int, int]
FIXED_POINT = 2**20  # sums are kept as whole numbers, so that their order does not matter
FORMAT = 2


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


@dataclass(frozen=True, slots=True)
class LayerTop:
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


@dataclass(frozen=True, slots=True)
class ChannelStatistics:
    """What one pass learnt of a layer's channels beside the winners.

    Of every image: `maximum` (C,) float32, `histogram` (C, 64) int64, how many images had their strongest
    unit in each half octave (see `running.bin_edges`; the first bin is 0 and below). Of the `sampled` images
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


@dataclass(frozen=True, slots=True, repr=False)
class PatchIndex(Displayed):
    """Top-k activations of every channel of some layers over a corpus, at most one an image.

    `tops`: {layer: LayerTop}. `ids`: {position: image id} of all winners. `meta`: what it was computed
    from: model and corpus fingerprints, precision, number of images seen, images skipped, whether it is
    complete. `statistics`: {layer: ChannelStatistics}. `embedded`: {layer: LayerCrops}, empty unless crops of
    the winners were asked for. `source`: network and corpus, known after `index_patches` and `attached`, not
    after `load`. Source: Zeiler and Fergus, ECCV 2014, section 4.1;
    one winner an image is the rule of Yosinski et al. 2015, not stated in the paper.

    Example:
        >>> import cnnviz
        >>> model, digits = cnnviz.load("lenet5", device="cpu"), cnnviz.corpus("digits", limit=20)
        >>> index = cnnviz.index_patches(model, digits, ["conv2"], k=3)
        >>> best = index.top("conv2", 7)[0]
        >>> cnnviz.receptive_field(model, "conv2").box(best.row, best.col) == best.box
        True
    """

    tops: dict[str, LayerTop]
    ids: dict[int, str]
    meta: dict[str, Any] = field(default_factory=dict)
    statistics: dict[str, ChannelStatistics] = field(default_factory=dict)
    embedded: dict[str, LayerCrops] = field(default_factory=dict)
    source: Source = field(default=Source(), compare=False)

    def __repr__(self) -> str:
        channels = sum(self.channels(layer) for layer in self.layers)
        over = f"of {self.meta.get('model', '?')} over {self.meta.get('corpus', '?')}"
        state = "" if self.complete else ", not complete"
        return f"<patch index {over}: {len(self.layers)} layers, {channels:,} channels{state}>"

    @property
    def layers(self) -> list[str]:
        return list(self.tops)

    @property
    def complete(self) -> bool:
        return bool(self.meta.get("complete", True))

    def channels(self, layer: str) -> int:
        """Number of channels of an indexed layer."""
        return len(self._layer(layer).values)

    def strength(self, layer: str) -> np.ndarray:
        """(C,) the strongest activation of each channel."""
        return self._layer(layer).values[:, 0]

    def top(self, layer: str, channel: int) -> list[Winner]:
        """The winners of one channel, strongest first; fewer than k when the corpus is smaller.

        Raises UnknownName for a layer that was not indexed, BadInput for a channel it has not."""
        found = self._layer(layer)
        if not 0 <= channel < len(found.values):
            raise BadInput(f"{layer} has channels 0..{len(found.values) - 1}, got {channel}.")
        return [
            Winner(
                int(image), self.ids[int(image)], int(found.rows[channel, i]), int(found.cols[channel, i]),
                float(found.values[channel, i]), _box(found.boxes[channel, i]), _box(found.full_boxes[channel, i]),
            )
            for i, image in enumerate(found.images[channel])
            if image >= 0
        ]  # fmt: skip

    def dead(self, layer: str) -> np.ndarray:
        """(C,) True where no unit of any image was above 0."""
        found = self.statistics.get(layer)
        return ~(self.strength(layer) > 0) if found is None else found.dead

    def layer(self, name: str) -> LayerView:
        """One layer as an object of its own, which a notebook shows as a wall. Raises UnknownName."""
        from cnnviz.index.views import LayerView

        self._layer(name)
        return LayerView(self, name)

    def unit(self, layer: str, channel: int) -> UnitView:
        """One channel: its winners, their patches and reconstructions. Raises as `top` does."""
        return self.layer(layer).unit(channel)

    def attached(self, model: LoadedModel, corpus: Corpus) -> PatchIndex:
        """The same index with the network and the corpus it was made from, for patches and reconstructions.

        Raises BadInput if it was made from others."""
        return attached(self, model, corpus)

    def crops(self, layer: str, channel: int) -> list[np.ndarray] | None:
        """Small pictures of a channel's winners, uint8 (h, w, channels), in the order of `top`; None if the
        index was made without them (`embed`). Raises as `top` does."""
        self.top(layer, channel)
        return self.embedded[layer].of(channel) if layer in self.embedded else None

    def _layer(self, layer: str) -> LayerTop:
        if layer not in self.tops:
            unknown("layer", layer, self.tops)
        return self.tops[layer]

    def save(self, path: str | Path) -> Path:
        """Write arrays and JSON into one .npz file, atomically."""
        arrays = {f"{name}/{layer}": a for layer, top in self.tops.items() for name, a in top.arrays().items()}
        arrays |= {
            f"{name}/{layer}": np.asarray(getattr(found, name))
            for layer, found in self.statistics.items() for name in ChannelStatistics.__slots__
        }  # fmt: skip
        arrays |= {
            f"crops/{name}/{layer}": getattr(found, name)
            for layer, found in self.embedded.items() for name in LayerCrops.__slots__
        }  # fmt: skip
        ids = {str(image): name for image, name in self.ids.items()}
        meta = {"format": FORMAT, "kind": "patch index", "layers": self.layers, "ids": ids, **self.meta}
        save_arrays(path, arrays, meta)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> PatchIndex:
        """Read what `save` wrote. Raises BadInput for a file of another kind or format."""
        arrays, meta = load_arrays(path)
        if meta.pop("kind", None) != "patch index" or meta.pop("format", None) != FORMAT:
            raise BadInput(f"{path} is not a patch index of this version. Build it again: `cnnviz index`.")
        layers = meta.pop("layers")
        tops = {layer: LayerTop(**_named(arrays, layer, LayerTop)) for layer in layers}
        statistics = {
            layer: ChannelStatistics(**_named(arrays, layer, ChannelStatistics))
            for layer in layers if f"maximum/{layer}" in arrays
        }  # fmt: skip
        embedded = {
            layer: LayerCrops(**{name: arrays[f"crops/{name}/{layer}"] for name in LayerCrops.__slots__})
            for layer in layers if f"crops/at/{layer}" in arrays
        }  # fmt: skip
        return cls(tops, {int(image): name for image, name in meta.pop("ids").items()}, meta, statistics, embedded)


def _named(arrays: dict[str, np.ndarray], layer: str, kind: type) -> dict[str, Any]:
    found = {name: arrays[f"{name}/{layer}"] for name in kind.__slots__}
    return {name: array if array.ndim else int(array) for name, array in found.items()}


def _box(values: np.ndarray) -> Box:
    top, left, bottom, right = (int(v) for v in values)
    return top, left, bottom, right
