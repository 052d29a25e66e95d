"""Stand-ins for the classes that a pickle names: arguments of scripts, paths, scalars, arrays, modules of networks.

None of the classes that a file names is made. What stands for them copies nothing and calls nothing, since
a small file may name one of its own parts a million times."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

_LONGEST = 4096  # characters of a path or a text that is kept
_MOST_BYTES = 2**22  # of an array of texts
_TEXT = re.compile(r"U[1-9]\d{0,3}")  # NumPy's code of texts of so many characters
_NUMBERS = dict(
    zip("f2 f4 f8 b1 i1 i2 i4 i8 u1 u2 u4 u8".split(), "efd?bhiqBHIQ", strict=True)
)  # NumPy's code of a type → struct's
_NOTHING: Any = MappingProxyType({})  # one for all: a file may hold a million objects


@dataclass(slots=True, eq=False)
class StubClass:
    """For a class or function that has no stand-in of its own. `name`: in full, e.g. "torch.nn.modules.conv.Conv2d";
    `called`: the file calls it as a function."""

    name: str
    called: bool = False

    def make(self, arguments: tuple[object, ...] = ()) -> Stub:
        """What stands for an object of the class; it keeps the networks that it is made of."""
        inner = {str(place): part for place, part in enumerate(arguments[:8]) if isinstance(part, Stub)}
        return Stub(self.name, inner or _NOTHING)


@dataclass(slots=True, eq=False)
class Stub:
    """For an object: what the file fills into it. `state`: its attributes; `entries`: as of a dict; lists and sets of
    one's own classes stay empty."""

    kind: str
    state: Any = field(default_factory=lambda: _NOTHING)
    entries: Any = field(default_factory=lambda: _NOTHING)

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) == 2:  # attributes, and those in __slots__
            state = state[0] or state[1]
        self.state = state if isinstance(state, dict) else _NOTHING

    def __setitem__(self, key: Any, value: Any) -> None:
        if not self.entries:
            self.entries = {}
        self.entries[key] = value

    def append(self, _value: object) -> None:
        """Drop it."""

    extend = add = append

    @property
    def is_module(self) -> bool:
        """True for a torch.nn.Module, whatever its class is called: it keeps its layers and parameters so."""
        return all(isinstance(self.state.get(name), dict) for name in ("_modules", "_parameters"))


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
    """For a NumPy array: kept as stored in the file, and decoded where it is class names or weights."""

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

    def tensor(self) -> Tensor | None:
        """The numbers of an array of floating point with axes; None for any other one."""
        import numpy as np
        import torch

        _, sizes, kind, columns_first, data = self._state if len(self._state) == 5 else (None,) * 5
        if not isinstance(kind, ScalarType) or kind.code not in ("f2", "f4", "f8") or not isinstance(data, bytes):
            return None
        shape = [n for n in sizes if isinstance(n, int) and n > 0] if isinstance(sizes, tuple) else []
        if not shape or shape != list(sizes) or math.prod(shape) * int(str(kind.code)[1]) != len(data):  # type: ignore
            return None
        values = np.frombuffer(data, kind.order + str(kind.code)).reshape(shape, order="F" if columns_first else "C")
        return torch.from_numpy(values.astype(f"={kind.code}", order="C"))


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
    **{f"builtins.{name}": Dropped for name in "object list dict int float str bool bytes".split()},
}  # full name in a file → what is made instead
