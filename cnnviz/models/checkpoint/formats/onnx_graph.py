"""Read an ONNX file: its operations with their settings, and its tensors. No package is needed for that.

Field numbers: onnx/onnx.proto, IR version 3 and later."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.errors import BadCheckpoint
from cnnviz.models.checkpoint.archive import AGAIN
from cnnviz.models.checkpoint.formats.protobuf import Message, read_varint
from cnnviz.wording import plural

if TYPE_CHECKING:
    from torch import Tensor

_DTYPES = {
    1: ("<f4", 4),
    2: ("u1", 5),
    3: ("i1", 5),
    5: ("<i2", 5),
    6: ("<i4", 5),
    7: ("<i8", 7),
    9: ("?", 5),
    10: ("<f2", 5),
    11: ("<f8", 10),
}  # TensorProto.DataType → NumPy's code, the field of values that are not raw
_BFLOAT16 = 16
_VERSION, _GRAPH = 1 << 3, 7 << 3 | 2  # tags of ModelProto: field and wire type
_TEXTS = {field << 3 | 2 for field in (2, 3, 4, 6)}  # producer, its version, domain, notes
_MESSAGES = {field << 3 | 2 for field in (8, 14, 20, 25, 26)}  # operators, metadata, training, functions, devices
_WHOLE = "Save it in one piece: onnx.save(onnx.load('{}'), 'whole.onnx')."


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """An operation: its type ("Conv"), its name, the names of what it reads and writes, its settings."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """The operations in the file's order, each after those that it reads from; `tensors` by name; `image`: the name and
    the shape of the input, 0 for a free size."""

    nodes: list[OnnxNode]
    tensors: dict[str, Tensor]
    image: tuple[str, tuple[int, ...]]
    metadata: dict[str, str] = field(default_factory=dict)


def looks_like_onnx(head: bytes) -> bool:
    """True if a file begins with the fields of an ONNX model: the version of its format, who made it (printable texts),
    the operators it uses, the graph."""
    data, at, seen = memoryview(head), 0, list[int]()
    try:
        while at < len(data):
            tag, at = read_varint(data, at)
            seen.append(tag)
            value, at = read_varint(data, at)
            if tag == _GRAPH:
                return seen[0] == _VERSION
            if tag in _TEXTS:
                text, at = bytes(data[at : at + value]), at + value
                if not text.decode().isprintable():
                    return False
            elif tag in _MESSAGES:
                at += value
            elif tag not in (_VERSION, 5 << 3) or value > 2**31:  # the model's version
                return False
    except ValueError:
        return False
    return False


def read_graph(path: Path) -> OnnxGraph:
    """The graph of an ONNX file. Raises BadCheckpoint if it is damaged, or keeps its tensors in a file that is not
    beside it."""
    data = memoryview(path.read_bytes())
    try:
        model = Message(data)
        graph = model.messages(7)[-1]
        tensors = dict(_read_tensor(message, path) for message in graph.messages(5))
        nodes = [_read_node(message, path) for message in graph.messages(1)]
        inputs = [(info.text(1), _read_shape(info)) for info in graph.messages(11)]
        told = {entry.text(1): entry.text(2) for entry in model.messages(14)}
    except BadCheckpoint:
        raise
    except (ValueError, IndexError, OverflowError, MemoryError, TypeError) as error:
        raise BadCheckpoint(f"{path.name} is cut short or damaged ({str(error)[:100]}). {AGAIN}") from None
    image = next(((name, shape) for name, shape in inputs if name not in tensors), ("", ()))
    return OnnxGraph(nodes, tensors, image, told)


def _read_node(message: Message, path: Path) -> OnnxNode:
    settings = {attribute.text(1): _read_attribute(attribute, path) for attribute in message.messages(5)}
    return OnnxNode(message.text(4), message.text(3), tuple(message.texts(1)), tuple(message.texts(2)), settings)


def _read_attribute(attribute: Message, path: Path) -> Any:
    """A number, text, tensor or list, by the field that is filled."""
    if 5 in attribute:
        return _read_tensor(attribute.messages(5)[0], path)[1]
    if 8 in attribute:
        return attribute.integers(8)
    if 7 in attribute:
        return attribute.floats(7)
    if 4 in attribute:
        return attribute.text(4)
    if 2 in attribute:
        return attribute.floats(2)[-1]
    return attribute.integer(3)


def _read_shape(info: Message) -> tuple[int, ...]:
    """ValueInfoProto → TypeProto → Tensor → TensorShapeProto: its sizes, 0 for those that are names."""
    kinds = info.messages(2)
    tensors = kinds[0].messages(1) if kinds else []
    shapes = tensors[0].messages(2) if tensors else []
    return tuple(size.integer(1) for size in shapes[0].messages(1)) if shapes else ()


def _read_tensor(message: Message, path: Path) -> tuple[str, Tensor]:
    import numpy as np
    import torch

    name, shape, kind = message.text(8), tuple(message.integers(1)), message.integer(2)
    if min(shape, default=1) < 0 or (kind not in _DTYPES and kind != _BFLOAT16):
        raise BadCheckpoint(
            f"{path.name}: {name[:80]!r} is a tensor of a type that holds no weights ({kind}), shape {shape[:8]}. "
            "Export the network in float32, not quantised."
        )
    code, place = _DTYPES.get(kind, ("<u2", 5))
    if message.integer(14) == 1:
        raw: Any = _read_beside(message, path, math.prod(shape) * np.dtype(code).itemsize)
    elif 9 in message:
        raw = message.blobs(9)[-1]
    elif place == 7 or place == 5:
        width = "<u2" if kind in (10, _BFLOAT16) else code
        raw = np.array(message.integers(place), "<i8").astype(width).tobytes()
    else:
        raw = b"".join(bytes(value) for value in message.blobs(place))
    values = np.frombuffer(raw, code)
    if values.size != math.prod(shape):
        raise BadCheckpoint(
            f"{path.name} is cut short or damaged ({name[:80]} declares {plural(math.prod(shape), 'value')} and holds "
            f"{values.size:,}). {AGAIN}"
        )
    tensor = torch.from_numpy(values.reshape(shape).astype(values.dtype.newbyteorder("="), copy=True))
    return name, tensor.view(torch.bfloat16) if kind == _BFLOAT16 else tensor


def _read_beside(message: Message, path: Path, size: int) -> bytes:
    """Bytes of a tensor that is kept in another file of the same folder."""
    said: Mapping[str, str] = {entry.text(1): entry.text(2) for entry in message.messages(13)}
    name = said.get("location", "")
    other = path.with_name(name) if name and name == Path(name).name and "\\" not in name else None
    if other is None or not other.is_file():
        raise BadCheckpoint(
            f"{path.name} keeps its tensors in another file, {name[:80]!r}, which does not lie beside it. "
            + _WHOLE.format(path.name)
        )
    offset = int(said.get("offset", "0") or 0)
    if not 0 <= offset <= other.stat().st_size - size:
        raise BadCheckpoint(f"{name[:80]}, which belongs to {path.name}, is cut short. {AGAIN}")
    with other.open("rb") as file:
        file.seek(offset)
        return file.read(size)
