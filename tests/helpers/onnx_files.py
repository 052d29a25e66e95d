"""Write ONNX files byte by byte: operations with settings, tensors, an input."""

import struct
from pathlib import Path

import numpy as np


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: int | str | bytes | float) -> bytes:
    """One field of a protocol buffer: numbers as varints or floats, texts and messages with their length."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor(name: str, array: np.ndarray, raw: bool = True) -> bytes:
    """A TensorProto, its values raw or one a field."""
    kind, place = {"float32": (1, 4), "int64": (7, 7), "float16": (10, 5), "float64": (11, 10)}[array.dtype.name]
    head = b"".join(field(1, size) for size in array.shape) + field(2, kind) + field(8, name)
    if raw:
        return head + field(9, array.tobytes())
    if place == 5:
        return head + field(5, b"".join(map(varint, array.view("<u2").ravel().tolist())))
    packed = b"".join(map(varint, array.ravel().tolist())) if place == 7 else array.tobytes()
    return head + field(place, packed)


def outside(name: str, array: np.ndarray, location: str, offset: int = 0) -> bytes:
    """A TensorProto whose values lie in another file."""
    said = field(13, field(1, "location") + field(2, location)) + field(13, field(1, "offset") + field(2, str(offset)))
    sizes = b"".join(field(1, size) for size in array.shape)
    return sizes + field(2, 1) + field(8, name) + said + field(14, 1)


def node(kind: str, inputs: list[str], outputs: list[str], **settings: object) -> bytes:
    """A NodeProto; settings may be numbers, texts and lists of whole numbers."""
    parts = [field(1, name) for name in inputs] + [field(2, name) for name in outputs] + [field(4, kind)]
    for name, value in settings.items():
        if isinstance(value, list):
            body = b"".join(field(8, number) for number in value) + field(20, 7)
        elif isinstance(value, float):
            body = field(2, value) + field(20, 1)
        elif isinstance(value, str):
            body = field(4, value) + field(20, 3)
        elif isinstance(value, bytes):  # a tensor
            body = field(5, value) + field(20, 4)
        else:
            body = field(3, value) + field(20, 2)
        parts.append(field(5, field(1, name) + body))
    return b"".join(parts)


def model(nodes: list[bytes], tensors: list[bytes], shape: tuple[int, ...], image: str = "input") -> bytes:
    """A ModelProto whose input has this shape; 0 is a size without a number."""
    sizes = b"".join(field(1, field(1, size) if size else field(2, "batch")) for size in shape)
    given = field(1, image) + field(2, field(1, field(1, 1) + field(2, sizes)))
    graph = b"".join(field(1, one) for one in nodes) + field(2, "graph")
    graph += b"".join(field(5, one) for one in tensors) + field(11, given)
    return field(1, 8) + field(2, "tests") + field(7, graph) + field(8, field(1, "") + field(2, 17))


def chain(steps: list[tuple[str, list[str], dict[str, object]]]) -> list[bytes]:
    """Nodes one after the other: (operation, names of its further inputs, settings)."""
    places = ["input", *(f"t{i}" for i in range(len(steps)))]
    return [
        node(kind, [places[i], *inputs], [places[i + 1]], **settings)
        for i, (kind, inputs, settings) in enumerate(steps)
    ]


def save(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
