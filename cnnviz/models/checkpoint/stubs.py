"""Stand-ins for harmless classes that training scripts pickle beside weights: argparse settings, paths, scalars.

None of the classes that a file names is made. What stands for them copies nothing and calls nothing, since
a small file may name one of its own parts a million times."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_LONGEST = 4096  # characters of a path or a text that is kept
_MOST_BYTES = 2**22  # of an array of texts
_TEXT = re.compile(r"U[1-9]\d{0,3}")  # NumPy's code of texts of so many characters
_NUMBERS = dict(
    zip("f2 f4 f8 b1 i1 i2 i4 i8 u1 u2 u4 u8".split(), "efd?bhiqBHIQ", strict=True)
)  # NumPy's code of a type → struct's


class Settings(Mapping[str, Any]):
    """For argparse.Namespace and types.SimpleNamespace: their fields, to be looked up by name."""

    _fields: dict[str, Any]

    def __new__(cls, *_arguments: object) -> Settings:
        made = super().__new__(cls)
        made._fields = {}
        return made

    def __init__(self, *_arguments: object) -> None: ...

    def __setstate__(self, state: object) -> None:
        self._fields = state if isinstance(state, dict) else {}

    def __getstate__(self) -> dict[str, Any]:
        return self._fields

    @property
    def fields(self) -> dict[str, Any]:
        """{name: value}, as the file's own dict."""
        return self._fields

    def __getitem__(self, key: str) -> Any:
        return self._fields[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class Dropped:
    """For objects that say nothing about a network: dates, the default factory of a defaultdict."""

    def __new__(cls, *_arguments: object) -> Dropped:
        return super().__new__(cls)

    def __init__(self, *_arguments: object) -> None: ...

    def __setstate__(self, _state: object) -> None: ...


class Array(Dropped):
    """For a NumPy array: kept as stored in the file; only arrays of class names are ever decoded."""

    _state: tuple[object, ...] = ()

    def __setstate__(self, state: object) -> None:
        self._state = state if isinstance(state, tuple) else ()

    def texts(self) -> list[str] | None:
        """The texts of a row of them; None for any other array."""
        _, shape, kind, _, data = self._state if len(self._state) == 5 else (None,) * 5
        if not isinstance(shape, tuple) or len(shape) != 1 or not isinstance(kind, ScalarType):
            return None
        if kind.code == "O8" and isinstance(data, list):
            return data if all(isinstance(text, str) for text in data) else None
        width = 4 * int(kind.code[1:]) if isinstance(kind.code, str) and _TEXT.fullmatch(kind.code) else 0
        if not width or not isinstance(data, bytes) or len(data) > _MOST_BYTES or len(data) % width:
            return None
        return [_decode(kind, data[at : at + width]) for at in range(0, len(data), width)]


class ScalarType:
    """For numpy.dtype: the code of a type and the order of its bytes."""

    def __init__(self, code: object = "", *_arguments: object) -> None:
        self.code, self.order = code, "<"

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">"):
            self.order = state[1]


def scalar(kind: object = None, data: object = None) -> float | int | bool | str | None:
    """For a NumPy scalar: the number, or the text, that it holds; None for any other kind."""
    if not isinstance(kind, ScalarType) or not isinstance(kind.code, str) or not isinstance(data, bytes):
        return None
    if kind.code in _NUMBERS:
        form = kind.order + _NUMBERS[kind.code]
        return struct.unpack(form, data)[0] if len(data) == struct.calcsize(form) else None
    return _decode(kind, data) if _TEXT.fullmatch(kind.code) and len(data) <= 4 * _LONGEST else None


def _decode(kind: ScalarType, data: bytes) -> str:
    return data.decode("utf-32-le" if kind.order == "<" else "utf-32-be", "replace").rstrip("\0")


def path_text(*parts: object) -> str | None:
    """For a path: its text, as it was written."""
    names = [part for part in parts[:_LONGEST] if isinstance(part, str)]
    if sum(map(len, names)) > _LONGEST:
        return None
    return "/".join(names).replace("//", "/")


def plain_dict(*_arguments: object) -> dict[Any, Any]:
    """For a defaultdict: a dict, which the file fills."""
    return {}


_PATHS = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
STAND_INS: dict[str, Callable[..., Any]] = {
    "argparse.Namespace": Settings,
    "types.SimpleNamespace": Settings,
    "collections.defaultdict": plain_dict,
    "numpy.dtype": ScalarType,
    "numpy.ndarray": Array,
    **{f"{module}.{name}": path_text for module in ("pathlib", "pathlib._local") for name in _PATHS},
    **{f"{module}.multiarray.scalar": scalar for module in ("numpy.core", "numpy._core")},
    **{f"{module}.multiarray._reconstruct": Array for module in ("numpy.core", "numpy._core")},
    **{f"datetime.{name}": Dropped for name in ("datetime", "date", "time", "timedelta")},
    **{f"builtins.{name}": Dropped for name in ("list", "dict", "int", "float", "str", "bool", "bytes")},
}  # full name in a file → what is made instead
