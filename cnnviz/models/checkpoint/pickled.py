"""Read the pickles of torch.save without running them: nothing that they name is imported, made or called.

Tensors are made here, of bytes that the file is known to hold; all else is plain values and stand-ins
(`stubs`). A pickle that calls what no network needs is refused, although the call would come to nothing here: whoever
opens the file elsewhere should know."""

from __future__ import annotations

import math
import pickle
import re
import sys
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO

from cnnviz.errors import BadCheckpoint
from cnnviz.models.checkpoint.stubs import STAND_INS, Array, Dropped, ScalarType, Settings, Stub, StubClass
from cnnviz.wording import plural

if TYPE_CHECKING:
    import torch
    from torch import Tensor

PICKLE_BYTES = 2**23  # the list of contents: about 200 bytes a tensor; as Python objects it is 60 times as large
_PARTS, _DEEPEST = 100_000, 1_000  # of one tuple, those of the tuples in it too: shared ones make it 2ⁿ
_NAMES, _OBJECTS = 10_000, 100_000  # different classes in a file; objects of them, and tuples with tuples
_REFERRED = ("torch.", "numpy.dtypes.", "typing.")  # packages whose names stand in files as settings
_HOLDERS = ("functools.partial", "builtins.getattr", "torch.device")  # calls that only keep what they are given
_PROGRAMS = re.compile(
    r"(os|posix|nt|pty|subprocess|shutil|runpy|importlib|socket|ctypes)\.|builtins\.(eval|exec|compile|open|__import__)$"
)  # what no network refers to, even uncalled
_DTYPES = {
    **{f"{name}Storage": name.lower() for name in ("Double", "Float", "Half", "BFloat16", "Bool")},
    **dict(ComplexDoubleStorage="complex128", ComplexFloatStorage="complex64", LongStorage="int64"),
    **dict(IntStorage="int32", ShortStorage="int16", CharStorage="int8", ByteStorage="uint8", UntypedStorage="uint8"),
    **dict(QInt8Storage="int8", QUInt8Storage="uint8", QInt32Storage="int32"),
}  # a storage's class → torch's name of the type of its values
_QUANTISED = ("torch.ao.nn.quantized.", "torch.nn.quantized.", "torch.ao.nn.intrinsic.", "__torch__.torch.classes.")


class StorageTable:
    """Room for the storages that a pickle names, never more than the file holds; filled once it has been read.

    `held`: {key: bytes in the file}, or None where they follow one another in the `left` bytes after the pickle."""

    def __init__(self, held: Mapping[str, int] | None, left: int) -> None:
        self._held, self._left = held, left
        self.buffers: dict[str, Tensor] = {}  # key → its bytes
        self.widths: dict[str, int] = {}  # key → bytes of one value

    def allot(self, key: str, dtype: torch.dtype, count: int) -> Tensor:
        """Room for `count` values under `key`. Raises BadCheckpoint if the file holds fewer."""
        import torch

        if key not in self.buffers:
            declared = count * dtype.itemsize
            held = self._left if self._held is None else self._held.get(key, 0)
            if not 0 <= declared <= held:
                if self._held is None:
                    raise BadCheckpoint(
                        f"is cut short, or false: it declares {plural(declared, 'byte')} of tensors and holds "
                        f"{held:,}. "
                        "Copy or download it again."
                    )
                raise BadCheckpoint(f"declares {plural(declared, 'byte')} where it holds {held:,}: refused unread.")
            self._left -= declared
            self.buffers[key] = torch.empty(declared, dtype=torch.uint8)
            self.widths[key] = dtype.itemsize
        return self.buffers[key]


@dataclass(frozen=True, slots=True, eq=False)
class _Storage:
    buffer: Tensor
    dtype: torch.dtype
    start: int = 0  # values before the part that is meant: views of torch before 0.4


class Bounded:
    """The next `size` bytes of a file; asking for more fails instead of allocating."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.left = file, size

    def read(self, count: int) -> bytes:
        """The next `count` bytes. Raises EOFError if there are fewer."""
        if not 0 <= count <= self.left:
            raise EOFError("it ends in the middle")
        self.left -= count
        return self.file.read(count)

    def readline(self) -> bytes:
        """The next line, 64 KiB of it at most."""
        line = self.file.readline(1 << 16)
        self.left -= len(line)
        return line


def read_pickle(file: Bounded, storages: StorageTable) -> Any:
    """What a pickle of torch.save holds, with tensors of the bytes in `storages`, which are still to be filled.

    Raises BadCheckpoint, a phrase without the file's name, if it is damaged, declares more than it holds, or calls
    what no network needs."""
    reader = _Reader(file, storages)
    try:
        content = reader.load()
    except BadCheckpoint:
        reader.refuse_programs()
        raise
    except Exception as error:  # a hostile pickle can raise anything; all of it means the same
        reader.refuse_programs()
        reason = f"{type(error).__name__}: {str(error)[:100]}"
        raise BadCheckpoint(f"is cut short or damaged ({reason}). Copy or download it again.") from None
    reader.refuse_programs()
    return content


def list_names(data: bytes, most: int = 100) -> list[str]:
    """The classes and functions that a pickle names, in order, as far as it can be read: for messages."""
    reader = _Reader(Bounded(BytesIO(data), len(data)), StorageTable({}, 0))
    try:
        reader.load()
    except Exception:  # whatever it is, nobody goes on with it
        pass
    return list(reader.classes)[:most]


def _guard(code: bytes) -> Callable[[Any], None]:
    """The reader of one kind of tuple, which counts parts and depth: tuples of one another twice over take 2ⁿ steps to
    hash or to compare."""
    load = pickle._Unpickler.dispatch[code[0]]  # type: ignore[attr-defined]

    def read(reader: Any) -> None:
        load(reader)
        made = reader.stack[-1]
        inner = [reader.sizes.get(id(part), (len(part), 1)) for part in made if type(part) is tuple and part]
        if not inner:
            return
        parts = 1 + len(made) + sum(count for count, _ in inner)
        depth = 1 + max(depth for _, depth in inner)
        if parts > _PARTS or depth > _DEEPEST:
            raise ValueError(f"tuples in tuples with {parts:,} parts")
        if len(reader.kept) >= _OBJECTS:
            raise ValueError(f"more than {_OBJECTS:,} tuples of tuples")
        reader.sizes[id(made)] = parts, depth
        reader.kept.append(made)  # an id names the one tuple as long as it lives

    return read


class _Reader(pickle._Unpickler):  # type: ignore[name-defined,misc]  # the Python one: C's makes its memo as large as
    """the file asks. Every instruction that could reach into Python is replaced."""

    stack: list[Any]
    append: Callable[[Any], None]

    def __init__(self, file: Bounded, storages: StorageTable) -> None:
        super().__init__(file, encoding="latin1")  # texts of Python 2
        self.storages = storages
        self.classes: dict[str, StubClass] = {}
        self.made: list[Stub] = []
        self.sizes: dict[int, tuple[int, int]] = {}  # id of a tuple → its parts, its depth
        self.kept: list[object] = []
        self.copied = 0  # parts that calls have copied

    # ---- names -----------------------------------------------------------------------------------------

    def find_class(self, module: str, name: str) -> Any:
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))  # of Python 2
        full = f"{module}.{name}"
        if known := _TABLE.get(full) or STAND_INS.get(full):
            return known
        if full.startswith("torch._utils._rebuild_"):
            return _rebuild_odd
        if full not in self.classes and len(self.classes) >= _NAMES:
            raise ValueError("more than 10,000 classes")
        return self.classes.setdefault(full, StubClass(full))

    def get_extension(self, code: int) -> Any:
        raise ValueError("a class by number")

    def persistent_load(self, pid: Any) -> Any:
        import torch

        if pid[0] == "module":  # how torch before 1.6 kept the class of a whole module: (class, file, source)
            return pid[1]
        _, kind, key, _, count, *view = pid
        name = kind.name.rpartition(".")[2]
        if name not in _DTYPES:
            raise BadCheckpoint(
                f"holds values of a type that is not read here ({name[:40]}), quantised perhaps. Convert the network "
                "to float32 and save its state_dict again."
            )
        width = getattr(torch, _DTYPES[name])
        buffer = self.storages.allot(str(key), width, int(count))
        return _Storage(buffer, width, int(view[0][1]) if view and view[0] else 0)

    # ---- objects ---------------------------------------------------------------------------------------

    def call(self, function: Any, arguments: tuple[Any, ...]) -> Any:
        """What stands for the outcome of a call."""
        if isinstance(function, StubClass):
            function.called |= bool(arguments) or not _may_be_called(function.name)
            bound = function.name == "builtins.getattr" and arguments and isinstance(arguments[0], Stub)
            return arguments[0] if bound else self._make(function, arguments)  # torch.save(net.state_dict), no brackets
        if isinstance(function, Stub):  # what a call has returned is called
            return self.call(self.classes.setdefault(f"{function.kind}.call", StubClass("call")), (function,))
        if function is _reconstruct:
            return self.new(arguments[0], ())
        if function not in _CALLABLE:
            raise ValueError(f"a call of {str(function)[:40]!r}")
        if function in (OrderedDict, set, frozenset, tuple, _encode):
            self.copied += sum(len(part) for part in arguments if isinstance(part, str | list | tuple | dict | set))
            if self.copied > PICKLE_BYTES:  # the same part again and again
                raise ValueError("copies of copies")
        return function(*arguments)

    def new(self, cls: Any, arguments: tuple[Any, ...]) -> Any:
        """What stands for a new object of `cls`."""
        return self._make(cls) if isinstance(cls, StubClass) else self.call(cls, arguments)

    def _make(self, cls: StubClass, arguments: tuple[Any, ...] = ()) -> Stub:
        if len(self.made) >= _OBJECTS:
            raise ValueError(f"more than {_OBJECTS:,} objects")
        self.made.append(made := cls.make(arguments))
        return made

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = self.call(self.stack[-1], tuple(arguments))

    def load_newobj(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = self.new(self.stack[-1], tuple(arguments))

    def load_newobj_ex(self) -> None:
        self.stack.pop()
        self.load_newobj()

    def _instantiate(self, cls: Any, arguments: Any) -> None:
        self.append(self.call(cls, tuple(arguments)))

    def load_build(self) -> None:
        state = self.stack.pop()
        if type(self.stack[-1]) in _FILLED:
            self.stack[-1].__setstate__(state)

    dispatch = pickle._Unpickler.dispatch | {  # type: ignore[assignment]
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_newobj,
        pickle.NEWOBJ_EX[0]: load_newobj_ex,
        pickle.BUILD[0]: load_build,
        **{code[0]: _guard(code) for code in (pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3)},
    }

    # ---- what is refused -------------------------------------------------------------------------------

    def refuse_programs(self) -> None:
        """Raise BadCheckpoint if the pickle calls functions, or names what a file of weights does not need.

        Objects that are only made and filled are data, whatever their class. Beside the modules of a network any class
        may be named, and those that are not Python's own be called, as members of enumerations are."""
        if packed := [name for name in self.classes if name.startswith(_QUANTISED)]:
            raise BadCheckpoint(
                f"holds a quantised network ({packed[0][:80]}), whose weights are packed; only those of the network "
                "in float32 can be read. Save the state_dict from before it was quantised."
            )
        called = {name for name, cls in self.classes.items() if cls.called}
        if any(made.is_module for made in self.made):
            foreign = [name for name in called if not _may_be_called(name)] or list(
                filter(_PROGRAMS.match, self.classes)
            )
        else:
            known = {made.kind for made in self.made} - called
            known |= {name for name in self.classes if name.startswith(_REFERRED) and name not in called}
            foreign = [name for name in self.classes if name not in known and name != "torch.device"]
        if foreign:
            names = ", ".join(foreign[:4])[:200]
            raise BadCheckpoint(
                f"holds pickled Python objects ({names}), which can run code when opened. In the program that made it, "
                "write torch.save(model.state_dict(), 'weights.pt') instead."
            )


