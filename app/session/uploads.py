"""What users bring, kept under its hash: weights files and photographs. File names are never used as paths."""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from app import limits
from app.session import storage
from cnnviz.errors import BadInput, CnnvizError
from cnnviz.paths import user_folder

TITLE = 60  # characters of an uploaded photograph's title
UPLOAD_SIDE = 1600  # pixels; larger photographs are reduced when they arrive
_DIGEST = re.compile("[0-9a-f]{16}")  # what `store_…` names a file by; a link can hold anything else
GONE = "{} no longer on this machine. Upload it again."  # {}: "The … is"
_UNANSWERED = 24 * 3600  # seconds that a weights file is kept whose form nobody has answered


def cache_folder(*parts: str) -> Path:
    """A folder below $CNNVIZ_CACHE (default ~/.cache/cnnviz), made if it is missing and can be."""
    folder = storage.root().joinpath(*parts)
    with suppress(OSError):  # what writes says why it cannot; what reads finds nothing
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def without_folders(text: str) -> str:
    """A message for those whose business this computer's folders are not."""
    named = (os.environ.get(name, "") for name in ("CNNVIZ_CACHE", "CNNVIZ_DATA", "TORCH_HOME", "XDG_CACHE_HOME"))
    folders = {str(user_folder(name).absolute()) for name in (*named, "~") if name}
    for folder in sorted(folders, key=len, reverse=True):
        text = text.replace(folder, "…") if len(folder) > 1 else text
    return text


@contextmanager
def called(stored: str, title: str) -> Iterator[None]:
    """Errors about an upload name it as its owner does, and not by the hash under which it is `stored`."""
    try:
        yield
    except CnnvizError as error:
        error.args = (str(error).replace(stored, title), *error.args[1:])
        raise


def store_weights(data: bytes | memoryview) -> str:
    """Keep an uploaded weights file under its hash; returns "file-<hash>".

    Files without a side file, which were dropped but never taken into use, go after a day. Raises BadInput if all files
    together would take more than limits.STORED_WEIGHTS."""
    digest = hashlib.sha256(data).hexdigest()[:16]
    from cnnviz.store import write_bytes_atomic

    folder = cache_folder("weights")
    for old in folder.glob("*"):
        alone = old.name.isalnum() and not side_file(f"file-{old.name}").exists()
        if alone and old.is_file() and time.time() - old.stat().st_mtime > _UNANSWERED:
            old.unlink(missing_ok=True)
    held = sum(path.stat().st_size for path in folder.glob("*") if path.name != digest)
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
        raise BadInput("These weights are no longer on this machine. Upload the file again on Home.")
    return path


def side_file(name: str) -> Path:
    """Where the answers to the form about "file-<hash>" lie. Raises BadInput for any other name."""
    digest = name.removeprefix("file-")
    if not _DIGEST.fullmatch(digest):
        raise BadInput(f"{name!r} names no stored weights.")
    return cache_folder("weights") / f"{digest}.json"


def store_again(name: str, other: str) -> None:
    """Keep the file behind "file-<hash>" under another such name, too, without a copy where the disk can do that."""
    source, target = stored_weights(name), side_file(other).with_suffix("")
    try:
        target.unlink(missing_ok=True)
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def forget_weights(name: str) -> None:
    """Remove the file behind "file-<hash>" and its side file, where there are any."""
    digest = name.removeprefix("file-")
    if _DIGEST.fullmatch(digest):
        side_file(name).unlink(missing_ok=True)
        (cache_folder("weights") / digest).unlink(missing_ok=True)


def is_unanswered(name: str) -> bool:
    """Whether "file-<hash>" is a weights file whose form nobody has answered yet."""
    place = place_of(name) if name.startswith("file-") else None
    return place is not None and place.is_file() and not side_file(name).exists()


def store_photo(data: bytes, file_name: str = "") -> str:
    """Keep an uploaded image, upright and reduced, under its hash, and what its file was called; returns
    "upload-<hash>".

    Raises BadImage for what is no usable image."""
    from cnnviz.data.images import open_image
    from cnnviz.figures.base.encode import rgb_png
    from cnnviz.store import write_bytes_atomic

    picture = open_image(data, max_side=UPLOAD_SIDE)
    digest = hashlib.sha256(data).hexdigest()[:16]
    folder = cache_folder("uploads")
    write_bytes_atomic(folder / f"{digest}.png", rgb_png(np.asarray(picture)))
    if title := clean_title(file_name):
        write_bytes_atomic(folder / f"{digest}.title", title.encode())
    keep_newest(folder, "*.png", limits.STORED_PHOTOS)
    for old in folder.glob("*.title"):
        if not old.with_suffix(".png").exists():
            old.unlink(missing_ok=True)
    return f"upload-{digest}"


