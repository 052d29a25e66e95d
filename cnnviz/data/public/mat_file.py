"""Read the numeric arrays of a MATLAB 5 file, as data sets of the time keep their labels in, without SciPy.

Source: MathWorks, MAT-File Format, level 5."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cnnviz.errors import BadInput

_HEADER, _COMPRESSED, _MATRIX = 128, 15, 14
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_COMPLEX = 0x0800  # of an array's flags
_LARGEST = 1 << 26  # bytes of an unpacked variable


def read_mat(path: Path) -> dict[str, np.ndarray]:
    """{name: array} of the numeric variables of a .mat file; variables of other kinds are left out.

    Raises BadInput if it is damaged or of another format."""
    try:
        content = path.read_bytes()
        if len(content) < _HEADER or content[126:128] not in (b"IM", b"MI"):
            raise ValueError("it has not the header of a MATLAB 5 file")
        order = "<" if content[126:128] == b"IM" else ">"
        return dict(_read_variables(content[_HEADER:], order))
    except (OSError, ValueError, struct.error, zlib.error, IndexError) as error:
        raise BadInput(f"{path.name} cannot be read: {error}. Delete it and get it again.") from error


def _read_variables(data: bytes, order: str) -> Iterator[tuple[str, np.ndarray]]:
    for kind, payload in _split(data, order):
        if kind == _COMPRESSED:
            unpacker = zlib.decompressobj()
            inner = unpacker.decompress(payload, _LARGEST)
            if not unpacker.eof:
                raise ValueError("a variable is cut short or too large")
            yield from _read_variables(inner, order)
        elif kind == _MATRIX:
            yield from _read_matrix(payload, order)


def _read_matrix(data: bytes, order: str) -> Iterator[tuple[str, np.ndarray]]:
    (_, flags), (_, sizes), (_, name), *rest = _split(data, order)
    (word,) = struct.unpack(f"{order}I", flags[:4])
    if word & _COMPLEX or not rest or rest[0][0] not in _TYPES:
        return
    shape = np.frombuffer(sizes, f"{order}i4")
    values = np.frombuffer(rest[0][1], order + _TYPES[rest[0][0]])
    yield name.decode("ascii"), values.reshape(tuple(int(size) for size in shape), order="F")


def _split(data: bytes, order: str) -> list[tuple[int, bytes]]:
    """(type, contents) of the elements in `data`: long ones, and those of up to 4 bytes within their tag."""
    found, at = [], 0
    while at + 8 <= len(data):
        kind, size = struct.unpack(f"{order}2I", data[at : at + 8])
        if kind >> 16:  # a small element: size and type share a word
            kind, size, start, step = kind & 0xFFFF, kind >> 16, at + 4, 8
        else:
            start = at + 8
            step = 8 + (size if kind == _COMPRESSED else -(-size // 8) * 8)  # padded to 8 bytes
        if start + size > len(data):
            raise ValueError("it ends too early")
        found.append((kind, data[start : start + size]))
        at += step
    return found
