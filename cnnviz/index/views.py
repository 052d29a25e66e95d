"""A layer and a unit of a patch index as objects: what one looks at, with its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.display import Displayed
from cnnviz.errors import BadInput
from cnnviz.index.crops.cut import cut, window

if TYPE_CHECKING:
    from cnnviz.index.result import PatchIndex, Winner


@dataclass(frozen=True, slots=True, repr=False)
class LayerView(Displayed):
    """One layer of an index: `index.layer("features.3")`. In a notebook the wall of its strongest channels."""

    index: PatchIndex
    layer: str

    def __repr__(self) -> str:
        return f"<{self.layer} of {self.index!r}: {len(self)} channels>"

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
    patches and projected down, as in Zeiler and Fergus, ECCV 2014, Figure 2."""

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
        return [self.index.source.received(winner.image) for winner in self.winners[:most]]

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
        return [cut(p, window(w.full_box, p.shape[:2])) for p, w in zip(pictures, self.winners, strict=False)]

    def reconstructions(self, rule: str = "deconvnet", most: int | None = None) -> list[np.ndarray]:
        """Each winner projected down to pixels, float32 (C, h, w), signed, cut as `patches`.

        `rule`: "deconvnet", "guided" or "gradient", see `reconstruct`. Raises as `images` does, and BadInput for
        another rule."""
        import torch

        from cnnviz.attribution.reconstruct import reconstruct_batch

        model, best = self.index.source.known()[0], self.winners[:most]
        if not best:
            return []
        batch = model.preprocessing.normalise(torch.from_numpy(np.stack(self.images(most))))
        units = [(self.channel, winner.row, winner.col) for winner in best]
        signals = reconstruct_batch(model, batch, self.layer, units, rule)
        size = model.input_size[1:]
        return [
            np.ascontiguousarray(cut(s.transpose(1, 2, 0), window(w.full_box, size), 0).transpose(2, 0, 1))
            for s, w in zip(signals, best, strict=True)
        ]
