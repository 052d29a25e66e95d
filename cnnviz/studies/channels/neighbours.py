"""Nearest images in feature space: neighbours of a query by the activations of the top hidden layer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cnnviz.data.corpus import Corpus
from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.index.search.loader import feed
from cnnviz.models.model import LoadedModel
from cnnviz.probes.classifier import capture_top_features, find_classifier
from cnnviz.progress import StudyWatcher, Ticker
from cnnviz.store import load_arrays, save_arrays
from cnnviz.wording import plural

_PIXELS_AT_ONCE = 16 * 224 * 224
_ROWS = 4096  # vectors compared at once


@dataclass(frozen=True, slots=True, repr=False)
class Embedding(Summarised):
    """A corpus as a network sees it. `vectors` (N, D) float32: what its classifier is fed with. `positions` (N,)
    int64: of the images in the corpus. `layer`: the classifier. `skipped`: (id, why) of what could not be read.
    `model`, `corpus`: fingerprints."""

    vectors: np.ndarray
    positions: np.ndarray
    layer: str
    skipped: tuple[tuple[str, str], ...]
    model: str
    corpus: str

    def save(self, path: str | Path) -> None:
        """Write one .npz. Raises CnnvizError if it cannot be written."""
        origin = {"model": self.model, "corpus": self.corpus}
        meta = {"kind": "embedding", "layer": self.layer, "skipped": self.skipped, **origin}
        save_arrays(path, {"vectors": self.vectors, "positions": self.positions}, meta)

    @classmethod
    def load(cls, path: str | Path) -> Embedding:
        """What `save` wrote. Raises BadInput for a file that is missing, damaged or of another kind."""
        arrays, meta = load_arrays(path)
        if meta.get("kind") != "embedding" or not {"vectors", "positions"} <= arrays.keys():
            raise BadInput(f"{path} holds no embedding of images. Delete it and compute again.")
        skipped = tuple((str(name), str(why)) for name, why in meta["skipped"])
        return cls(arrays["vectors"], arrays["positions"], meta["layer"], skipped, meta["model"], meta["corpus"])


@dataclass(frozen=True, slots=True)
class Neighbour:
    """`position`, `image_id`: of the image in the corpus. `distance`: L2, in units of the activations."""

    position: int
    image_id: str
    distance: float


def embed_corpus(model: LoadedModel, corpus: Corpus, progress: StudyWatcher | None = None) -> Embedding:
    """Every image of a corpus through the network once.

    Images that cannot be read are left out and listed. `progress(Progress)` returns False to stop. Raises
    BadInput for a network without a classifier or a corpus of which nothing can be read, Cancelled."""
    height, width = model.input_size[1:]
    many, layer = max(1, min(64, _PIXELS_AT_ONCE // (height * width))), find_classifier(model)
    spans = [(start, min(start + many, len(corpus))) for start in range(0, len(corpus), many)]
    ticker, vectors, positions, faults = Ticker(len(corpus), progress), [], [], []
    for span, batch in zip(spans, feed(model, corpus, spans), strict=True):
        faults += [(corpus.ids[at], why) for at, why in batch.faults]
        if batch.pixels is not None:
            ready = model.normalise(batch.pixels)
            vectors.append(capture_top_features(model, ready).numpy())
            positions += batch.positions
        ticker.tick("images", span[1] - span[0])
    if not vectors:
        raise BadInput(f"None of the {plural(len(corpus), 'image')} of {corpus.name!r} could be read: {faults[:1]}.")
    return Embedding(
        vectors=np.concatenate(vectors),
        positions=np.array(positions, np.int64),
        layer=layer,
        skipped=tuple(faults),
        model=model.fingerprint,
        corpus=corpus.fingerprint,
    )


def embed_image(model: LoadedModel, image: Any) -> np.ndarray:
    """(D,) float32: one image in the space of `embed_corpus`."""
    vectors = capture_top_features(model, image)
    if len(vectors) != 1:
        raise BadInput(f"Expected one image, got {len(vectors)}.")
    return vectors[0].numpy()


def find_nearest(
    embedding: Embedding, vector: np.ndarray, corpus: Corpus, k: int = 12, leave_out: str = ""
) -> list[Neighbour]:
    """The k images of the corpus whose vectors lie closest to `vector` (D,), by L2 distance; ties in the order of the
    corpus. `leave_out`: an id to leave out, the query's own.

    Raises BadInput if the embedding is of another corpus or network.
    Source: Krizhevsky et al., NIPS 2012, section 6.1 (there of the 4096 units before the classifier)."""
    if embedding.corpus != corpus.fingerprint:
        raise BadInput(f"The embedding is of other images than {corpus.name}. Compute it for these.")
    if vector.shape != embedding.vectors.shape[1:]:
        raise BadInput(
            f"The embedding has {plural(embedding.vectors.shape[1], 'value')} an image, the query {vector.shape}."
        )
    wanted = torch.from_numpy(np.asarray(vector, np.float32))
    squares = [
        (torch.from_numpy(part) - wanted).double().square().sum(1).numpy()
        for part in np.array_split(embedding.vectors, -(-len(embedding.vectors) // _ROWS))
    ]
    lengths = np.sqrt(np.concatenate(squares))
    found: list[Neighbour] = []
    for place in np.argsort(lengths, kind="stable")[: k + 1]:
        position = int(embedding.positions[place])
        if corpus.ids[position] != leave_out:
            found.append(Neighbour(position, corpus.ids[position], float(lengths[place])))
    return found[:k]
