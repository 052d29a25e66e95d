"""Embedded crops: small pictures of the winners inside an index, so that it can be shown without its corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnviz.display import Summarised
from cnnviz.errors import BadInput

SIDE = 64  # pixels: crops are at most so high and wide


@dataclass(frozen=True, slots=True, repr=False)
class LayerCrops(Summarised):
    """The winners' crops of one layer; those that show the same window of the same image are kept once.

    `pixels` (U, H, W, channels) uint8, `sizes` (U, 2) int64: crop i is pixels[i, :h, :w]. `at` (C, k) int64:
    which crop shows each winner, -1 where there is none."""

    pixels: np.ndarray
    sizes: np.ndarray
    at: np.ndarray

    def of(self, channel: int) -> list[np.ndarray]:
        """The crops of a channel's winners, uint8 (h, w, channels), strongest first."""
        return [self.pixels[i, : self.sizes[i, 0], : self.sizes[i, 1]] for i in self.at[channel] if i >= 0]

    @classmethod
    def pack(cls, crops: Sequence[np.ndarray], at: np.ndarray) -> LayerCrops:
        """From crops (h, w, channels) and where they belong; those that `at` does not name are dropped, the
        others numbered in the order of `at`, so that equal winners make equal arrays."""
        used = list(dict.fromkeys(int(i) for i in at.ravel() if i >= 0))
        number = {old: new for new, old in enumerate(used)}
        sizes = np.array([crops[i].shape[:2] for i in used], np.int64).reshape(-1, 2)
        height, width = sizes.max(0) if used else (0, 0)
        pixels = np.zeros((len(used), height, width, crops[used[0]].shape[2] if used else 1), np.uint8)
        for place, i in enumerate(used):
            pixels[place, : sizes[place, 0], : sizes[place, 1]] = crops[i]
        renamed = np.array([number.get(int(i), -1) for i in at.ravel()], np.int64).reshape(at.shape)
        return cls(pixels, sizes, renamed)

    @classmethod
    def choose(cls, parts: Sequence[LayerCrops], order: np.ndarray, filled: np.ndarray) -> LayerCrops:
        """The crops at `order` (C, k) of parts laid side by side, of the places that are `filled` (C, k)."""
        crops, beside = list[np.ndarray](), []
        for part in parts:
            beside.append(np.where(part.at >= 0, part.at + len(crops), -1))
            crops += [part.pixels[i, :h, :w] for i, (h, w) in enumerate(part.sizes)]
        chosen = np.take_along_axis(np.concatenate(beside, axis=1), order, axis=1)
        return cls.pack(crops, np.where(filled, chosen, -1))


def refuse_side(side: int | None) -> None:
    """Raise BadInput if crops cannot be `side` pixels wide and high; None asks for none."""
    if side is not None and not 1 <= side <= SIDE:
        raise BadInput(f"Crops are 1 to {SIDE} pixels wide and high, got {side}.")
