"""PatchIndex: for every channel the k images that activate it most strongly, and where; views of a layer and a unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.display import Displayed
from cnnviz.errors import BadInput, unknown
from cnnviz.index.crops.crops import LayerCrops
from cnnviz.index.crops.cut import cut_windows
from cnnviz.index.crops.source import Source, refuse_mismatch
from cnnviz.index.records import Box, ChannelStatistics, LayerTop, Winner
from cnnviz.store import load_arrays, save_arrays
from cnnviz.wording import plural

if TYPE_CHECKING:
    import torch

    from cnnviz.attribution.effective_field import EffectiveField
    from cnnviz.data.corpus import Corpus
    from cnnviz.models.model import LoadedModel

FORMAT = 2


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
        return f"<patch index {over}: {plural(len(self.layers), 'layer')}, {plural(channels, 'channel')}{state}>"

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

    def images(self, layer: str) -> np.ndarray:
        """(C, k) int64: the images of each channel's winners, strongest first; -1 where the corpus had fewer."""
        return self._layer(layer).images

    def top(self, layer: str, channel: int) -> list[Winner]:
        """The winners of one channel, strongest first; fewer than k when the corpus is smaller.

        Raises UnknownName for a layer that was not indexed, BadInput for a channel it has not."""
        found = self._layer(layer)
        if not 0 <= channel < len(found.values):
            raise BadInput(f"{layer} has channels 0..{len(found.values) - 1}, got {channel}.")
        return [self._winner(found, (channel, i)) for i, image in enumerate(found.images[channel]) if image >= 0]

    def _winner(self, found: LayerTop, at: tuple[int, int]) -> Winner:
        image, value, boxes = int(found.images[at]), float(found.values[at]), (found.boxes[at], found.full_boxes[at])
        return Winner(image, self.ids[image], int(found.rows[at]), int(found.cols[at]), value, *map(_to_box, boxes))

    def dead(self, layer: str) -> np.ndarray:
        """(C,) True where no unit of any image was above 0."""
        found = self.statistics.get(layer)
        return ~(self.strength(layer) > 0) if found is None else found.dead

    def layer(self, name: str) -> LayerView:
        """One layer as an object of its own, which a notebook shows as a wall. Raises UnknownName."""
        self._layer(name)
        return LayerView(self, name)

    def unit(self, layer: str, channel: int) -> UnitView:
        """One channel: its winners, their patches and reconstructions. Raises as `top` does."""
        return self.layer(layer).unit(channel)

    def attached(
        self, model: LoadedModel, corpus: Corpus, read: Callable[[Sequence[int]], list[np.ndarray]] | None = None
    ) -> PatchIndex:
        """The same index with the network and the corpus it was made from, for patches and reconstructions.

        `read(images)`: what the network sees of images of the corpus, uint8 (H, W, C) each, for a caller that keeps
        them itself. Raises BadInput if the index was made from others."""
        refuse_mismatch(self.meta, model, corpus)
        return replace(self, source=Source(model, corpus, read))

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
        for layer, found in self.statistics.items():
            arrays |= {f"{name}/{layer}": np.asarray(getattr(found, name)) for name in ChannelStatistics.__slots__}
        for layer, crops in self.embedded.items():
            arrays |= {f"crops/{name}/{layer}": getattr(crops, name) for name in LayerCrops.__slots__}
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
        tops = {layer: LayerTop(**_read_arrays(arrays, layer, LayerTop)) for layer in layers}
        counted = [layer for layer in layers if f"maximum/{layer}" in arrays]
        statistics = {layer: ChannelStatistics(**_read_arrays(arrays, layer, ChannelStatistics)) for layer in counted}
        cropped = [layer for layer in layers if f"crops/at/{layer}" in arrays]
        crops = {layer: [arrays[f"crops/{name}/{layer}"] for name in LayerCrops.__slots__] for layer in cropped}
        embedded = {layer: LayerCrops(*parts) for layer, parts in crops.items()}
        return cls(tops, {int(image): name for image, name in meta.pop("ids").items()}, meta, statistics, embedded)


def _read_arrays(arrays: dict[str, np.ndarray], layer: str, kind: type[LayerTop | ChannelStatistics]) -> dict[str, Any]:
    found = {name: arrays[f"{name}/{layer}"] for name in kind.__slots__}
    return {name: array if array.ndim else int(array) for name, array in found.items()}


def _to_box(values: np.ndarray) -> Box:
    top, left, bottom, right = (int(v) for v in values)
    return top, left, bottom, right


