"""Index of one WebDataset shard: where its images and labels lie, found in one sweep and cached on disk."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from cnnviz.data.images import SUFFIXES
from cnnviz.data.shards.tar import Member, members
from cnnviz.display import Summarised
from cnnviz.errors import BadInput, CnnvizError
from cnnviz.paths import cache_root
from cnnviz.store import load_arrays, save_arrays
from cnnviz.wording import plural

FORMAT = 1
MAX_MEMBER = 256 << 20  # bytes of one image
MAX_LABEL = 1 << 20  # bytes of one .cls or .json
TELL_EVERY = 2000  # members
_FIRST = ("jpg", "jpeg", "png", "webp")
_COMPRESSED = {b"\x1f\x8b": "gunzip", b"\x28\xb5\x2f\xfd": "unzstd", b"BZh": "bunzip2", b"\xfd7zXZ": "unxz"}


@dataclass(frozen=True, slots=True, repr=False)
class Shard(Summarised):
    """One tar file. `keys`: of its images, sorted; `labels`: of each, "" if it has none; `places`: (N, 2) int64,
    offset and size in bytes. `faults`: (key or "", reason) of what is not used. `stamp`: (size in bytes, time
    of change in ns) that all this belongs to."""

    keys: list[str]
    labels: list[str]
    places: np.ndarray
    faults: list[tuple[str, str]]
    stamp: tuple[int, int]


def index_shard(path: Path, progress: Callable[[int], None] | None = None) -> Shard:
    """The contents of a shard, from the cache if its size and time of change are those of its last sweep.

    `progress(members so far)`. A shard that cannot be opened is one without images and with a fault."""
    try:
        found = path.stat()
    except OSError as error:
        return _empty_shard((-1, -1), f"The shard cannot be read: {error.strerror}.")
    stamp, kept = (found.st_size, found.st_mtime_ns), _cache_file(path)
    with suppress(BadInput, KeyError, TypeError, ValueError):
        return _load(kept, stamp)
    try:
        with path.open("rb") as file:
            shard = _sweep(file, stamp, progress)
    except OSError as error:
        return _empty_shard(stamp, f"The shard cannot be read: {error.strerror or error}.")
    with suppress(CnnvizError):  # no room for a cache is no reason to fail
        _save(kept, shard)
    return shard


def _empty_shard(stamp: tuple[int, int], fault: str) -> Shard:
    return Shard([], [], np.zeros((0, 2), np.int64), [("", fault)], stamp)


def _cache_file(path: Path) -> Path:
    """Below $CNNVIZ_CACHE (default ~/.cache/cnnviz), one file a shard, named by the hash of the shard's path."""
    return cache_root() / "shards" / f"{hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()[:32]}.npz"


def _save(path: Path, shard: Shard) -> None:
    names = json.dumps([shard.keys, shard.labels, shard.faults]).encode()  # ASCII: any name can be written
    arrays = {"places": shard.places, "names": np.frombuffer(names, np.uint8)}
    save_arrays(path, arrays, {"kind": "shard", "format": FORMAT, "stamp": list(shard.stamp)})


def _load(path: Path, stamp: tuple[int, int]) -> Shard:
    arrays, meta = load_arrays(path)
    if (meta["kind"], meta["format"], tuple(meta["stamp"])) != ("shard", FORMAT, stamp):
        raise BadInput(f"{path} belongs to an earlier state of its shard.")
    keys, labels, faults = json.loads(arrays["names"].tobytes())
    return Shard(keys, labels, arrays["places"].reshape(len(keys), 2), [(key, why) for key, why in faults], stamp)


def _sweep(file: BinaryIO, stamp: tuple[int, int], progress: Callable[[int], None] | None) -> Shard:
    head = file.read(8)
    for magic, tool in _COMPRESSED.items():
        if head.startswith(magic):
            fault = f"The shard is compressed, and images are read at random. Unpack it with {tool} first."
            return _empty_shard(stamp, fault)
    sweep = _ShardSweep(file)
    for count, member in enumerate(members(file, stamp[0]), 1):
        sweep.take(member)
        if progress and count % TELL_EVERY == 0:
            progress(len(sweep.images))
    return sweep.shard(stamp)


