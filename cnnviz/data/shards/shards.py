"""WebDataset shards as a corpus: tar files whose members are found once and then read with plain seeks.

Source: the WebDataset format, github.com/webdataset/webdataset: the members of one sample share what stands
before the first dot of their file name. Nothing of the `webdataset` package is needed for reading."""

from __future__ import annotations

import io
import os
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from cnnviz.data.corpus import Corpus, normalise_ids
from cnnviz.data.images import open_image
from cnnviz.data.shards.shard_index import Shard, index_shard
from cnnviz.errors import BadImage, BadInput
from cnnviz.wording import plural

Progress = Callable[[int, int], None]
MAX_SHARDS = 100_000
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)(?:\.\.(-?\d+))?$")


class ShardCorpus(Corpus):
    """The images of some shards, in the order of the shards and then of their names.

    Ids are "shard.tar/key", the shard's path relative to `root`; labels come from .cls or .json members, if
    every sample has one. A shard that cannot be read at all is reported in `skipped`, like what is
    damaged in others. Files are opened for each image: nothing is shared between threads or processes.
    `progress(images so far, 0)` is called while shards are indexed for the first time."""

    def __init__(
        self, paths: Sequence[Path], name: str, root: Path | None = None, progress: Progress | None = None
    ) -> None:
        absolute = [Path(os.path.abspath(path)) for path in paths]
        root = Path(os.path.abspath(root)) if root else Path(os.path.commonpath([path.parent for path in absolute]))
        named = [path.relative_to(root).as_posix() for path in absolute]
        self.paths, shards, faults = absolute, list[Shard](), list[tuple[str, str]]()
        count = 0
        for path, shard_name in zip(absolute, named, strict=True):
            shard = index_shard(path, partial(_report, progress, count) if progress else None)
            faults += [(f"{shard_name}/{key}" if key else shard_name, fault) for key, fault in shard.faults]
            count += len(shard.keys)
            shards.append(shard)
        ids = normalise_ids([f"{own}/{key}" for own, shard in zip(named, shards, strict=True) for key in shard.keys])
        labels, missing = _join_labels(shards)
        if missing:
            faults.append((name, f"{missing:,} of {plural(count, 'image')} have no label, so none is used."))
        super().__init__(name, ids, labels, _sort_labels(labels), faults)
        self._stamps = [shard.stamp for shard in shards]
        self._starts = np.cumsum([0, *(len(shard.keys) for shard in shards)]).tolist()
        self._members = np.concatenate([np.zeros((0, 2), np.int64), *(shard.places for shard in shards)])

    def _read(self, index: int, side: int | None) -> Image.Image:
        shard = bisect_right(self._starts, index) - 1
        offset, size = (int(value) for value in self._members[index])
        try:
            with self.paths[shard].open("rb", buffering=0) as file:
                found = os.fstat(file.fileno())
                if (found.st_size, found.st_mtime_ns) != self._stamps[shard]:
                    raise BadImage(f"{self.paths[shard].name} has changed since it was opened. Open it again.")
                file.seek(offset)
                data = b"".join(_read_exactly(file, size))
        except OSError as error:
            raise BadImage(f"Shard {self.paths[shard].name} cannot be read: {error.strerror or error}.") from error
        try:
            return open_image(data, side=side)
        except BadImage as error:
            raise BadImage(f"{self.ids[index]!r}: {error}") from error

    def _contents(self) -> Iterable[bytes]:
        return (f"{size},{time};".encode() for size, time in self._stamps)


def _report(progress: Progress, before: int, found: int) -> None:
    progress(before + found, 0)


def expand_braces(pattern: str) -> list[str]:
    """ "a-{000..002}.tar" → "a-000.tar", "a-001.tar", "a-002.tar"; also {a,b} and steps {0..8..2}, as in a shell.

    Raises BadInput for more than MAX_SHARDS."""
    found = list(islice(_expand(pattern), MAX_SHARDS + 1))
    if len(found) > MAX_SHARDS:
        raise BadInput(f"{pattern!r} names more than {MAX_SHARDS:,} shards.")
    return list(dict.fromkeys(found))


def open_pattern(pattern: str, progress: Progress | None = None) -> ShardCorpus:
    """The shards that a path with braces names. Raises BadInput, naming those that are missing."""
    paths = [Path(path).expanduser() for path in expand_braces(pattern)]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        more = f" and {len(missing) - 3:,} more" if len(missing) > 3 else ""
        raise BadInput(
            f"{pattern!r} names {plural(len(paths), 'shard')}, but {', '.join(missing[:3])}{more} do not exist."
        )
    return ShardCorpus(list(dict.fromkeys(paths)), Path(pattern).name, progress=progress)


def _expand(pattern: str) -> Iterator[str]:
    for braces in _BRACES.finditer(pattern):
        if (choices := _list_choices(braces[1])) is not None:
            before, after = pattern[: braces.start()], pattern[braces.end() :]
            for choice in choices:
                yield from _expand(f"{before}{choice}{after}")
            return
    yield pattern


def _list_choices(inside: str) -> Iterable[str] | None:
    """What braces stand for; None if they are ordinary characters of a name."""
    if "," in inside:
        return inside.split(",")
    if (found := _RANGE.match(inside)) is None:
        return None
    first, last, step = int(found[1]), int(found[2]), abs(int(found[3] or 1)) or 1
    padded = any(text.lstrip("-").startswith("0") and len(text.lstrip("-")) > 1 for text in found.group(1, 2))
    width = max(len(found[1]), len(found[2])) if padded else 0
    numbers = range(first, last + 1, step) if last >= first else range(first, last - 1, -step)
    return (f"{number:0{width}d}" for number in numbers)


def _read_exactly(file: io.RawIOBase, size: int) -> Iterator[bytes]:
    """`size` bytes in as many reads as it takes: an unbuffered one may return less than requested."""
    while size > 0:
        piece = file.read(size)
        if not piece:
            raise BadImage("The shard ends within this image. Copy or download it again.")
        size -= len(piece)
        yield piece


def _join_labels(shards: Sequence[Shard]) -> tuple[list[str] | None, int]:
    """(one label an image or None, how many lack theirs though others have one)."""
    labels = [label for shard in shards for label in shard.labels]
    missing = labels.count("")
    if missing:
        return None, missing if missing < len(labels) else 0
    same: dict[str, str] = {}
    return [same.setdefault(label, label) for label in labels], 0


def _sort_labels(labels: Sequence[str] | None) -> list[str] | None:
    """The distinct labels: class indices by their number, names by their letters."""
    if labels is None:
        return None
    distinct = set(labels)
    numbers = all(label.isascii() and label.isdigit() for label in distinct)
    return sorted(distinct, key=lambda label: (int(label), label)) if numbers else sorted(distinct)
