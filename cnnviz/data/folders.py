"""Corpora of files: folders nested at will, lists of files, and zip archives read without unpacking."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from cnnviz.data.corpus import Corpus, normalise_ids
from cnnviz.data.images import SUFFIXES, open_image
from cnnviz.data.listing import Progress, list_images
from cnnviz.data.shards.shards import ShardCorpus
from cnnviz.errors import BadImage, BadInput

SPLITS = frozenset({"train", "test", "val", "valid", "validation"})
MAX_ENTRY = 256 << 20  # bytes of one unpacked zip entry
MAX_RATIO = 150  # unpacked : packed, of an entry above 1 MiB and of the archive
MAX_TOTAL = 64 << 30  # bytes of all unpacked entries
_DAMAGED = (zipfile.BadZipFile, OSError, ValueError, struct.error, EOFError, NotImplementedError, zlib.error)
_LOCAL_HEADER = 30  # bytes, APPNOTE.TXT 4.3.7


class FileCorpus(Corpus):
    """Image files under one folder. `paths`: relative to `root`, in the order of the ids. `facts`: as in
    `Listing`, where they were listed in a sweep; None asks for them when the fingerprint is wanted."""

    def __init__(
        self,
        name: str,
        root: Path,
        paths: Sequence[str],
        labels: Sequence[str] | None = None,
        classes: Sequence[str] | None = None,
        skipped: Iterable[tuple[str, str]] = (),
        facts: np.ndarray | None = None,
    ) -> None:
        super().__init__(name, normalise_ids(paths), labels, classes, skipped)
        self.root, self.paths, self.facts = root, list(paths), facts

    def _read(self, index: int, side: int | None) -> Image.Image:
        return open_image(self.root / self.paths[index], side=side)

    def _contents(self) -> Iterable[bytes]:
        known = self.facts if self.facts is not None else (_stat_file(self.root, path) for path in self.paths)
        facts = (map(int, pair) for pair in known)
        return (b"missing;" if size < 0 else f"{size},{time};".encode() for size, time in facts)


def _stat_file(root: Path, path: str) -> tuple[int, int]:
    """(size in bytes, time of change in ns) of a file, -1 if it is missing."""
    try:
        found = os.stat(os.path.join(root, path))
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def open_folder(root: Path, name: str | None = None, below: str = "", progress: Progress | None = None) -> Corpus:
    """All images under `root` (under its subfolder `below`), ids relative to `root`; labels by class folder.

    A folder without images that holds .tar files is read as shards. What could not be listed, and archives
    that lie among images, are reported in `skipped`. `progress`: as for `list_images`."""
    found, name = list_images(root, below, progress), name or root.resolve().name
    if found.shards and not found.paths:
        return ShardCorpus([root / path for path in found.shards], name, root, progress)
    among = [(path, "A tar archive among images. Open it alone, as shards.") for path in found.shards]
    labels = find_class_folders(normalise_ids(found.paths))
    return FileCorpus(name, root, found.paths, labels, skipped=found.skipped + among, facts=found.facts)


def open_files(paths: Sequence[Path]) -> FileCorpus:
    """The given image files in the given order, ids relative to the folder that they have in common.

    Raises BadInput if one does not exist."""
    for path in paths:
        if not path.is_file():
            raise BadInput(f"{str(path)!r} does not exist or is not a file.")
    absolute = list(dict.fromkeys(Path(os.path.abspath(path)) for path in paths))
    root = Path(os.path.commonpath([path.parent for path in absolute]))
    relative = [path.relative_to(root).as_posix() for path in absolute]
    return FileCorpus(absolute[0].name if len(absolute) == 1 else root.name, root, relative)


def find_class_folders(ids: Sequence[str]) -> list[str] | None:
    """The class folder of each image: the first folder on its path that neither all of them share nor is
    the name of a split ("train", "val", …). None if an image lies in no such folder."""
    level = 0
    while ids:
        names: dict[str, str] = {}
        for image_id in ids:
            parts = image_id.split("/", level + 1)
            if len(parts) <= level + 1:
                return None
            names.setdefault(parts[level], parts[level])
        if len(names) > 1 and not names.keys() <= SPLITS:
            return [names[image_id.split("/", level + 1)[level]] for image_id in ids]  # one str a class, not an image
        level += 1
    return None


class ZipCorpus(Corpus):
    """The images of a zip archive (a path or its bytes), never unpacked to disk.

    Entries are read with plain seeks from a file opened for each, not through one ZipFile: nothing is
    shared between threads or processes. Unsafe entries are reported in `skipped`.
    Raises BadInput if the archive is damaged or unpacks to more than MAX_TOTAL or MAX_RATIO allow."""

    def __init__(self, archive: Path | bytes) -> None:
        self.archive = archive
        name = "uploads" if isinstance(archive, bytes) else archive.stem
        try:
            with self._open() as file, zipfile.ZipFile(file) as content:
                entries = content.infolist()
        except _DAMAGED as error:
            raise BadInput(f"{name!r} is no readable zip archive: {error}. Pack it again.") from error
        wanted = {path: e for e in entries if _is_image(path := e.filename.replace("\\", "/"))}
        _check_total(name, wanted.values())
        faults = [(path, fault) for path, entry in wanted.items() if (fault := _find_fault(path, entry))]
        for path, _reason in faults:
            del wanted[path]
        paths = sorted(wanted, key=lambda path: path.encode("utf-8", "surrogateescape"))
        ids = normalise_ids(paths)
        super().__init__(name, ids, find_class_folders(ids), skipped=faults)
        self._entries = [_describe_entry(wanted[path]) for path in paths]

    def _open(self) -> BinaryIO:
        return BytesIO(self.archive) if isinstance(self.archive, bytes) else self.archive.open("rb")

    def _read(self, index: int, side: int | None) -> Image.Image:
        try:
            with self._open() as file:
                data = _unpack(file, *self._entries[index])
        except _DAMAGED as error:
            reason = getattr(error, "strerror", None) or error  # without the path, which a class may not see
            raise BadImage(f"Zip entry {self.ids[index]!r} is damaged: {reason}. Pack it again.") from error
        try:
            return open_image(data, side=side)
        except BadImage as error:
            raise BadImage(f"Zip entry {self.ids[index]!r}: {error}") from error

    def _contents(self) -> Iterable[bytes]:
        return (f"{size},{crc};".encode() for _offset, _packed, size, crc, _method in self._entries)


def _is_image(path: str) -> bool:
    parts = path.split("/")
    hidden = any(part == "__MACOSX" or (part.startswith(".") and part != "..") for part in parts)
    return not hidden and os.path.splitext(parts[-1])[1].lower() in SUFFIXES


def _check_total(name: str, entries: Iterable[zipfile.ZipInfo]) -> None:
    packed = sum(entry.compress_size for entry in entries)
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MAX_TOTAL or unpacked > MAX_RATIO * packed + MAX_ENTRY:
        raise BadInput(
            f"{name!r} would unpack from {packed / 1e6:,.1f} MB to {unpacked / 1e6:,.0f} MB of images; "
            f"at most {MAX_RATIO} times its size and {MAX_TOTAL >> 30} GiB are opened. "
            "Unpack it and give the folder."
        )


def _find_fault(path: str, entry: zipfile.ZipInfo) -> str:
    """Why an entry is not read; empty if it is safe."""
    if path.startswith("/") or path[1:2] == ":" or ".." in path.split("/"):
        return "The path leads out of the archive."
    if entry.flag_bits & 0x1:
        return "The entry is encrypted. Pack it without a password."
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "The compression is neither stored nor deflated. Pack it again as an ordinary zip."
    if entry.file_size > MAX_ENTRY:
        return f"It unpacks to {entry.file_size >> 20} MiB, more than the {MAX_ENTRY >> 20} MiB allowed."
    if entry.file_size > max(1 << 20, MAX_RATIO * entry.compress_size):
        return f"It unpacks to more than {MAX_RATIO} times its size, which no photograph does."
    return ""


def _describe_entry(entry: zipfile.ZipInfo) -> tuple[int, int, int, int, int]:
    return entry.header_offset, entry.compress_size, entry.file_size, entry.CRC, entry.compress_type


def _unpack(file: BinaryIO, offset: int, packed: int, size: int, crc: int, method: int) -> bytes:
    """One entry's bytes, never more than declared. Raises ValueError if they are not those packed."""
    file.seek(offset)
    header = file.read(_LOCAL_HEADER)
    if header[:4] != b"PK\x03\x04":
        raise ValueError("no entry where the directory says")
    file.seek(sum(struct.unpack("<HH", header[26:30])), os.SEEK_CUR)  # its name and extra field
    data = file.read(packed)
    if method == zipfile.ZIP_DEFLATED:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size + 1)
    if len(data) != size or zlib.crc32(data) != crc:
        raise ValueError("contents differ from the archive's checksum")
    return data
