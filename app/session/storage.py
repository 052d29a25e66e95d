"""Where the app keeps files: the cache folder or, where that cannot be written, one that lasts as long as the app."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from cnnviz.paths import cache_root
from cnnviz.store import why_unwritable

_PARTS = ("uploads", "weights", "indexes", "landscapes", "embeddings", "sheets")
_SPARE = (None, "/dev/shm")  # where a folder for this run may lie: the usual place, and in memory
_kept: list[tempfile.TemporaryDirectory] = []


def root() -> Path:
    """The folder that all files of the app lie in. It may be one that nothing can be written into."""
    return _settle(cache_root())


def clear() -> None:
    """Remove what lasts as long as the app: a server that is ended by a signal does not come to its `atexit`."""
    while _kept:
        _kept.pop().cleanup()
    _settle.cache_clear()


@cache
def _settle(folder: Path) -> Path:
    """`folder`; where it cannot be written, one for this run, with all of its files to be read."""
    if not why_unwritable(folder):
        return folder
    for place in _SPARE:
        with suppress(OSError):
            spare = tempfile.TemporaryDirectory(prefix="cnnviz-", dir=place, ignore_cleanup_errors=True)
            if not why_unwritable(spare.name):
                _link_files(folder, Path(spare.name))
                _kept.append(spare)
                return Path(spare.name)
            spare.cleanup()
    return folder


def _link_files(source: Path, target: Path) -> None:
    """What the app has kept in one folder, as links in another."""
    for part in _PARTS:
        with suppress(OSError, shutil.Error):
            if (source / part).is_dir():
                shutil.copytree(source / part, target / part, copy_function=_link)


def _link(source: str, target: str) -> None:
    with suppress(OSError):
        Path(target).symlink_to(source)
