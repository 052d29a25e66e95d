"""Where things lie: cnnviz's own app, pages and assets, in a copy of the project or as installed; and the cache."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

CACHE = "CNNVIZ_CACHE"  # the variable that names another cache
NOWHERE = Path(os.devnull) / "cnnviz"  # where nothing can be kept


@cache
def project() -> Path:
    """The folder that holds app/, pages/ and assets/: a copy of the project or, of an installed cnnviz, the folder in
    the package that is laid out as one."""
    package = Path(__file__).resolve().parent
    installed = package / "_app"
    return installed if installed.is_dir() else package.parent


def cache_root() -> Path:
    """The folder of what may be made again and of uploads: $CNNVIZ_CACHE, else ~/.cache/cnnviz; NOWHERE for a user
    without a home folder. It may not exist."""
    return user_folder(os.environ.get(CACHE) or "~/.cache/cnnviz")


def user_folder(path: str) -> Path:
    """`path` with ~ replaced by the home folder; below NOWHERE for a user without one."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return NOWHERE
