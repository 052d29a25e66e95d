"""What users bring, kept under its hash: weights files and photographs. File names are never used as paths."""

import hashlib
import os
import re
import time
from pathlib import Path

import numpy as np

from app import limits
from cnnviz.errors import BadInput

UPLOAD_SIDE = 1600  # pixels; larger photographs are reduced when they arrive
_DIGEST = re.compile("[0-9a-f]{16}")  # what `store_…` names a file by; a link can hold anything else
_UNANSWERED = 24 * 3600  # seconds that a weights file is kept whose form nobody has answered


def cache_folder(*parts: str) -> Path:
    """A folder below $CNNVIZ_CACHE (default ~/.cache/cnnviz), made if it is missing."""
    root = Path(os.environ.get("CNNVIZ_CACHE", "") or Path.home() / ".cache" / "cnnviz")
    folder = root.joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def store_weights(data: bytes | memoryview) -> str:
    """Keep an uploaded weights file under its hash; returns "file-<hash>".

    Files without a side file, which were dropped but never taken into use, go after a day. Raises BadInput if all files
    together would take more than limits.STORED_WEIGHTS."""
    digest = hashlib.sha256(data).hexdigest()[:16]
    from cnnviz.store import write_bytes_atomic

    folder = cache_folder("weights")
    for old in folder.iterdir():
        alone = old.name.isalnum() and not side_file(f"file-{old.name}").exists()
        if alone and old.is_file() and time.time() - old.stat().st_mtime > _UNANSWERED:
            old.unlink(missing_ok=True)
    held = sum(path.stat().st_size for path in folder.iterdir() if path.name != digest)
    if held + len(data) > limits.STORED_WEIGHTS:
        raise BadInput(
            f"{held / 1e9:,.1f} GB of weights are kept here already; with these {len(data) / 1e9:,.1f} GB there would "
            f"be more than {limits.STORED_WEIGHTS / 1e9:,.0f} GB. Remove files that are not needed any more."
        )
    write_bytes_atomic(folder / digest, data)
    return f"file-{digest}"


def stored_weights(name: str) -> Path:
    """The file behind "file-<hash>". Raises BadInput if this machine has it no more."""
    digest = name.removeprefix("file-")
    if not _DIGEST.fullmatch(digest) or not (path := cache_folder("weights") / digest).is_file():
        raise BadInput("These weights are not on this machine any more. Upload the file again on Home.")
    return path


def side_file(name: str) -> Path:
    """Where the answers to the form about "file-<hash>" lie. Raises BadInput for any other name."""
    digest = name.removeprefix("file-")
    if not _DIGEST.fullmatch(digest):
        raise BadInput(f"{name!r} names no stored weights.")
    return cache_folder("weights") / f"{digest}.json"


def forget_weights(name: str) -> None:
    """Remove the file behind "file-<hash>" and its side file, where there are any."""
    digest = name.removeprefix("file-")
    if _DIGEST.fullmatch(digest):
        side_file(name).unlink(missing_ok=True)
        (cache_folder("weights") / digest).unlink(missing_ok=True)


def store_photo(data: bytes) -> str:
    """Keep an uploaded image, upright and reduced, under its hash; returns "upload-<hash>".

    Raises BadImage for what is no usable image."""
    from cnnviz.data.images import open_image
    from cnnviz.figures.encode import rgb_png
    from cnnviz.store import write_bytes_atomic

    picture = open_image(data, max_side=UPLOAD_SIDE)
    digest = hashlib.sha256(data).hexdigest()[:16]
    folder = cache_folder("uploads")
    write_bytes_atomic(folder / f"{digest}.png", rgb_png(np.asarray(picture)))
    _keep_newest(folder, "*.png", limits.STORED_PHOTOS)
    return f"upload-{digest}"


def store_zip(data: bytes) -> Path:
    """Keep an uploaded zip of images under its hash; the oldest of limits.STORED_ZIPS go."""
    from cnnviz.store import write_bytes_atomic

    folder = cache_folder("uploads")
    path = folder / f"{hashlib.sha256(data).hexdigest()[:16]}.zip"
    write_bytes_atomic(path, data)
    _keep_newest(folder, "*.zip", limits.STORED_ZIPS)
    return path


def _keep_newest(folder: Path, pattern: str, most: int) -> None:
    for old in sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime)[:-most]:
        old.unlink(missing_ok=True)


def is_stored_photo(name: str) -> bool:
    digest = name.removeprefix("upload-")
    if not name.startswith("upload-") or not _DIGEST.fullmatch(digest):
        return False
    return (cache_folder("uploads") / f"{digest}.png").is_file()
