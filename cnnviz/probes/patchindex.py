"""The result of an index run: for every channel the k images that drive it most, and where."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cnnviz.errors import BadInput, unknown
from cnnviz.store import load_arrays, save_arrays

Box = tuple[int, int, int, int]
FORMAT = 1


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
class PatchIndex:
    """Top-k activations of every channel of some layers over a corpus, at most one an image.

    `tops`: {layer: LayerTop}. `ids`: {position: image id} of all winners. `meta`: what it was computed
    from: model and corpus fingerprints, precision, number of images seen, images skipped, whether it is
    complete. Source: Zeiler and Fergus, ECCV 2014, section 4.1; one winner an image is the rule of
    Yosinski et al. 2015, not stated in the paper."""

    tops: dict[str, LayerTop]
    ids: dict[int, str]
    meta: dict[str, Any] = field(default_factory=dict)

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

    def _layer(self, layer: str) -> LayerTop:
        if layer not in self.tops:
            unknown("layer", layer, self.tops)
        return self.tops[layer]

    def save(self, path: str | Path) -> Path:
        """Write arrays and JSON into one .npz file, atomically."""
        arrays = {f"{name}/{layer}": a for layer, top in self.tops.items() for name, a in top.arrays().items()}
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
        names = LayerTop.__slots__
        tops = {layer: LayerTop(**{n: arrays[f"{n}/{layer}"] for n in names}) for layer in meta.pop("layers")}
        return cls(tops, {int(image): name for image, name in meta.pop("ids").items()}, meta)


def _box(values: np.ndarray) -> Box:
    top, left, bottom, right = (int(v) for v in values)
    return top, left, bottom, right