@dataclass(frozen=True, slots=True, repr=False)
class LayerView(Displayed):
    """One layer of an index: `index.layer("features.3")`. In a notebook the wall of its strongest channels."""

    index: PatchIndex
    layer: str

    def __repr__(self) -> str:
        return f"<{self.layer} of {self.index!r}: {plural(len(self), 'channel')}>"

    def __len__(self) -> int:
        return self.index.channels(self.layer)

    @property
    def field(self) -> tuple[int, int] | None:
        """(h, w) pixels of the receptive field of the first winner, unclipped; None if nothing won."""
        top = self.index.tops[self.layer]
        won = np.flatnonzero(top.images[:, 0] >= 0)
        if not len(won):
            return None
        upper, left, lower, right = (int(v) for v in top.full_boxes[won[0], 0])
        return lower - upper, right - left

    def strongest(self, count: int | None = None) -> list[int]:
        """The channels, the strongest activation first, at most `count` of them; equal ones by number."""
        order = np.argsort(-self.index.strength(self.layer), kind="stable")
        return [int(channel) for channel in order[:count]]

    def unit(self, channel: int) -> UnitView:
        """One of its channels. Raises BadInput for a channel that the layer has not."""
        self.index.top(self.layer, channel)
        return UnitView(self.index, self.layer, channel)


@dataclass(frozen=True, slots=True, repr=False)
class UnitView(Displayed):
    """One channel of an index: `index.unit("features.3", 17)`. In a notebook its winners in the whole image, as
    patches and projected back, as in Zeiler and Fergus, ECCV 2014, Figure 2."""

    index: PatchIndex
    layer: str
    channel: int

    def __repr__(self) -> str:
        best = self.winners
        reach = f"up to {best[0].value:.4g} on {best[0].image_id}" if best else "no winner"
        return f"<{self.name}: {reach}>"

    @property
    def name(self) -> str:
        """ "features.3 · channel 17"."""
        return f"{self.layer} · channel {self.channel}"

    @property
    def winners(self) -> list[Winner]:
        """The records, strongest first."""
        return self.index.top(self.layer, self.channel)

    def images(self, most: int | None = None) -> list[np.ndarray]:
        """What the network received of each winner's image, uint8 (H, W, C); of the `most` strongest, None: of all.

        Raises BadInput if the index is not attached to its images, BadImage if one cannot be read."""
        return self.index.source.received([winner.image for winner in self.winners[:most]])

    def patches(self, most: int | None = None) -> list[np.ndarray]:
        """What the unit saw of each winner's image, uint8 (h, w, C); pixels beyond the image are gray.

        Where the images cannot be read, the crops inside the index, which may be reduced; without those
        raises as `images` does."""
        try:
            pictures = self.images(most)
        except BadInput:
            crops = self.index.crops(self.layer, self.channel)
            if crops is None:
                raise
            return crops[:most]
        return cut_windows(pictures, [winner.full_box for winner in self.winners[:most]])

    def reconstructions(self, rule: str = "deconvnet", most: int | None = None) -> list[np.ndarray]:
        """Each winner projected back to pixels, float32 (C, h, w), signed, cut as `patches`.

        `rule`: "deconvnet", "guided" or "gradient", see `reconstruct`. Raises as `images` does, and BadInput for
        another rule."""
        from cnnviz.attribution.reconstruct import reconstruct_batch

        model, best = self.index.source.known()[0], self.winners[:most]
        if not best:
            return []
        signals = reconstruct_batch(model, self._batch(most), self.layer, self._units(most), rule)
        parts = cut_windows(list(signals.transpose(0, 2, 3, 1)), [winner.full_box for winner in best], 0)
        return [np.ascontiguousarray(part.transpose(2, 0, 1)) for part in parts]

    def effective_field(self) -> EffectiveField:
        """How much each pixel of the receptive field moves the unit, on average over its winners.

        Raises as `images` does, and BadInput if the channel has no winner. See `attribution.effective_field`."""
        from cnnviz.attribution.effective_field import effective_field

        if not self.winners:
            raise BadInput(f"{self.name} has no winner: no image gives it a value. Choose another channel.")
        model = self.index.source.known()[0]
        return effective_field(model, self._batch(), self.layer, self._units())

    def _batch(self, most: int | None = None) -> torch.Tensor:
        """What the network computes on, (N, C, H, W): the winners' images."""
        import torch

        preprocessing = self.index.source.known()[0].preprocessing
        return preprocessing.normalise(torch.from_numpy(np.stack(self.images(most))))

    def _units(self, most: int | None = None) -> list[tuple[int, int, int]]:
        return [(self.channel, winner.row, winner.col) for winner in self.winners[:most]]
