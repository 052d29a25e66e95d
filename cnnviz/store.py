"""Results on disk: arrays with their provenance as JSON, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from cnnviz.errors import BadInput, CnnvizError
from cnnviz.paths import NOWHERE

_META = "meta.json"  # entry of the .npz that holds the JSON


@contextmanager
def atomic(path: str | Path) -> Iterator[BinaryIO]:
    """Yield a binary file that takes the place of `path` when the block ends well.

    The temporary file lies in the same folder, is flushed to the disk and then renamed, so that a
    reader or a crash sees the old file or the whole new one. Folders are made as needed. An exception
    in the block leaves the old file as it was. Raises CnnvizError if the file cannot be written, e.g.
    because the disk is full."""
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(draft, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        raise CnnvizError(
            f"Could not write {path}: {error.strerror or error}. What was there is unchanged. "
            "Free space on that disk, or choose a folder that can be written."
        ) from error
    finally:
        with suppress(OSError):  # it was renamed, or never made
            draft.unlink()


def why_unwritable(folder: str | Path) -> str:
    """Why no file of a megabyte can be written into a folder that is there or would be made; "" if one can."""
    folder = Path(folder)
    if NOWHERE in (folder, *folder.parents):
        return "This user has no home folder"
    there = next((one for one in (folder, *folder.parents) if is_there(one)), folder)
    trial = there / f".cnnviz-{secrets.token_hex(6)}"
    try:
        with open(trial, "xb") as file:
            file.write(bytes(1 << 20))
    except OSError as error:
        return error.strerror or str(error)
    finally:
        with suppress(OSError):
            trial.unlink()
    return ""


def is_there(path: Path) -> bool:
    """True if there is a file or folder at `path`; False also for a name that no disk can hold."""
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or with a zero byte
        return False


def shorten_file_name(name: str, most: int = 100) -> str:
    """A file's name that every disk can hold: of a longer one the middle goes, and a hash tells it apart."""
    if len(name) <= most:
        return name
    mark = hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
    ends = most - len(mark) - 2
    return f"{name[: ends // 2]}-{mark}-{name[-(ends - ends // 2) :]}"


def write_bytes_atomic(path: str | Path, data: bytes | memoryview) -> None:
    """Write `data` to `path`, whole or not at all. Raises CnnvizError as `atomic` does."""
    with atomic(path) as file:
        file.write(data)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON; NumPy scalars and arrays become plain numbers and lists.

    Raises BadInput for values that JSON has no form for, CnnvizError as `atomic` does."""
    write_bytes_atomic(path, _as_json(value, indent=1).encode())


def read_json(path: str | Path) -> Any:
    """What a JSON file holds. Raises BadInput if it is missing or damaged."""
    try:
        return json.loads(Path(path).read_bytes())
    except OSError as error:
        raise BadInput(f"Could not read {path}: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is no JSON ({error}). Write it again or delete it.") from error


def save_arrays(path: str | Path, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
    """Write arrays and their provenance as one .npz that NumPy alone can open.

    Uncompressed; `meta` is the entry "meta.json". Raises BadInput for arrays of Python objects and for
    the name "meta.json", CnnvizError as `atomic` does."""
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject or name == _META:
            raise BadInput(f"Array {name!r} cannot be stored: numbers or text expected, under another name.")
    text = _as_json(meta)
    with atomic(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_META, text)
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)


def load_arrays(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(arrays, meta) as `save_arrays` wrote them; nothing is unpickled.

    Raises BadInput if the file is missing, damaged or of another kind."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            meta = json.loads(archive[_META])
            return {name: archive[name] for name in archive.files if name != _META}, meta
    except FileNotFoundError:
        raise BadInput(f"There is no file {path}.") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path} is damaged or no cnnviz result ({error}). Delete it and compute again.") from error


def _as_json(value: Any, indent: int | None = None) -> str:
    try:
        return json.dumps(value, indent=indent, ensure_ascii=False, default=_to_plain)
    except (TypeError, ValueError) as error:
        raise BadInput(f"This cannot be written as JSON: {error}.") from error


def _to_plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