class _ShardSweep:
    """Images and labels by key, as they come."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.images: dict[str, tuple[int, Member]] = {}  # key: how well the member's kind suits, and the member
        self.labels: dict[str, str] = {}
        self.faults: list[tuple[str, str]] = []
        self.further = 0

    def take(self, member: Member) -> None:
        """Take in one member: an image, a label, or nothing that is used."""
        if not member.name:
            self.faults.append(("", member.fault))
            return
        key, kind = _split_name(member.name)
        rank = _rank(kind)
        if rank < 0 and kind not in ("cls", "json"):
            return
        parts = key.split("/")
        if any(part.startswith(".") and part != ".." for part in parts) or "__MACOSX" in parts:
            return
        fault = _find_odd_path(parts) or member.fault or _find_oversize(member, MAX_MEMBER if rank >= 0 else MAX_LABEL)
        if fault:
            self.faults.append((f"{key}.{kind}", fault))
        elif rank >= 0:
            self._image(key, rank, member)
        else:
            self._label(key, kind, member)

    def _image(self, key: str, rank: int, member: Member) -> None:
        self.further += key in self.images
        if key not in self.images or rank < self.images[key][0]:
            self.images[key] = rank, member

    def _label(self, key: str, kind: str, member: Member) -> None:
        self.file.seek(member.offset)
        try:
            text = self.file.read(member.size).decode("utf-8")
            found = text.strip() if kind == "cls" else _json_label(text)
        except (UnicodeDecodeError, ValueError, RecursionError) as error:
            self.faults.append((f"{key}.{kind}", f"The label cannot be read: {error}."))
            return
        if found and (kind == "cls" or key not in self.labels):
            self.labels[key] = found

    def shard(self, stamp: tuple[int, int]) -> Shard:
        """All that was found, in the order of the keys' bytes."""
        if self.further:
            self.faults.append(("", f"{plural(self.further, 'image')} not used: of each sample the first one counts."))
        keys = sorted(self.images, key=os.fsencode)
        found = [self.images[key][1] for key in keys]
        places = np.array([(member.offset, member.size) for member in found], np.int64).reshape(-1, 2)
        return Shard(keys, [self.labels.get(key, "") for key in keys], places, self.faults, stamp)


def _split_name(name: str) -> tuple[str, str]:
    """(key, kind): the name up to the first dot of its last part, and what follows, in lower case."""
    while name.startswith("./"):
        name = name[2:]
    folder, slash, file = name.lstrip("/").rpartition("/")
    stem, _dot, kind = file[1:].partition(".")  # a leading dot hides a file, it ends no name
    return f"{folder}{slash}{file[:1]}{stem}", kind.lower()


def _rank(kind: str) -> int:
    """0 for what an image is usually called, more for other images, -1 for what is none."""
    if kind in _FIRST:
        return _FIRST.index(kind)
    if f".{kind.rpartition('.')[2]}" not in SUFFIXES:
        return -1
    return len(_FIRST) + ("." in kind)


def _find_odd_path(parts: Sequence[str]) -> str:
    return "The path leads out of the archive." if ".." in parts else ""


def _find_oversize(member: Member, most: int) -> str:
    return f"It has {member.size >> 20} MiB, more than the {most >> 20} MiB allowed." if member.size > most else ""


def _json_label(text: str) -> str:
    """The "label" (or "cls") of a sample's JSON, a number or a name; "" if it has none."""
    content = json.loads(text)
    label = content.get("label", content.get("cls")) if isinstance(content, dict) else None
    return str(label).strip() if isinstance(label, str | int) and not isinstance(label, bool) else ""