def clean_title(file_name: str) -> str:
    """A file's name as a title: without folders and what cannot be seen, at most TITLE characters, its ending kept."""
    last = re.split(r"[/\\]", file_name)[-1]
    kept = " ".join("".join(c if c.isprintable() else " " for c in last).split())
    return kept if len(kept) <= TITLE else f"{kept[: TITLE - 13].rstrip()}…{kept[-12:].lstrip()}"


def photo_title(name: str) -> str:
    """What pages call a photograph: an upload by the name of its file, everything else by its own."""
    digest = name.removeprefix("upload-")
    if not name.startswith("upload-") or not _DIGEST.fullmatch(digest):
        return name
    try:
        title = clean_title((cache_folder("uploads") / f"{digest}.title").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        title = ""
    return title or f"upload {digest[:6]}"  # stored by an earlier version, or without a name


def forget_photo(name: str) -> None:
    """Remove "upload-<hash>" and its title from this machine."""
    digest = name.removeprefix("upload-")
    if name.startswith("upload-") and _DIGEST.fullmatch(digest):
        for ending in ("png", "title"):
            (cache_folder("uploads") / f"{digest}.{ending}").unlink(missing_ok=True)


def store_zip(data: bytes) -> Path:
    """Keep an uploaded zip of images under its hash; of more than limits.STORED_ZIPS the longest unused go."""
    from cnnviz.store import write_bytes_atomic

    folder = cache_folder("uploads")
    path = folder / f"{hashlib.sha256(data).hexdigest()[:16]}.zip"
    write_bytes_atomic(path, data)
    keep_newest(folder, "*.zip", limits.STORED_ZIPS)
    return path


def place_of(name: str) -> Path | None:
    """Where an upload lies: "file-<hash>", "upload-<hash>", or the name of a zip or an index file; None for another."""
    kind, _, digest = name.rpartition("-")
    stem, _, ending = name.partition(".")
    if kind in ("file", "upload") and _DIGEST.fullmatch(digest):
        return cache_folder("weights") / digest if kind == "file" else cache_folder("uploads") / f"{digest}.png"
    if ending in ("zip", "npz") and _DIGEST.fullmatch(stem):
        return cache_folder("uploads") / name
    return None


def size_of(name: str) -> int:
    """Bytes that an upload takes on the disk; 0 for one that is not here."""
    try:
        return place.stat().st_size if (place := place_of(name)) is not None else 0
    except OSError:
        return 0


def forget(name: str) -> None:
    """Remove an upload, named as for `place_of`, and what belongs to it."""
    if name.startswith("file-"):
        forget_weights(name)
    elif name.startswith("upload-"):
        forget_photo(name)
    elif (place := place_of(name)) is not None:
        place.unlink(missing_ok=True)


def keep_newest(folder: Path, pattern: str, most: int) -> None:
    """Of the files that match, keep those that came or were used last."""
    for old in sorted(folder.glob(pattern), key=_last_use)[:-most]:
        old.unlink(missing_ok=True)


def _last_use(path: Path) -> int:
    try:
        facts = path.stat()
    except FileNotFoundError:  # removed by another session
        return 0
    return max(facts.st_atime_ns, facts.st_mtime_ns)


def use(path: Path) -> bool:
    """Note that an upload is in use, so that others go first; False if it has gone. When it was written stays as it
    is, which tells caches that it is the same."""
    try:
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
    except FileNotFoundError:
        return False
    except OSError:  # a disk that cannot be written: nothing goes there, either
        return path.is_file()
    return True


def is_stored_photo(name: str) -> bool:
    """True if "upload-<hash>" is a photograph on this machine, which counts as using it."""
    digest = name.removeprefix("upload-")
    if not name.startswith("upload-") or not _DIGEST.fullmatch(digest):
        return False
    return use(cache_folder("uploads") / f"{digest}.png")
