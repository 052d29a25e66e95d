"""Read the containers of torch.save: a zip of a pickle and of storages, or before torch 1.6 one after the other.

Every size is checked against the file before anything is unpacked: a deflated archive grows a thousandfold, and 1.6 KB
can declare 10^10 elements."""

from __future__ import annotations

import os
import struct
import zipfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from cnnviz.errors import BadCheckpoint, BadInput
from cnnviz.models.checkpoint.pickled import PICKLE_BYTES, Bounded, StorageTable, read_pickle
from cnnviz.wording import plural

if TYPE_CHECKING:
    from torch import Tensor

INSTEAD = "In the program that made it, write torch.save(model.state_dict(), 'weights.pt') instead."
AGAIN = "Copy or download it again."


def cap_bytes() -> int:
    """$CNNVIZ_MAX_WEIGHTS_MB (default 4096) in bytes: the cap of a file and of all its tensors together.

    Raises BadInput if it is no number."""
    limit = os.environ.get("CNNVIZ_MAX_WEIGHTS_MB") or "4096"
    try:
        return int(float(limit) * 2**20)
    except (ValueError, OverflowError):
        raise BadInput(f"CNNVIZ_MAX_WEIGHTS_MB must be a number of MiB, got {limit!r}.") from None


def read_zip(path: Path) -> Any:
    """What a torch archive holds. Its entries must be stored, not deflated, lie within the file, and be one set of
    weights. Raises BadCheckpoint with the reason."""
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            entries = {entry.filename.partition("/")[2]: entry for entry in archive.infolist()}
            _check_entries(archive, entries, path)
            listed = entries["data.pkl"]
            held = {name[5:]: entry.file_size for name, entry in entries.items() if name.startswith("data/")}
            storages = StorageTable(held, sum(held.values()))
            with archive.open(listed) as pickled:
                content = read_pickle(Bounded(BytesIO(pickled.read(PICKLE_BYTES)), listed.file_size), storages)
            big = "byteorder" in entries and archive.read(entries["byteorder"]) == b"big"
            for key, buffer in storages.buffers.items():
                _seek_data(file, entries[f"data/{key}"])
                _fill(buffer, file)
                if big:
                    buffer.copy_(buffer.view(-1, storages.widths[key]).flip(1).flatten())
    except BadCheckpoint as error:
        raise _name(error, path) from None
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
        raise BadCheckpoint(f"{path.name} is cut short or damaged ({error}). {AGAIN}") from None
    return content


def read_legacy(path: Path) -> Any:
    """What a file of torch before 1.6 holds: four pickles (magic, version, system, content), the list of storages, then
    their lengths and bytes. Raises BadCheckpoint with the reason."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            bounded = Bounded(file, min(size, PICKLE_BYTES))
            storages = StorageTable(None, size)
            content = [read_pickle(bounded, storages) for _ in range(4)][-1]
            keys = read_pickle(bounded, storages)
            declared, left = sum(buffer.numel() for buffer in storages.buffers.values()), size - file.tell()
            if declared > left:
                raise BadCheckpoint(
                    f"is cut short, or false: it declares {plural(declared, 'byte')} of tensors and holds "
                    f"{left:,}. {AGAIN}"
                )
            if not isinstance(keys, list) or {str(key) for key in keys} < storages.buffers.keys():
                raise BadCheckpoint(f"is cut short or damaged (its list of storages lacks some). {AGAIN}")
            for key in map(str, keys):
                count = int.from_bytes(file.read(8), "little")
                buffer = storages.buffers.get(key)
                if buffer is None or count * storages.widths[key] != buffer.numel():
                    raise BadCheckpoint(f"is cut short or damaged (storage {key[:40]} has another size). {AGAIN}")
                _fill(buffer, file)
    except BadCheckpoint as error:
        raise _name(error, path) from None
    except (OSError, EOFError) as error:
        raise BadCheckpoint(f"{path.name} is cut short or damaged ({error}). {AGAIN}") from None
    return content


def is_intact(path: Path) -> bool:
    """True unless the file is an archive whose contents differ from their own CRC-32 sums."""
    if not zipfile.is_zipfile(path):
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError):
        return False


def _name(error: BadCheckpoint, path: Path) -> BadCheckpoint:
    text = str(error)
    return error if text.startswith(path.name) else BadCheckpoint(f"{path.name} {text}")


def _seek_data(file: BinaryIO, entry: zipfile.ZipInfo) -> None:
    """Go to the first byte of a stored entry, which its own header stands before."""
    file.seek(entry.header_offset + 26)
    name, extra = struct.unpack("<HH", file.read(4))
    file.seek(name + extra, os.SEEK_CUR)


def _fill(buffer: Tensor, file: BinaryIO) -> None:
    if buffer.numel() and file.readinto(buffer.numpy()) != buffer.numel():  # type: ignore[attr-defined]
        raise EOFError("it ends in the middle")


def _check_entries(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], path: Path) -> None:
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
        raise BadCheckpoint(f"{path.name} is a compressed archive, and torch.save never compresses. {INSTEAD}")
    if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
        raise BadCheckpoint(f"{path.name} declares more data than it holds: refused unread. {INSTEAD}")
    if any(".." in entry.filename.replace("\\", "/").split("/") for entry in archive.infolist()):
        raise BadCheckpoint(f"{path.name} holds names that lead out of the archive ('..'): refused. {INSTEAD}")
    tops = {entry.filename.partition("/")[0] for entry in archive.infolist()}
    if len(tops) > 1 or len(entries) < len(archive.infolist()):
        raise BadCheckpoint(f"{path.name} is a zip archive of several things, not one set of weights. {INSTEAD}")
    if entries["data.pkl"].file_size > PICKLE_BYTES:
        raise BadCheckpoint(
            f"{path.name} has a list of contents of {plural(entries['data.pkl'].file_size, 'byte')}; "
            f"{PICKLE_BYTES:,} are allowed. {INSTEAD}"
        )
