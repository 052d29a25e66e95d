"""The network and the corpus that an index was made from, as long as they are at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus
    from cnnviz.models.model import LoadedModel

KEPT = 128  # images held as the network received them; about 20 MB at 224×224


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Source(Summarised):
    """The network and the corpus that an index was made from, or None. `read(images)`: what the network sees
    of images, from a caller who keeps it; without one the last KEPT are kept here.

    It belongs to this process: what is saved, pickled or deeply copied leaves it behind, since a corpus may be
    on another disk tomorrow and a network has a lock."""

    model: LoadedModel | None = None
    corpus: Corpus | None = None
    read: Callable[[Sequence[int]], list[np.ndarray]] | None = None
    _kept: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    def __reduce__(self) -> tuple[type[Source], tuple[()]]:
        return Source, ()

    def known(self) -> tuple[LoadedModel, Corpus]:
        """Both. Raises BadInput, with what to do, if the index was read from a file and is not attached."""
        if self.model is None or self.corpus is None:
            raise BadInput(
                "The index is not connected with its network and images. Say index.attached(model, corpus); "
                "an index built with embed=64 carries small crops of its own."
            )
        return self.model, self.corpus

    def received(self, images: Sequence[int]) -> list[np.ndarray]:
        """What the network saw of these images of the corpus, uint8 (H, W, C) each.

        Raises BadInput as `known` does, BadImage if an image cannot be read (any more)."""
        model, corpus = self.known()
        if self.read is not None:
            return self.read(images)
        return [self._receive(model, corpus, image) for image in images]

    def _receive(self, model: LoadedModel, corpus: Corpus, image: int) -> np.ndarray:
        found = self._kept.get(image)
        if found is None:
            found = model.received_from(corpus, image)
            if len(self._kept) >= KEPT:
                self._kept.pop(next(iter(self._kept), image), None)
            self._kept[image] = found
        return found


def refuse_mismatch(meta: dict[str, Any], model: LoadedModel, corpus: Corpus) -> None:
    """Raise BadInput if an index with this metadata is of other images or of another network."""
    if meta.get("corpus_fingerprint") != corpus.fingerprint:
        images = plural(meta["images"], "image") if "images" in meta else "another number of images"
        raise BadInput(
            f"The index is of other images than {corpus.name}: it was made from {meta.get('corpus', 'another corpus')} "
            f"with {images}, and this has {len(corpus)}. Give its own corpus."
        )
    if meta.get("model_fingerprint") != model.fingerprint:
        raise BadInput(
            f"The index is of another network than {model.name} with {model.origin} weights: it was made with "
            f"{meta.get('model', 'another')}, {meta.get('weights', 'other')} weights. Load those."
        )
