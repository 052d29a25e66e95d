"""Read protocol buffers without a schema: fields by number, as ONNX, Caffe, TensorFlow and Core ML write them.

Source: protobuf.dev/programming-guides/encoding. Nothing is copied but what is asked for, and nothing is nested by
itself, so that a file has no depth to attack."""

from __future__ import annotations

import struct
from collections.abc import Iterator

Value = int | memoryview  # a number, or the bytes of a text, a message, packed numbers
_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5


def fields(data: memoryview) -> Iterator[tuple[int, int, Value]]:
    """(field, wire type, value) in the order of the message. Fixed-width values come as their bytes.

    Raises ValueError if the bytes are no message."""
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        field, wire = tag >> 3, tag & 7
        if not 0 < field < 2**29:
            raise ValueError(f"field {field}")
        if wire == _VARINT:
            value, at = read_varint(data, at)
            yield field, wire, value
            continue
        if wire == _BYTES:
            size, at = read_varint(data, at)
        elif wire in (_DOUBLE, _FLOAT):
            size = 8 if wire == _DOUBLE else 4
        else:
            raise ValueError(f"wire type {wire}")
        if size > len(data) - at:
            raise ValueError(f"field {field} ends after the file")
        yield field, wire, data[at : at + size]
        at += size


def read_varint(data: memoryview, at: int) -> tuple[int, int]:
    """(number, place after it): seven bits a byte, the lowest first. Raises ValueError if it does not end."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number without end")


def read_signed(value: int) -> int:
    """A varint as the 64-bit number that it stands for."""
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value


class Message:
    """A message whose fields are looked up by number.

    Raises ValueError if the bytes are none, or it has more than 1,000,000 fields."""

    def __init__(self, data: memoryview) -> None:
        self._fields: dict[int, list[Value]] = {}
        for count, (field, _, value) in enumerate(fields(data)):
            if count >= 1_000_000:
                raise ValueError("too many fields")
            self._fields.setdefault(field, []).append(value)

    def __contains__(self, field: int) -> bool:
        return field in self._fields

    def messages(self, field: int) -> list[Message]:
        """The messages in a repeated field."""
        return [Message(value) for value in self.blobs(field)]

    def blobs(self, field: int) -> list[memoryview]:
        """The bytes of each entry of a repeated field."""
        return [value for value in self._fields.get(field, []) if not isinstance(value, int)]

    def texts(self, field: int) -> list[str]:
        """The entries of a repeated field as texts."""
        return [bytes(value).decode("utf-8", "replace") for value in self.blobs(field)]

    def text(self, field: int) -> str:
        """The text of a field, "" if it is absent."""
        return (self.texts(field) or [""])[-1]

    def integers(self, field: int) -> list[int]:
        """Whole numbers, one a field or packed."""
        found: list[int] = []
        for value in self._fields.get(field, []):
            if isinstance(value, int):
                found.append(read_signed(value))
                continue
            at = 0
            while at < len(value):
                number, at = read_varint(value, at)
                found.append(read_signed(number))
        return found

    def integer(self, field: int, default: int = 0) -> int:
        """The last whole number of a field."""
        return (self.integers(field) or [default])[-1]

    def floats(self, field: int) -> list[float]:
        """Numbers of 4 bytes, one a field or packed."""
        return [number for value in self.blobs(field) for (number,) in struct.iter_unpack("<f", value)]
