"""`corpus`: open many images from almost anything: a folder, a zip, shards, uploads, samples, a public data set."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cnnviz.data import folders, samples
from cnnviz.data.corpus import Corpus, MemoryCorpus
from cnnviz.data.grouping import check_grouping
from cnnviz.data.images import image_sha256, to_uint8
from cnnviz.data.public import public_sets
from cnnviz.data.public.public_files import DOWNLOADED
from cnnviz.data.shards import shards, tar
from cnnviz.errors import BadInput, unknown
from cnnviz.store import is_there

NAMES = ("samples", "digits", *DOWNLOADED)


def corpus(
    source: Any,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    group: str | None = None,
) -> Corpus:
    """Many images from almost anything.

    `source`: one of NAMES (public data sets are downloaded once to $CNNVIZ_DATA or ~/.cache/cnnviz/data); a
    folder, nested as it may be; a .zip; WebDataset shards: a .tar, a folder of them, or a path with braces
    such as "train-{0000..0012}.tar"; a folder with MNIST's IDX files or CIFAR-10's batches; one image file; a
    list of paths, of uploads (name, bytes), of open binary files, PIL images or uint8 pixels; or a corpus.
    A folder called like a data set is "./samples". `limit`: see `Corpus.take`. `progress(done, total)`: in
    bytes while a data set is downloaded; images found so far, and 0, while files are listed. What it raises
    ends the work; shards that were gone through are known the next time. `group`: which images show the same thing,
    so that an index names one winner of them: "name" (frames of a video, shots of a burst), "folder", or a regular
    expression, see `grouping.find_group`; None: each image by itself, of "samples" the crops of one photograph.
    Raises UnknownName, BadInput for what is missing or holds no image, Offline.

    Example:
        >>> import cnnviz
        >>> photographs = cnnviz.corpus("samples", limit=3)
        >>> photographs.ids, photographs.image(0).size
        (['astronaut', 'chelsea', 'coffee'], (512, 512))
    """
    found = _open(source, progress)
    if not len(found):
        faults = "".join(f" {where}: {why}" for where, why in found.skipped[:3])
        raise BadInput(
            f"{found.name!r} holds no images. Give a folder, zip or tar with JPEG or PNG files in it.{faults}"
        )
    if group is not None:
        found = copy.copy(found)  # the caller's own stays as it is
        found.group = check_grouping(group)
    return found if limit is None else found.take(limit)


def _open(source: Any, progress: Callable[[int, int], None] | None) -> Corpus:
    if isinstance(source, Corpus):
        return source
    if isinstance(source, str) and source in NAMES:
        return _open_named(source, progress)
    if isinstance(source, str | os.PathLike):
        return _open_path(source, progress)
    if isinstance(source, bytes | Image.Image) or hasattr(source, "read"):
        source = [source]
    if isinstance(source, np.ndarray):
        source = list(source) if source.ndim == 4 else [source]
    if isinstance(source, tuple) and len(source) == 2 and isinstance(source[1], bytes):
        source = [source]
    if not isinstance(source, Iterable):
        raise BadInput(f"Expected a folder, a zip, images or a name, got {type(source).__name__}.")
    return _open_items(list(source))


def _open_named(name: str, progress: Callable[[int, int], None] | None) -> Corpus:
    if name in ("samples", "digits"):
        return samples.samples() if name == "samples" else samples.digits()
    return public_sets.open_set(name, progress)


def _open_path(source: str | os.PathLike[str], progress: Callable[[int, int], None] | None) -> Corpus:
    path = Path(source).expanduser()
    if not is_there(path):
        text = os.fspath(source)
        if shards.expand_braces(text) != [text]:
            return shards.open_pattern(text, progress)
        if isinstance(source, str) and not any(mark in text for mark in "/\\.~"):
            unknown("corpus", text, NAMES)
        raise BadInput(
            f"{text[:200]!r} does not exist. Give a folder, a .zip, a .tar, an image, or one of: {', '.join(NAMES)}."
        )
    if path.is_dir():
        return public_sets.open_folder(path) or folders.open_folder(path, progress=progress)
    with path.open("rb") as file:
        head = file.read(tar.BLOCK)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return folders.ZipCorpus(path)
    is_shard = path.name.lower().endswith((".tar", ".tar.gz", ".tgz", ".tar.zst")) or tar.is_tar(head)
    return shards.ShardCorpus([path], path.name, progress=progress) if is_shard else folders.open_files([path])


def _open_items(items: list[Any]) -> Corpus:
    if items and all(isinstance(item, str | os.PathLike) for item in items):
        paths = [Path(item).expanduser() for item in items]
        if all(path.suffix.lower() == ".tar" and path.is_file() for path in paths):
            return shards.ShardCorpus(list(dict.fromkeys(paths)), paths[0].parent.name)
        return folders.open_files(paths)
    contents = [_read_content(item) for item in items]
    if len(contents) == 1 and isinstance(contents[0], bytes) and contents[0][:4] == b"PK\x03\x04":
        return folders.ZipCorpus(contents[0])
    unique = {_hash_content(content): content for content in contents}  # the same upload twice is one image
    return MemoryCorpus("uploads", list(unique), list(unique.values()))


def _read_content(item: Any) -> bytes | np.ndarray:
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


def _hash_content(content: bytes | np.ndarray) -> str:
    if isinstance(content, np.ndarray):
        content = str(content.shape).encode() + content.tobytes()
    return image_sha256(content)[:12]
