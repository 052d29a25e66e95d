"""Images with answers for a landscape: of any corpus, by its labels or by the network's own answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.errors import BadImage, BadInput
from cnnviz.landscape.evaluate import label_map as class_lists

if TYPE_CHECKING:
    from app.pickers.controls import Network
    from cnnviz.data.corpus import Corpus

LABELS, ANSWERS = "Labels", "Network's answers"


def class_numbers(
    labels: list[str] | None, classes: list[str] | None, class_names: list[str], corpus: str
) -> dict[str, int]:
    """{label of the images: output of the network}, see `cnnviz.landscape.evaluate.label_map`.

    Raises BadInput, saying what to do, where there are no labels or they are not the network's classes."""
    otherwise = f"Choose “{ANSWERS}” above: then the loss is measured against what the unmoved network answers."
    if labels is None or not classes:
        raise BadInput(f"The images of {corpus} have no labels. Give a folder of class folders. {otherwise}")
    return class_lists.class_numbers(classes, class_names, corpus, otherwise)


def read(
    network: Network, images: Corpus, own_answers: bool, report: Callable[[int, int], bool]
) -> tuple[np.ndarray, np.ndarray] | None:
    """(uint8 (N, H, W, C) as the network receives them, int64 (N,)); None if `report(done, total)` says no.

    Images that cannot be read are left out. Raises BadInput if none can, or the labels do not fit."""
    model = network.model
    numbers = None if own_answers else class_numbers(images.labels, images.classes, model.class_names, images.name)
    pixels, places = [], []
    for place in range(len(images)):
        try:
            pixels.append(model.received_from(images, place))
            places.append(place)
        except BadImage:
            pass  # listed in images.skipped
        if place % 32 == 0 and not report(place, len(images)):
            return None
    if not pixels:
        raise BadInput(f"None of the {len(images)} images of {images.name} can be read.")
    stacked = np.stack(pixels)
    if numbers is None:
        return stacked, _answers(network, stacked)
    return stacked, np.array([numbers[images.labels[place]] for place in places], np.int64)


def _answers(network: Network, pixels: np.ndarray) -> np.ndarray:
    """The class that the network itself gives each image."""
    import torch

    model = network.model
    parts = [
        model.logits(model.preprocessing.normalise(torch.from_numpy(pixels[start : start + 64]).to(model.device)))
        for start in range(0, len(pixels), 64)
    ]
    return np.concatenate(parts).argmax(axis=1).astype(np.int64)
