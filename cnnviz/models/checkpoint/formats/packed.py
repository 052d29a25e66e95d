"""Take the one weights file out of a zip, tar or gzip, into a folder of our own, within bounds.

Names in the archive choose no path: what is taken gets a name of letters, digits, dots, dashes and underlines in a new
folder. Nothing else is unpacked but the settings of a HuggingFace folder."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cnnviz.errors import BadCheckpoint, CnnvizError
from cnnviz.models.checkpoint.archive import AGAIN, cap_bytes
from cnnviz.models.checkpoint.formats.hf_folder import INDEXES, SETTINGS, find_model
from cnnviz.wording import plural

WEIGHTS = tuple(".pt .pth .th .ckpt .safetensors .bin .npz .onnx .t7 .tar .pkl .pickle .model .weights".split())
SINGLE = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}  # first bytes of a packed file → its reader
_MOST, _CHUNK, _SETTINGS_BYTES = 100_000, 1 << 20, 1 << 24
_FAULTS = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
    *(OSError, EOFError, ValueError, NotImplementedError, RuntimeError),
)


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    size: int
    open: Callable[[], IO[bytes]]

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0]

    @property
    def base(self) -> str:
        """The last part of the name, as a file of ours may be called."""
        return re.sub(r"[^\w.-]", "_", self.name.rpartition("/")[2])[-80:].lstrip(".") or "weights"


@contextmanager
def unpack_weights(path: Path) -> Iterator[Path]:
    """Yield the weights file in an archive, or a folder as HuggingFace lays it out, unpacked for the time being.

    Raises BadCheckpoint if there is none or several, which are listed, or if it is too large or damaged."""
    with tempfile.TemporaryDirectory(prefix="cnnviz-") as name:
        yield _unpack(path, Path(name))


def _unpack(path: Path, folder: Path) -> Path:
    try:
        if is_zip(path):
            with zipfile.ZipFile(path) as archive:
                return _take(_list_zip(archive), folder, path)
        if is_tar(path):
            with tarfile.open(path) as tar:
                return _take(_list_tar(tar), folder, path)
        return _unpack_single(path, folder)
    except CnnvizError:
        raise
    except _FAULTS as error:
        raise BadCheckpoint(f"{path.name} is cut short or damaged ({str(error)[:100]}). {AGAIN}") from None


def is_zip(path: Path) -> bool:
    """By the first bytes: a tar may end with a zip that lies in it."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def is_tar(path: Path) -> bool:
    """True for a tar, also one that is packed as a whole."""
    try:
        with path.open("rb") as file:
            head = file.read(6)
        reader = next((reader for magic, reader in SINGLE.items() if head.startswith(magic)), open)
        with reader(path, "rb") as file:  # type: ignore[operator]
            return file.read(512)[257:262] == b"ustar"
    except _FAULTS:
        return False


def _list_zip(archive: zipfile.ZipFile) -> list[_Member]:
    def member(info: zipfile.ZipInfo) -> _Member:
        return _Member(info.filename.replace("\\", "/"), info.file_size, lambda: archive.open(info))

    return [member(info) for info in archive.infolist()[:_MOST] if not info.is_dir()]


def _list_tar(archive: tarfile.TarFile) -> list[_Member]:
    def member(info: tarfile.TarInfo) -> _Member:
        return _Member(info.name.replace("\\", "/"), info.size, lambda: archive.extractfile(info))  # type: ignore[arg-type,return-value]

    found: list[_Member] = []
    for info in archive:  # one after the other: the list of a packed tar may be endless
        if len(found) >= _MOST:
            raise ValueError(f"more than {_MOST:,} files")
        if info.isfile():
            found.append(member(info))
    return found


def _take(members: list[_Member], folder: Path, path: Path) -> Path:
    shown = [m for m in members if not m.name.startswith("__MACOSX/") and not m.name.rpartition("/")[2].startswith(".")]
    if {"pickle", "storages", "tensors"} <= {m.name for m in shown}:
        raise BadCheckpoint(
            f"{path.name} is a file of torch 0.1, of 2016. Open it with torch 0.4 to 1.13, and save its state_dict "
            "again."
        )
    found = [m for m in shown if m.base.lower().endswith(WEIGHTS)] or [m for m in shown if _looks_like_weights(m)]
    settings = {m.folder for m in shown if m.base == "config.json"}
    models = {m.folder for m in found if m.folder in settings and find_model([m.base])}
    if len(models) == 1:  # HuggingFace's folder, whatever else lies there
        (place,) = models
        for member in shown:
            if member.folder == place and (member.base in (*SETTINGS, *INDEXES) or member in found):
                _copy(member, folder, _SETTINGS_BYTES if member.base.endswith(".json") else cap_bytes())
        return folder
    if not found:
        names = ", ".join(m.name[:60] for m in shown[:3]) or "nothing"
        kind = "zip archive" if is_zip(path) else "tar archive"
        raise BadCheckpoint(
            f"{path.name} is a {kind} without weights (it holds {names}). Give the weights file itself."
        )
    if len(found) > 1:
        names = ", ".join(m.name[:80] for m in found[:8]) + (f" and {len(found) - 8} more" if len(found) > 8 else "")
        raise BadCheckpoint(
            f"{path.name} holds {plural(len(found), 'weights file')}: {names}. Give the one that you mean."
        )
    for member in shown:  # what is said about it
        if member.base == f"{found[0].base}.json" and member.folder == found[0].folder:
            _copy(member, folder, _SETTINGS_BYTES)
    return _copy(found[0], folder, cap_bytes())


def _looks_like_weights(member: _Member) -> bool:
    """By the first bytes: a torch or safetensors file under a name that says nothing."""
    if member.size < 64:
        return False
    with member.open() as file:
        head = file.read(16)
    return head.startswith((b"PK\x03\x04", b"\x80\x02\x8a\nl\xfc\x9cF")) or head[8:9] == b"{" and head[7] == 0


def _copy(member: _Member, folder: Path, most: int) -> Path:
    with member.open() as source:
        return _write(source, folder / member.base, most, member.name)


def _unpack_single(path: Path, folder: Path) -> Path:
    with path.open("rb") as file:
        head = file.read(6)
    reader = next(reader for magic, reader in SINGLE.items() if head.startswith(magic))
    name = re.sub(r"[^\w.-]", "_", path.stem)[-80:].lstrip(".") or "weights"
    with reader(path, "rb") as source:  # type: ignore[operator]
        return _write(source, folder / name, cap_bytes(), path.name)


def _write(source: IO[bytes], target: Path, most: int, name: str) -> Path:
    done = 0
    with target.open("wb") as file:
        while piece := source.read(_CHUNK):
            done += len(piece)
            if done > most:
                raise BadCheckpoint(f"{name[:80]} unpacks to more than {most / 2**20:,.0f} MiB: refused.")
            file.write(piece)
    return target
