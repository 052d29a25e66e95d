"""Check what a torch file declares, names and sizes, before anything of it is loaded or run.

`torch.load(weights_only=True)` runs no code, yet a deflated archive grows a thousandfold and 1.6 KB can
declare 10^10 elements. Here the pickle is read by an inert reader that only notes names and sizes."""

from __future__ import annotations

import math
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from cnnviz.errors import BadCheckpoint, BadInput
from cnnviz.models.checkpoint.stubs import STAND_INS

INSTEAD = "In the program that made it, write torch.save(model.state_dict(), 'weights.pt') instead."
AGAIN = "Copy or download it again."
PICKLE_BYTES = 2**23  # the list of contents: about 200 bytes a tensor; as Python objects it is 60 times as large
_ENTRIES = 100_000  # parts of one tuple, those of the tuples in it too: shared ones make it 2 to the power of lines
_MODULES = set(
    "torch torch._utils torch._tensor torch.storage torch.serialization torch.nn.parameter collections "
    "numpy.dtypes".split()
)
_NAMES = {*STAND_INS, "builtins.set", "builtins.complex", "_codecs.encode"}  # of other modules
_ITEM_BYTES = {
    "ComplexDoubleStorage": 16,
    **dict.fromkeys(("DoubleStorage", "LongStorage", "ComplexFloatStorage"), 8),
    **dict.fromkeys(("FloatStorage", "IntStorage", "QInt32Storage"), 4),
    **dict.fromkeys(("HalfStorage", "BFloat16Storage", "ShortStorage"), 2),
}  # the others hold one byte an element


def cap_bytes() -> int:
    """$CNNVIZ_MAX_WEIGHTS_MB (default 4096) in bytes: the cap of a file and of all its tensors together.

    Raises BadInput if it is no number."""
    limit = os.environ.get("CNNVIZ_MAX_WEIGHTS_MB") or "4096"
    try:
        return int(float(limit) * 2**20)
    except (ValueError, OverflowError):
        raise BadInput(f"CNNVIZ_MAX_WEIGHTS_MB must be a number of MiB, got {limit!r}.") from None


def survey_zip(path: Path) -> None:
    """Check a torch archive: entries stored, not deflated; sizes within the file; tensors within their
    entries; no program and no foreign objects inside. Raises BadCheckpoint with the reason."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BadCheckpoint(f"{path.name} is cut short or damaged ({error}). {AGAIN}") from None
    with archive:
        entries = {entry.filename.partition("/")[2]: entry for entry in archive.infolist()}
        _check_entries(archive, entries, path)
        pickled = entries["data.pkl"]
        try:
            with archive.open(pickled) as file:
                survey = _read_survey(_Bounded(BytesIO(file.read(PICKLE_BYTES)), pickled.file_size), path)
        except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
            raise BadCheckpoint(f"{path.name} is cut short or damaged ({error}). {AGAIN}") from None
    for key, declared in survey.storages.items():
        held = entries[f"data/{key}"].file_size if f"data/{key}" in entries else 0
        if declared > held:
            raise BadCheckpoint(f"{path.name} declares {declared:,} bytes where it holds {held:,}: refused unread.")


def survey_legacy(path: Path) -> None:
    """Check a file of torch before 1.6: four pickles (magic, version, system, content), the list of
    storages, then their bytes. Raises BadCheckpoint with the reason."""
    size = path.stat().st_size
    with path.open("rb") as file:
        bounded = _Bounded(file, min(size, PICKLE_BYTES))
        content = [_read_survey(bounded, path) for _ in range(4)][-1]
        _read_survey(bounded, path)
        left = size - file.tell()
    declared = sum(content.storages.values())
    if declared > left:
        raise BadCheckpoint(
            f"{path.name} is cut short, or false: it declares {declared:,} bytes of tensors and holds {left:,}. {AGAIN}"
        )


def is_intact(path: Path) -> bool:
    """True unless the file is an archive whose contents differ from their own CRC-32 sums."""
    if not zipfile.is_zipfile(path):
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError):
        return False


def _check_entries(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], path: Path) -> None:
    if "constants.pkl" in entries or any(name.startswith("code/") for name in entries):
        raise BadCheckpoint(f"{path.name} is a TorchScript archive, which is a program, not weights. {INSTEAD}")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
        raise BadCheckpoint(f"{path.name} is a compressed archive, and torch.save never compresses. {INSTEAD}")
    if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
        raise BadCheckpoint(f"{path.name} declares more data than it holds: refused unread. {INSTEAD}")
    if any(".." in entry.filename.replace("\\", "/").split("/") for entry in archive.infolist()):
        raise BadCheckpoint(f"{path.name} holds names that lead out of the archive ('..'): refused. {INSTEAD}")
    tops = {entry.filename.partition("/")[0] for entry in archive.infolist()}
    if "data.pkl" in entries and (len(tops) > 1 or len(entries) < len(archive.infolist())):
        raise BadCheckpoint(f"{path.name} is a zip archive of several things, not one set of weights. {INSTEAD}")
    if "data.pkl" not in entries:
        raise BadCheckpoint(f"{path.name} is a zip archive without weights. {INSTEAD}")
    if entries["data.pkl"].file_size > PICKLE_BYTES:
        raise BadCheckpoint(
            f"{path.name} has a list of contents of {entries['data.pkl'].file_size:,} bytes; "
            f"{PICKLE_BYTES:,} are allowed. {INSTEAD}"
        )


class _Bounded:
    """The next `size` bytes of a file; asking for more fails instead of allocating."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.left = file, size

    def read(self, count: int) -> bytes:
        if not 0 <= count <= self.left:
            raise EOFError("it ends in the middle")
        self.left -= count
        return self.file.read(count)

    def readline(self) -> bytes:
        line = self.file.readline(1 << 16)
        self.left -= len(line)
        return line


