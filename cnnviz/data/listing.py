"""List the image files below a folder in one sweep: 1.28 million of them as well as ten."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnviz.data.images import SUFFIXES
from cnnviz.display import Summarised

Progress = Callable[[int, int], None]  # (images found so far, 0, since the total is unknown)
TELL_EVERY = 5000  # files


@dataclass(frozen=True, slots=True, repr=False)
class Listing(Summarised):
    """Image files, sorted by the bytes of their relative posix `paths`.

    `facts`: (N, 2) int64, size in bytes and time of change in ns, -1 where there is no file behind a link.
    `skipped`: (folder, reason) that could not be listed. `shards`: sorted relative paths of .tar files."""

    paths: list[str]
    facts: np.ndarray
    skipped: list[tuple[str, str]]
    shards: list[str]


def list_images(root: Path, below: str = "", progress: Progress | None = None) -> Listing:
    """List the images under `root` (under its subfolder `below`).

    Hidden files and files without an image suffix are passed over. Each real folder is visited once, links
    to folders last, so that loops end and ids stay the same. `progress` is called every few thousand files;
    what it raises ends the sweep. Memory: the paths, and 16 bytes an image."""
    sweep = _FolderSweep(root, progress)
    pending, links = [below], list[str]()
    visited: set[tuple[int, int]] = set()
    while pending or links:
        if not pending:
            links.sort(key=os.fsencode, reverse=True)
        where = pending.pop() if pending else links.pop()
        try:
            facts = os.stat(root / where)
            if (facts.st_dev, facts.st_ino) not in visited:
                visited.add((facts.st_dev, facts.st_ino))
                sweep.folder(where, pending, links)
        except OSError as error:
            sweep.skipped.append((f"{where or root.name}/", f"The folder cannot be listed: {error.strerror}."))
    return sweep.sorted()


class _FolderSweep:
    """What a sweep has found so far."""

    def __init__(self, root: Path, progress: Progress | None) -> None:
        self.root, self.progress = root, progress
        self.paths, self.facts = list[str](), array("q")
        self.skipped, self.shards = list[tuple[str, str]](), list[str]()

    def folder(self, where: str, pending: list[str], links: list[str]) -> None:
        """Take in the files of one folder; its subfolders go to `pending`, those behind links to `links`."""
        with os.scandir(self.root / where) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                path = f"{where}/{entry.name}" if where else entry.name
                suffix = os.path.splitext(entry.name)[1].lower()
                if _is_folder(entry):
                    (links if entry.is_symlink() else pending).append(path)
                elif suffix in SUFFIXES:
                    self._image(path, entry)
                elif suffix == ".tar":
                    self.shards.append(path)

    def _image(self, path: str, entry: os.DirEntry[str]) -> None:
        """Its size and time are read here: Windows and network file systems have them cached just after listing."""
        self.paths.append(path)
        self.facts.extend(_facts(entry))
        if self.progress and len(self.paths) % TELL_EVERY == 0:
            self.progress(len(self.paths), 0)

    def sorted(self) -> Listing:
        facts = np.frombuffer(self.facts, np.int64).reshape(-1, 2)
        plain = all(map(str.isascii, self.paths))  # then text sorts as its bytes do, without a copy of each
        order = sorted(range(len(self.paths)), key=lambda i: self.paths[i] if plain else os.fsencode(self.paths[i]))
        return Listing([self.paths[i] for i in order], facts[order], self.skipped, sorted(self.shards, key=os.fsencode))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _facts(entry: os.DirEntry[str]) -> tuple[int, int]:
    try:
        found = entry.stat()
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns
