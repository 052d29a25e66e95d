"""Answers to several labelled images: the most probable classes of each, and whether the first is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from cnnviz.data.corpus import Corpus
from cnnviz.display import Summarised
from cnnviz.errors import BadImage, BadInput
from cnnviz.models.model import LoadedModel


@dataclass(frozen=True, slots=True, repr=False)
class GalleryAnswer(Summarised):
    """One image. `pixels` (H, W, C) uint8, as the network receives it. `image_id`, `label`: of the corpus; the label is
    None where it has none. `top`: ((class, probability), …), most probable first. `right`: whether the first class is
    the label; None where that cannot be said, because there is no label or the network has no class of its name."""

    pixels: np.ndarray
    image_id: str
    label: str | None
    top: tuple[tuple[str, float], ...]
    right: bool | None

    def is_label(self, name: str) -> bool:
        """Whether a class of the network is the image's label."""
        return self.label is not None and _simplify(name) == _simplify(self.label)


def draw_places(count: int, size: int, seed: int) -> list[int]:
    """`count` different places out of `size`, drawn at random; all of them where there are no more."""
    return np.random.default_rng(seed).permutation(size)[:count].tolist()


def predict_gallery(model: LoadedModel, images: Corpus, places: Sequence[int], k: int = 5) -> list[GalleryAnswer]:
    """The answers to the images at these places of a corpus; those that cannot be read are left out.

    Raises BadInput where none can be read."""
    pixels, kept = [], []
    for place in places:
        try:
            pixels.append(model.received_from(images, place))
            kept.append(place)
        except BadImage:
            pass  # listed in images.skipped
    if not kept:
        raise BadInput(f"None of the images of {images.name} can be read.")
    found = []
    known = set(map(_simplify, model.class_names))
    every = model.predict(model.normalise(torch.from_numpy(np.stack(pixels))))
    for one, place, shares in zip(pixels, kept, every, strict=True):
        label = images.labels[place] if images.labels is not None else None
        best = np.argsort(-shares, kind="stable")[:k]
        top = tuple((model.class_names[c], float(shares[c])) for c in best)
        right = _simplify(top[0][0]) == _simplify(label) if label is not None and _simplify(label) in known else None
        found.append(GalleryAnswer(one, images.ids[place], label, top, right))
    return found


def _simplify(name: str) -> str:
    return name.lower().replace("_", " ")
