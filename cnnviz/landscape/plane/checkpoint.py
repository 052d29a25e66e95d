"""Checkpoint of a surface: finished cells are appended to a file, so that a kill costs only the cell under way.

A file of cells lies beside the surface: one line of JSON that says what the surface is of, then records of
equal length, each with its checksum. It is only ever appended to. What a kill tore, or a disk damaged, fails
its checksum and is computed again."""

from __future__ import annotations

import json
import os
import struct
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from cnnviz.errors import BadInput, CnnvizError
from cnnviz.landscape.plane.grid import Cell
from cnnviz.landscape.results import Measured
from cnnviz.store import write_bytes_atomic

_RECORD = struct.Struct("<2I4dI")  # row, column, loss, accuracy, their errors, CRC-32 of what precedes
_SYNC = 2.0  # seconds between two that the disk confirms; a kill loses nothing, a power cut these
Found = dict[Cell, Measured]


class CellFile:
    """Appends cells to a file. `identity` names what must agree before it is continued."""

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path, self._synced = path, time.monotonic()
        try:
            if read_header(path) is None:
                write_bytes_atomic(path, json.dumps(identity, sort_keys=True).encode() + b"\n")
            self._file = open(path, "r+b")  # noqa: SIM115, closed by close()
            self._file.seek(_find_end(self._file.read()))
            self._file.truncate()
        except OSError as error:
            raise _describe_failure(path, error) from error

    def add(self, cell: Cell, found: Measured) -> None:
        """Write one finished cell. Raises CnnvizError if it cannot be written."""
        body = _RECORD.pack(*cell, found.loss, found.accuracy, found.loss_error, found.accuracy_error, 0)[:-4]
        try:
            self._file.write(body + zlib.crc32(body).to_bytes(4, "little"))
            self._file.flush()
            if time.monotonic() - self._synced > _SYNC:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            raise _describe_failure(self.path, error) from error

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def find_files(out: str | Path) -> list[Path]:
    """Files of cells of the surface `out`, by one process or several ranks."""
    out = Path(out)
    names = [f"{out.name}.cells", *(p.name for p in out.parent.glob("*.cells-*of*"))]
    own = [name for name in names if name == f"{out.name}.cells" or name.startswith(f"{out.name}.cells-")]
    return sorted(out.with_name(name) for name in own if out.with_name(name).is_file())


def name_file(out: str | Path, rank: int = 0, ranks: int = 1) -> Path:
    """Where a process writes the cells of the surface `out`."""
    part = f"-{rank}of{ranks}" if ranks > 1 else ""
    return Path(out).with_name(f"{Path(out).name}.cells{part}")


def read_header(path: Path) -> dict[str, Any] | None:
    """What a file of cells says it is of; None if there is no such file. Raises BadInput if it says nothing."""
    try:
        with open(path, "rb") as file:
            line = file.readline()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _describe_failure(path, error) from error
    try:
        header = json.loads(line)
    except ValueError:
        header = None
    if not isinstance(header, dict) or not line.endswith(b"\n"):
        raise BadInput(f"{path} is damaged or holds no cells of a surface. Delete it, or choose another file.")
    return header


def read_cells(path: Path, steps: int) -> Found:
    """The whole records of a file that lie in a steps × steps grid. A loss of NaN was not evaluated."""
    data = path.read_bytes()
    found: Found = {}
    for at in range(data.index(b"\n") + 1, len(data) - _RECORD.size + 1, _RECORD.size):
        *values, checksum = _RECORD.unpack_from(data, at)
        row, column, *numbers = values
        intact = zlib.crc32(data[at : at + _RECORD.size - 4]) == checksum
        if intact and max(row, column) < steps and not np.isnan(numbers[0]):
            found[row, column] = Measured(*numbers)
    return found


def _find_end(data: bytes) -> int:
    """Bytes up to the end of the last whole record."""
    start = data.index(b"\n") + 1
    return start + (len(data) - start) // _RECORD.size * _RECORD.size


def _describe_failure(path: Path, error: OSError) -> CnnvizError:
    return CnnvizError(
        f"Could not write {path}: {error.strerror or error}. What was finished is kept. Free space on that disk, or "
        "choose a folder that can be written."
    )