def _may_be_called(name: str) -> bool:
    """True for classes that are not of Python itself; calls of functions, and of Python's classes, run programs."""
    module, _, last = name.rpartition(".")
    if name in _HOLDERS:
        return True
    return module.partition(".")[0] not in sys.stdlib_module_names and last.lstrip("_")[:1].isupper()


# ---- tensors -----------------------------------------------------------------------------------------------


def _rebuild(storage: Any, offset: Any, sizes: Any, strides: Any, *rest: Any) -> Tensor:
    return _view(storage, offset, sizes, strides, storage.dtype)


def _rebuild_typed(storage: Any, offset: Any, sizes: Any, strides: Any, *rest: Any) -> Tensor:
    """Types younger than the classes of storages: rest = (requires_grad, hooks, type, …)."""
    import torch

    dtype = getattr(torch, rest[2].name.removeprefix("torch."))
    if not isinstance(dtype, torch.dtype):
        raise ValueError("a type of numbers that torch has not")
    return _view(storage, offset, sizes, strides, dtype)


def _view(storage: _Storage, offset: int, sizes: tuple[int, ...], strides: tuple[int, ...], dtype: Any) -> Tensor:
    """A tensor over a storage. Raises BadCheckpoint if it reaches beyond: no honest file declares that."""
    import torch

    held = storage.buffer.numel() // dtype.itemsize
    offset = offset + storage.start
    reach = offset + sum((n - 1) * step for n, step in zip(sizes, strides, strict=True)) + 1
    needed = max(math.prod(sizes), reach) if all(sizes) else 0
    if needed > held or min((*sizes, *strides, offset), default=0) < 0:
        raise BadCheckpoint(
            f"declares a tensor of {math.prod(sizes):,} elements and stores {held:,}: refused unread. In the program "
            "that made it, write torch.save(model.state_dict(), 'weights.pt') instead."
        )
    return torch.empty(0, dtype=dtype).set_(storage.buffer.untyped_storage(), offset, tuple(sizes), tuple(strides))


