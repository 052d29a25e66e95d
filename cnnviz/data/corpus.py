"""Many images under stable ids, read one by one: `Corpus`, and corpora in memory and of some images of another."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

from cnnviz.data.grouping import EACH
from cnnviz.data.images import open_image, to_uint8
from cnnviz.errors import BadImage, BadInput, unknown
from cnnviz.wording import plural

_AT_ONCE = 10_000  # ids hashed together


class Corpus(ABC):
    """Images that are read one by one, by any number of threads and in worker processes.

    `name`: for people. `ids`: one distinct str an image; they depend neither on the order in which a file
    system lists files nor on the machine. `labels`: one class name an image, or None. `classes`: the
    distinct labels in their order, or None. `group`: which images show the same thing, see `grouping.find_group`: an
    index names one winner a group."""

    group = EACH

    def __init__(
        self,
        name: str,
        ids: Sequence[str],
        labels: Sequence[str] | None = None,
        classes: Sequence[str] | None = None,
        skipped: Iterable[tuple[str, str]] = (),
    ) -> None:
        self.name, self.ids = name, list(ids)
        self.labels = None if labels is None else list(labels)
        self.classes = sorted(set(labels)) if labels is not None and classes is None else classes
        self._skipped = dict(skipped)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"<corpus {self.name!r}: {plural(len(self), 'image')}>"

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """(id, reason) of everything found unreadable so far."""
        return list(self._skipped.items())

    def image(self, index: int, side: int | None = None) -> Image.Image:
        """Image `index` (0 … len - 1) as PIL RGB, upright, long side at most `images.MAX_SIDE`.

        `side`: the short side, in pixels, that it will be scaled to: large JPEGs are then decoded at a reduced
        scale, see `open_image`. `Preprocessing.received_from` asks so.
        Raises BadImage, and lists the image in `skipped`, if it cannot be read; BadInput for an index
        outside the corpus."""
        if not 0 <= index < len(self):
            raise BadInput(f"Corpus {self.name!r} holds images 0 to {len(self) - 1}, got {index}.")
        try:
            return self._read(index, side)
        except BadImage as error:
            self._skipped[self.ids[index]] = str(error)
            raise

    def iterate(self, start: int = 0) -> Iterator[tuple[int, str, Image.Image]]:
        """(index, id, image) from `start` on; what cannot be read is left out and listed in `skipped`."""
        for index in range(start, len(self)):
            try:
                image = self.image(index)
            except BadImage:
                continue
            yield index, self.ids[index], image

    def index(self, image_id: str) -> int:
        """Where the image of this id is. Raises UnknownName with the closest ids."""
        if image_id not in self._places:
            unknown("image", image_id, self.ids[:5000])  # closeness is quadratic: not among millions
        return self._places[image_id]

    def take(self, limit: int) -> Corpus:
        """At most `limit` images in the same order: the first ones, or, where there are labels, as many of
        each class as of any other. Raises BadInput if limit < 1."""
        if limit < 1:
            raise BadInput(f"limit must be at least 1 image, got {limit}.")
        return self if limit >= len(self) else Subset(self, _pick_fairly(self.labels, len(self), limit))

    @cached_property
    def fingerprint(self) -> str:
        """sha256, hex, of the ids and of what changes with the contents (hashes, or sizes and times)."""
        digest = hashlib.sha256()
        for start in range(0, len(self.ids), _AT_ONCE):
            text = "\n".join(self.ids[start : start + _AT_ONCE])
            digest.update(("\n" * (start > 0) + text).encode("utf-8", "backslashreplace"))
        for part in self._contents():
            digest.update(part)
        return digest.hexdigest()

    @cached_property
    def _places(self) -> dict[str, int]:
        return {image_id: index for index, image_id in enumerate(self.ids)}

    @abstractmethod
    def _read(self, index: int, side: int | None) -> Image.Image:
        """Decode one image, for use at this short side if it is not None. Raises BadImage."""

    @abstractmethod
    def _contents(self) -> Iterable[bytes | memoryview]:
        """What the fingerprint covers beside the ids."""


class Subset(Corpus):
    """Some images of another corpus under the same ids."""

    def __init__(self, parent: Corpus, indices: Sequence[int]) -> None:
        labels = None if parent.labels is None else [parent.labels[i] for i in indices]
        super().__init__(parent.name, [parent.ids[i] for i in indices], labels, parent.classes)
        self.parent, self.indices, self.group = parent, list(indices), parent.group

    @property
    def skipped(self) -> list[tuple[str, str]]:
        return self.parent.skipped

    def _read(self, index: int, side: int | None) -> Image.Image:
        return self.parent.image(self.indices[index], side)

    def _contents(self) -> Iterable[bytes]:
        return [self.parent.fingerprint.encode()]


class MemoryCorpus(Corpus):
    """Images held in memory: `items` are the bytes of files or uint8 pixels (H, W) or (H, W, 3); an array
    (N, H, W) or (N, H, W, 3) serves as well."""

    def __init__(self, name: str, ids: Sequence[str], items: Sequence[Any] | np.ndarray, **more: Any) -> None:
        super().__init__(name, ids, **more)
        self.items = items

    def _read(self, index: int, side: int | None) -> Image.Image:
        item = self.items[index]
        return open_image(item, side=side) if isinstance(item, bytes) else Image.fromarray(to_uint8(item))

    def _contents(self) -> Iterable[bytes | memoryview]:
        return (item if isinstance(item, bytes) else np.ascontiguousarray(item).data for item in self.items)


def _pick_fairly(labels: Sequence[str] | None, count: int, limit: int) -> list[int]:
    """`limit` of `count` indices, sorted: the first, or one of each class in turn."""
    if labels is None:
        return list(range(limit))
    seen: dict[str, int] = {}
    turns = []
    for index, label in enumerate(labels):
        turns.append((seen.setdefault(label, 0), index))
        seen[label] += 1
    return sorted(index for _turn, index in sorted(turns)[:limit])


def normalise_ids(paths: Sequence[str]) -> list[str]:
    """Ids that can be written anywhere: composed Unicode (macOS stores it decomposed), no lone bytes."""
    if all(map(str.isascii, paths)):
        return list(paths)
    plain = [os.fsencode(path).decode("utf-8", "backslashreplace") for path in paths]
    composed = [unicodedata.normalize("NFC", path) for path in plain]
    return composed if len(set(composed)) == len(composed) else plain
