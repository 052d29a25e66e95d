"""Many images under stable ids: folders, archives, uploads, samples and public data sets, all read alike."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cnnviz.data.images import image_sha256, open_image, to_uint8
from cnnviz.errors import BadImage, BadInput, unknown
from cnnviz.store import is_there

DOWNLOADED = ("cifar10", "cifar10-test", "mnist", "mnist-test", "imagenette", "imagenette-val")
NAMES = ("samples", "digits", *DOWNLOADED)
_AT_ONCE = 10_000  # ids hashed together


class Corpus(ABC):
    """Images that are read one by one, by any number of threads and in worker processes.

    `name`: for people. `ids`: one distinct str an image; they depend neither on the order in which a file
    system lists files nor on the machine. `labels`: one class name an image, or None. `classes`: the
    distinct labels in their order, or None."""

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
        return f"<corpus {self.name!r}: {len(self)} images>"

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
        return self if limit >= len(self) else Subset(self, _fair(self.labels, len(self), limit))

    @cached_property
    def fingerprint(self) -> str:
        """sha256, hex, of the ids and of what tells changed contents (hashes, or sizes and times)."""
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
    def _contents(self) -> Iterable[bytes]:
        """What the fingerprint covers beside the ids."""


class Subset(Corpus):
    """Some images of another corpus under the same ids."""

    def __init__(self, parent: Corpus, indices: Sequence[int]) -> None:
        labels = None if parent.labels is None else [parent.labels[i] for i in indices]
        super().__init__(parent.name, [parent.ids[i] for i in indices], labels, parent.classes)
        self.parent, self.indices = parent, list(indices)

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

    def _contents(self) -> Iterable[bytes]:
        return (item if isinstance(item, bytes) else np.ascontiguousarray(item) for item in self.items)


def corpus(source: Any, limit: int | None = None, progress: Callable[[int, int], None] | None = None) -> Corpus:
    """Many images from almost anything.

    `source`: one of NAMES (public data sets are downloaded once to $CNNVIZ_DATA or ~/.cache/cnnviz/data); a
    folder, nested as it may be; a .zip; WebDataset shards: a .tar, a folder of them, or a path with braces
    such as "train-{0000..0012}.tar"; a folder with MNIST's IDX files or CIFAR-10's batches; one image file; a
    list of paths, of uploads (name, bytes), of open binary files, PIL images or uint8 pixels; or a corpus.
    A folder called like a data set is "./samples". `limit`: see `Corpus.take`. `progress(done, total)`: in
    bytes while a data set is downloaded; images found so far, and 0, while files are listed. What it raises
    ends the work; shards that were gone through are known the next time.
    Raises UnknownName, BadInput for what is missing or holds no image, Offline.

    Example:
        >>> import cnnviz
        >>> photographs = cnnviz.corpus("samples", limit=3)
        >>> photographs.ids, photographs.image(0).size
        (['astronaut', 'chelsea', 'coffee'], (512, 512))
    """
    found = _find(source, progress)
    if not len(found):
        faults = "".join(f" {where}: {why}" for where, why in found.skipped[:3])
        raise BadInput(
            f"{found.name!r} holds no images. Give a folder, zip or tar with JPEG or PNG files in it.{faults}"
        )
    return found if limit is None else found.take(limit)


def _find(source: Any, progress: Callable[[int, int], None] | None) -> Corpus:
    if isinstance(source, Corpus):
        return source
    if isinstance(source, str) and source in NAMES:
        return _named(source, progress)
    if isinstance(source, str | os.PathLike):
        return _from_path(source, progress)
    if isinstance(source, bytes | Image.Image) or hasattr(source, "read"):
        source = [source]
    if isinstance(source, np.ndarray):
        source = list(source) if source.ndim == 4 else [source]
    if isinstance(source, tuple) and len(source) == 2 and isinstance(source[1], bytes):
        source = [source]
    if not isinstance(source, Iterable):
        raise BadInput(f"Expected a folder, a zip, images or a name, got {type(source).__name__}.")
    return _from_items(list(source))


def _named(name: str, progress: Callable[[int, int], None] | None) -> Corpus:
    from cnnviz.data import samples
    from cnnviz.data.public import public_sets

    if name in ("samples", "digits"):
        return samples.samples() if name == "samples" else samples.digits()
    return public_sets.dataset(name, progress)


def _from_path(source: str | os.PathLike[str], progress: Callable[[int, int], None] | None) -> Corpus:
    from cnnviz.data import folders
    from cnnviz.data.public import public_sets
    from cnnviz.data.shards import shards, tar

    path = Path(source).expanduser()
    if not is_there(path):
        text = os.fspath(source)
        if shards.expanded(text) != [text]:
            return shards.from_pattern(text, progress)
        if isinstance(source, str) and not any(mark in text for mark in "/\\.~"):
            unknown("corpus", text, NAMES)
        raise BadInput(
            f"{text[:200]!r} does not exist. Give a folder, a .zip, a .tar, an image, or one of: {', '.join(NAMES)}."
        )
    if path.is_dir():
        return public_sets.from_folder(path) or folders.folder(path, progress=progress)
    with path.open("rb") as file:
        head = file.read(tar.BLOCK)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return folders.ZipCorpus(path)
    is_shard = path.name.lower().endswith((".tar", ".tar.gz", ".tgz", ".tar.zst")) or tar.is_tar(head)
    return shards.ShardCorpus([path], path.name, progress=progress) if is_shard else folders.files([path])


def _from_items(items: list[Any]) -> Corpus:
    from cnnviz.data import folders
    from cnnviz.data.shards.shards import ShardCorpus

    if items and all(isinstance(item, str | os.PathLike) for item in items):
        paths = [Path(item).expanduser() for item in items]
        shards = all(path.suffix.lower() == ".tar" and path.is_file() for path in paths)
        return ShardCorpus(list(dict.fromkeys(paths)), paths[0].parent.name) if shards else folders.files(paths)
    contents = [_content(item) for item in items]
    if len(contents) == 1 and isinstance(contents[0], bytes) and contents[0][:4] == b"PK\x03\x04":
        return folders.ZipCorpus(contents[0])
    unique = {_content_id(content): content for content in contents}  # the same upload twice is one image
    return MemoryCorpus("uploads", list(unique), list(unique.values()))


def _content(item: Any) -> bytes | np.ndarray:
    """Bytes of an upload, a file or a path; pixels of an image. Names of uploads are ignored."""
    if isinstance(item, tuple) and len(item) == 2:
        item = item[1]
    if isinstance(item, str | os.PathLike):
        raise BadInput("Give either paths or images, not both in one list.")
    if hasattr(item, "getvalue"):  # whatever was read of it before
        return item.getvalue()
    if isinstance(item, bytes | bytearray | memoryview):
        return bytes(item)
    return item.read() if hasattr(item, "read") else to_uint8(item)


def _content_id(content: bytes | np.ndarray) -> str:
    if isinstance(content, np.ndarray):
        content = str(content.shape).encode() + content.tobytes()
    return image_sha256(content)[:12]


def _fair(labels: Sequence[str] | None, count: int, limit: int) -> list[int]:
    """`limit` of `count` indices, sorted: the first, or one of each class in turn."""
    if labels is None:
        return list(range(limit))
    seen: dict[str, int] = {}
    turns = []
    for index, label in enumerate(labels):
        turns.append((seen.setdefault(label, 0), index))
        seen[label] += 1
    return sorted(index for _turn, index in sorted(turns)[:limit])
