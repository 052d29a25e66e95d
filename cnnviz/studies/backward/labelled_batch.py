"""A batch of images with labels for a backward pass: of a public set, handwritten digits, or photographs."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cnnviz.data.open import corpus as open_corpus
from cnnviz.data.public.handwritten import read_handwritten
from cnnviz.data.samples import samples
from cnnviz.errors import BadInput, unknown
from cnnviz.landscape.evaluate.labelled import answer_classes, read_labelled
from cnnviz.models.model import LoadedModel

SOURCES = ("handwritten", "cifar10-test", "photographs")
IMAGES = 32  # of a batch


def labelled_batch(model: LoadedModel, source: str = "handwritten", count: int = IMAGES) -> tuple[Tensor, Tensor]:
    """(normalised (N, C, H, W) on the model's device, labels (N,) int64), the same ones at every call.

    `source`, one of SOURCES: "handwritten", the test digits of scikit-learn, their digit the number of the class in a
    network of any classes; "cifar10-test", as many of each class as of any other, for networks of these classes;
    "photographs", crops of the sample photographs, whose labels are assumed: the network's own most probable classes.
    Raises UnknownName, BadInput for classes that do not fit, CnnvizError where scikit-learn is missing."""
    if source not in SOURCES:
        unknown("source of images", source, SOURCES)
    if count < 1:
        raise BadInput(f"A batch has at least 1 image, got {count}.")
    if source == "handwritten":
        pixels, labels = _read_digits(model, count)
    elif source == "photographs":
        crops = samples()
        first = len(crops) - 350  # behind the whole photographs: crops in turn, of every photograph
        rows = range(first, min(first + count, len(crops)))
        pixels = np.stack([model.received_from(crops, row) for row in rows])
        labels = answer_classes(model, pixels)
    else:
        found = read_labelled(model, open_corpus(source).take(count))
        assert found is not None
        pixels, labels = found
    return model.normalise(torch.from_numpy(pixels)), torch.from_numpy(labels).to(model.device)


def _read_digits(model: LoadedModel, count: int) -> tuple[np.ndarray, np.ndarray]:
    pixels, labels = read_handwritten("test")
    rows = np.flatnonzero(labels < max(len(model.class_names), 2))[:count]
    return np.stack([model.receive(Image.fromarray(pixels[row])) for row in rows]), labels[rows]
