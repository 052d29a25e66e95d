"""Where receptive fields are kept: with the memory of a tensor, so that all views of it have one field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.weak import WeakTensorKeyDictionary

from cnnviz.tracing.rf_table import FieldTable
from cnnviz.tracing.rf_tensor import Shape, TensorField, unite

Geometry = tuple[Shape, Shape, int]  # shape, stride, offset


@dataclass(slots=True)
class _FieldMemory:
    """The field of a piece of memory: of the one tensor that covers it (`field`, which lies there as `geometry` says),
    or of each of its elements (`tables` of rows and columns, `numbers`: of the elements). Both if both are known."""

    alive: StorageWeakRef  # keeps the address from being used for other memory
    size: int  # bytes
    unit: int  # bytes of an element
    field: TensorField | None = None
    geometry: Geometry | None = None
    tables: tuple[FieldTable, FieldTable] | None = None
    numbers: tuple[np.ndarray, np.ndarray] | None = None


class StorageFields:
    """Fields of tensors, looked up and written element by element of their memory. A view, whatever it is, has the
    field of what it shows; a write through one view is seen through all others.

    Tensors without plain memory, as sparse ones are, have a field of their own."""

    def __init__(self) -> None:
        self._memories: dict[int, _FieldMemory] = {}
        self._others: WeakTensorKeyDictionary = WeakTensorKeyDictionary()

    def __getitem__(self, tensor: Tensor) -> TensorField | None:
        """The tensor's field; None if it does not depend on the image."""
        if (key := find_storage(tensor)) is None:
            return self._others.get(tensor)
        memory = self._memories.get(key)
        if memory is None or tensor.numel() == 0:
            return None
        if memory.field is not None and memory.geometry == _geometry(tensor):
            return memory.field
        if memory.unit != tensor.element_size() or memory.size != tensor.untyped_storage().nbytes():
            return self._read(memory, None, tuple(tensor.shape))  # read as another type, or resized
        return self._read(memory, tensor, tuple(tensor.shape))

    def __setitem__(self, tensor: Tensor, field: TensorField | None) -> None:
        """The tensor's elements are written: they see `field`, None for nothing of the image."""
        key = find_storage(tensor)
        if key is None:
            self._others[tensor] = field
            return
        memory = self._memories.get(key)
        if _is_whole(tensor):
            self._memories.pop(key, None)
            if field is not None:
                self._memories[key] = _new_memory(tensor, field)
            return
        if memory is None:
            if field is None or tensor.numel() == 0:
                return
            memory = self._memories[key] = _new_memory(tensor, None)
        if memory.unit != tensor.element_size() or memory.size != tensor.untyped_storage().nbytes():
            self._spread(memory, tensor, field)
            return
        tables, numbers = _number(memory)
        memory.field = memory.geometry = None
        for which in (0, 1):
            target = _as_strided(numbers[which], tensor)
            target[...] = 0 if field is None else tables[which].add(field.axes[which], field.shape)

    def _read(self, memory: _FieldMemory, tensor: Tensor | None, shape: Shape) -> TensorField | None:
        """The field of what `tensor` shows of `memory`; None: all that any of its elements sees."""
        tables, numbers = _number(memory)
        axes = [t.read(n if tensor is None else _as_strided(n, tensor)) for t, n in zip(tables, numbers, strict=True)]
        rows, cols = axes
        if rows is None or cols is None:
            return None
        size = shape if tensor is not None else numbers[0].shape
        found = TensorField(size, (rows, cols))
        return found if tensor is not None else unite([found], shape)

    def _spread(self, memory: _FieldMemory, tensor: Tensor, field: TensorField | None) -> None:
        """A write through another type of number, or into resized memory: all elements see old and new."""
        before = self._read(memory, None, ())
        known = [f for f in (before, field) if f is not None]
        storage = tensor.untyped_storage()
        whole = torch.empty(0, dtype=tensor.dtype, device=tensor.device).set_(storage)  # type: ignore[call-overload]
        memory.size, memory.unit, memory.numbers = storage.nbytes(), tensor.element_size(), None
        memory.field = unite(known, tuple(whole.shape)) if known else None
        memory.geometry = _geometry(whole)
        memory.tables = None


def find_storage(tensor: Tensor) -> int | None:
    """A number for the memory in which the tensor lies; None without plain memory."""
    try:
        return int(tensor.untyped_storage()._cdata) if tensor.layout == torch.strided else None
    except (NotImplementedError, RuntimeError):
        return None


def _geometry(tensor: Tensor) -> Geometry:
    return tuple(tensor.shape), tuple(tensor.stride()), int(tensor.storage_offset())


def _new_memory(tensor: Tensor, field: TensorField | None) -> _FieldMemory:
    storage = tensor.untyped_storage()
    geometry = None if field is None else _geometry(tensor)
    memory = _FieldMemory(StorageWeakRef(storage), storage.nbytes(), tensor.element_size(), field, geometry)
    if field is None:
        memory.tables = FieldTable(), FieldTable()
    return memory


def _is_whole(tensor: Tensor) -> bool:
    """Whether the tensor covers each element of its memory once."""
    shape, stride, offset = _geometry(tensor)
    if offset or tensor.numel() * tensor.element_size() != tensor.untyped_storage().nbytes():
        return False
    span = 1
    for size, step in sorted(((n, s) for n, s in zip(shape, stride, strict=True) if n != 1), key=lambda p: p[1]):
        if step != span:
            return False
        span *= size
    return True


def _number(memory: _FieldMemory) -> tuple[tuple[FieldTable, FieldTable], tuple[np.ndarray, np.ndarray]]:
    """Tables and numbers of all elements of `memory`, made when they are first needed."""
    if memory.tables is None or memory.numbers is None:
        count = memory.size // memory.unit
        numbers = np.zeros(count, np.int32), np.zeros(count, np.int32)
        tables = memory.tables or (FieldTable(), FieldTable())
        if memory.field is not None and memory.geometry is not None:
            shape, stride, offset = memory.geometry
            for which in (0, 1):
                target = _strided(numbers[which], shape, stride, offset)
                target[...] = tables[which].add(memory.field.axes[which], shape)
        memory.tables, memory.numbers = tables, numbers
    return memory.tables, memory.numbers


def _as_strided(numbers: np.ndarray, tensor: Tensor) -> np.ndarray:
    return _strided(numbers, *_geometry(tensor))


def _strided(numbers: np.ndarray, shape: Shape, stride: Shape, offset: int) -> np.ndarray:
    steps = [step * numbers.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(numbers[offset:], shape, steps)
