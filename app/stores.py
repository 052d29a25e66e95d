"""What users bring, kept under its hash: weights files and photographs. File names are never used as paths."""

import hashlib
import os
import time
from pathlib import Path

import numpy as np

from cnnviz.errors import BadInput

UPLOAD_SIDE = 1600  # pixels; larger photographs are reduced when they arrive
UPLOADS_KEPT = 200
_UNANSWERED = 24 * 3600  # seconds that a weights file is kept whose form nobody has answered


def cache_folder(*parts: str) -> Path:
    """A folder below $CNNVIZ_CACHE (default ~/.cache/cnnviz), made if it is missing."""
    root = Path(os.environ.get("CNNVIZ_CACHE", "") or Path.home() / ".cache" / "cnnviz")
    folder = root.joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def store_weights(data: bytes | memoryview) -> str:
    """Keep an uploaded weights file under its hash; returns "file-<hash>".

    Files without a side file, which were dropped but never taken into use, go after a day."""
    digest = hashlib.sha256(data).hexdigest()[:16]
    from cnnviz.store import write_bytes_atomic

    folder = cache_folder("weights")
    for old in folder.iterdir():
        alone = old.name.isalnum() and not side_file(f"file-{old.name}").exists()
        if alone and old.is_file() and time.time() - old.stat().st_mtime > _UNANSWERED:
            old.unlink(missing_ok=True)
    write_bytes_atomic(folder / digest, data)
    return f"file-{digest}"


def stored_weights(name: str) -> Path:
    """The file behind "file-<hash>". Raises BadInput if this machine has it no more."""
    digest = name.removeprefix("file-")
    path = cache_folder("weights") / digest
    if not digest.isalnum() or not path.is_file():
        raise BadInput("These weights are not on this machine any more. Upload the file again on Home.")
    return path


def side_file(name: str) -> Path:
    """Where the answers to the form about "file-<hash>" lie. Raises BadInput for any other name."""
    digest = name.removeprefix("file-")
    if not (digest.isalnum() and digest.isascii()):
        raise BadInput(f"{name!r} names no stored weights.")
    return cache_folder("weights") / f"{digest}.json"


def forget_weights(name: str) -> None:
    """Remove the file behind "file-<hash>" and its side file, where there are any."""
    digest = name.removeprefix("file-")
    if digest.isalnum():
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
    for old in sorted(folder.glob("*.png"), key=lambda p: p.stat().st_mtime)[:-UPLOADS_KEPT]:
        old.unlink(missing_ok=True)
    return f"upload-{digest}"


def is_stored_photo(name: str) -> bool:
    digest = name.removeprefix("upload-")
    return name.startswith("upload-") and digest.isalnum() and (cache_folder("uploads") / f"{digest}.png").is_file()
