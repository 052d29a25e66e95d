"""Images of a corpus with the classes that a loss is measured against: their labels, or the network's own answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from cnnviz.data.corpus import Corpus
from cnnviz.errors import BadImage, BadInput
from cnnviz.landscape.evaluate.label_map import map_classes
from cnnviz.models.model import LoadedModel
from cnnviz.wording import plural

BATCH, EVERY = 64, 32  # images of a pass; between two reports


def corpus_class_numbers(
    labels: Sequence[str] | None,
    classes: Sequence[str] | None,
    class_names: Sequence[str],
    corpus: str,
    otherwise: str = "",
) -> dict[str, int]:
    """{label of the images: output of the network}, see `label_map.map_classes`.

    Raises BadInput, followed by what can be done `otherwise`, where there are no labels or they are not the network's
    classes."""
    if labels is None or not classes:
        raise BadInput(f"The images of {corpus} have no labels. Give a folder of class folders. {otherwise}".rstrip())
    return map_classes(classes, class_names, corpus, otherwise)


def read_labelled(
    model: LoadedModel,
    images: Corpus,
    own_answers: bool = False,
    progress: Callable[[int, int], bool | None] | None = None,
    otherwise: str = "",
) -> tuple[np.ndarray, np.ndarray] | None:
    """(uint8 (N, H, W, C) as the network receives them, int64 (N,) its outputs), for `loss_surface` and the like.

    `own_answers`: the class that the network itself gives each image, in place of its label. Images that cannot be
    read are left out. None if `progress(done, total)` returns False. Raises BadInput if none can be read, or as
    `corpus_class_numbers`."""
    labels = images.labels
    numbers: dict[str, int] = {}
    if not own_answers:
        numbers = corpus_class_numbers(labels, images.classes, model.class_names, images.name, otherwise)
    pixels, places = [], []
    for place in range(len(images)):
        try:
            pixels.append(model.received_from(images, place))
            places.append(place)
        except BadImage:
            pass  # listed in images.skipped
        if place % EVERY == 0 and progress is not None and progress(place, len(images)) is False:
            return None
    if not pixels:
        raise BadInput(f"None of the {plural(len(images), 'image')} of {images.name} can be read.")
    stacked = np.stack(pixels)
    if own_answers or labels is None:
        return stacked, answer_classes(model, stacked)
    return stacked, np.array([numbers[labels[place]] for place in places], np.int64)


def answer_classes(model: LoadedModel, pixels: np.ndarray) -> np.ndarray:
    """(N,) int64, the class that the network gives each image, uint8 (N, H, W, C) as it receives them."""
    normalise = model.preprocessing.normalise
    parts = [
        model.logits(normalise(torch.from_numpy(pixels[start : start + BATCH]).to(model.device)))
        for start in range(0, len(pixels), BATCH)
    ]
    return np.concatenate(parts).argmax(axis=1).astype(np.int64)