class _Inert:
    """Stands for whatever a pickle names: it can be made and filled, and does nothing."""

    def __new__(cls, *_arguments: Any) -> _Inert:
        return object.__new__(cls)

    def __init__(self, *_arguments: Any) -> None: ...

    def __setstate__(self, _state: Any) -> None: ...

    def __setitem__(self, _key: Any, _value: Any) -> None: ...

    append = extend = add = __setstate__


def _count_parts(load: Callable[[Any], None]) -> Callable[[Any], None]:
    """The reader of one kind of tuple, which counts the parts: tuples of one another twice over take 2ⁿ
    steps to hash or to compare."""

    def weigh(survey: Any) -> None:
        load(survey)
        made = survey.stack[-1]
        survey.parts[id(made)] = parts = 1 + sum(survey.parts.get(id(part), 1) for part in made)
        if parts > _ENTRIES:
            raise ValueError(f"tuples in tuples with {parts:,} parts")

    return weigh


class _Survey(pickle._Unpickler):  # the Python one: C's makes its memo as large as the file asks
    """Reads a pickle without importing or running anything in it; notes names, storages and tensors."""

    dispatch = pickle._Unpickler.dispatch | {
        code[0]: _count_parts(pickle._Unpickler.dispatch[code[0]])
        for code in (pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3)
    }

    def __init__(self, file: _Bounded) -> None:
        super().__init__(file)
        self.foreign: list[str] = []
        self.storages: dict[str, int] = {}  # key → bytes declared
        self.tensors: list[tuple[Any, ...]] = []  # arguments of the functions that rebuild tensors
        self.parts: dict[int, int] = {}  # id of a tuple → its parts, to the last

    def find_class(self, module: str, name: str) -> type:
        if module not in _MODULES and f"{module.replace('__builtin__', 'builtins')}.{name}" not in _NAMES:
            self.foreign.append(f"{module}.{name}")
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict

        def noting(cls: type[_Inert], *arguments: Any) -> _Inert:
            self.tensors.append(arguments)
            return object.__new__(cls)

        return type(name, (_Inert,), {"__new__": noting} if "_rebuild_" in name else {})

    def persistent_load(self, pid: Any) -> Any:
        if pid[0] == "module":  # how torch before 1.6 stored the class of a whole module
            self.foreign.append(getattr(pid[1], "__name__", "a module"))
            return _Inert
        _, kind, key, _, count = pid[:5]
        item = _ITEM_BYTES.get(getattr(kind, "__name__", ""), 1)
        self.storages[str(key)] = int(count) * item
        return (item, int(count))

    def impossible(self) -> str | None:
        """What no honest file declares: a tensor that reaches beyond what is stored for it."""
        for arguments in self.tensors:
            if len(arguments) < 4 or not isinstance(arguments[0], tuple):
                continue
            (_, held), offset, sizes, strides = arguments[:4]
            reach = offset + sum((n - 1) * step for n, step in zip(sizes, strides, strict=True)) + 1
            needed = max(math.prod(sizes), reach) if all(sizes) else 0
            if needed > held or min((*sizes, *strides, offset), default=0) < 0:
                return f"declares a tensor of {math.prod(sizes):,} elements and stores {held:,}"
        return None


def _read_survey(file: _Bounded, path: Path) -> _Survey:
    survey = _Survey(file)
    try:
        survey.load()
        impossible = survey.impossible()
    except Exception as error:  # a hostile pickle can raise anything; all of it means the same
        _refuse_foreign(survey, path)
        reason = f"{type(error).__name__}: {str(error)[:100]}"
        raise BadCheckpoint(f"{path.name} is cut short or damaged ({reason}). {AGAIN}") from None
    _refuse_foreign(survey, path)
    if impossible:
        raise BadCheckpoint(f"{path.name} {impossible}: refused unread. {INSTEAD}")
    return survey


def _refuse_foreign(survey: _Survey, path: Path) -> None:
    if survey.foreign:
        names = ", ".join(list(dict.fromkeys(survey.foreign))[:4])[:200]
        raise BadCheckpoint(
            f"{path.name} holds pickled Python objects ({names}), which can run code when opened. {INSTEAD}"
        )
