"""Embedding crops: cutting pictures of the winners out of the corpus, to be kept inside the index."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from cnnviz.errors import BadImage, BadInput
from cnnviz.index.crops.crops import SIDE, LayerCrops, refuse_side
from cnnviz.index.crops.cut import cut, window
from cnnviz.index.crops.source import refuse_mismatch

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus
    from cnnviz.index.records import LayerTop
    from cnnviz.index.result import PatchIndex
    from cnnviz.models.model import LoadedModel


def embed(index: PatchIndex, model: LoadedModel, corpus: Corpus, side: int = SIDE) -> PatchIndex:
    """`index` with crops of its winners, cut from what the network received; larger ones are reduced to
    `side` pixels, aspect kept. Every winning image is decoded once.

    Raises BadInput if `side` is not 1 to SIDE, or if the index belongs to another network or corpus, or
    if a winner can no longer be read."""
    refuse_side(side)
    refuse_mismatch(index.meta, model, corpus)
    cuts: dict[str, tuple[list[np.ndarray], np.ndarray]] = {
        layer: ([], np.full(top.images.shape, -1, np.int64)) for layer, top in index.tops.items()
    }
    for image in sorted(index.ids):
        received = _receive(model, corpus, image)
        for layer, top in index.tops.items():
            _cut(received, top, image, side, *cuts[layer])
    found = {layer: LayerCrops.pack(*cuts[layer]) for layer in index.tops}
    return replace(index, embedded=found, meta=index.meta | {"embedded": side})


def _receive(model: LoadedModel, corpus: Corpus, image: int) -> np.ndarray:
    try:
        return model.received_from(corpus, image)
    except BadImage as error:
        raise BadInput(
            f"{corpus.ids[image]} is a winner and can no longer be read, so there are no crops ({error}). "
            "The index itself is complete."
        ) from error


def _cut(received: np.ndarray, top: LayerTop, image: int, side: int, crops: list[np.ndarray], at: np.ndarray) -> None:
    """Cut what this image, as `received`, won in one layer."""
    known: dict[tuple[int, ...], int] = {}
    for channel, place in np.argwhere(top.images == image):
        upper, left, lower, right = (int(v) for v in top.full_boxes[channel, place])
        box = window((upper, left, lower, right), received.shape[:2])
        if box not in known:
            known[box] = len(crops)
            crops.append(_reduce(cut(received, box), side))
        at[channel, place] = known[box]


def _reduce(pixels: np.ndarray, side: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    if max(height, width) <= side:
        return pixels
    scale = side / max(height, width)
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    parts = [pixels] if pixels.shape[2] == 3 else list(np.moveaxis(pixels, 2, 0))  # Pillow has no other channels
    reduced = [np.asarray(Image.fromarray(part).resize(small, Image.Resampling.BOX)) for part in parts]
    return reduced[0] if pixels.shape[2] == 3 else np.stack(reduced, axis=2)