def _rebuild_odd(*_arguments: Any) -> Tensor:
    """For tensors that are not stored in full: one without values, which is refused by its name later."""
    import torch

    return torch.empty(0, device="meta")


def _first(value: Any = None, *_rest: Any) -> Any:
    return value


def _again(function: Any, _type: Any = None, arguments: Any = (), _state: Any = None) -> Any:
    """For a tensor of one's own class: the tensor itself."""
    return function(*arguments) if function in (_rebuild, _rebuild_typed, _first) else _rebuild_odd()


def _encode(text: str = "", encoding: str = "latin1") -> bytes:
    """How pickles of protocol 2 keep bytes."""
    if encoding not in ("latin1", "utf-8", "ascii"):
        raise ValueError("an encoding that no pickle needs")
    return text.encode(encoding)


def _reconstruct(*_arguments: Any) -> None:
    """Marks copyreg's way to make an object."""


def _make_graph_module(body: Any = None, *_rest: Any) -> Stub:
    made = Stub("torch.fx.graph_module.GraphModule")
    made.__setstate__(body)
    return made


_TABLE: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": OrderedDict,
    "builtins.set": set,
    "builtins.frozenset": frozenset,
    "builtins.complex": complex,
    "_codecs.encode": _encode,
    "copyreg._reconstructor": _reconstruct,
    "torch._utils._rebuild_tensor": _rebuild,
    "torch._utils._rebuild_tensor_v2": _rebuild,
    "torch._utils._rebuild_tensor_v3": _rebuild_typed,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _first,
    "torch.nn.parameter.Parameter": _first,
    "torch.nn.parameter.Buffer": _first,
    "torch.autograd.variable.Variable": _first,
    "torch._tensor._rebuild_from_type_v2": _again,
    "torch.serialization._get_layout": _first,
    "torch.torch_version.TorchVersion": _first,
    "torch.Size": tuple,
    "collections.Counter": OrderedDict,
    "collections.deque": Dropped,
    "torch.fx.graph_module.reduce_graph_module": _make_graph_module,
}
_CALLABLE = {*_TABLE.values(), *STAND_INS.values(), _rebuild_odd}
_FILLED = (Stub, Settings, Array, ScalarType, Dropped)
