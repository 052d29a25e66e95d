"""What the sessions share in memory, bounded: results by bytes, networks by number and by bytes of their tensors."""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from cnnviz.models.model import LoadedModel


def bytes_of(value: Any) -> int:
    """Bytes of the arrays, pictures and encoded files in a result, to the last; the rest of it weighs little."""
    if isinstance(value, bytes | bytearray):
        return len(value)
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, Image.Image):
        return value.width * value.height * len(value.getbands())
    if isinstance(value, dict):
        return sum(map(bytes_of, value.values()))
    if isinstance(value, tuple | list):
        return sum(map(bytes_of, value))
    if is_dataclass(value):
        return sum(bytes_of(getattr(value, field.name)) for field in fields(value))
    return 0


class _Once:
    """Lets one thread at a time make what has one name; others of that name wait, and find it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._makers: dict[Hashable, list[Any]] = {}  # name → [lock, how many hold it or wait for it]

    @contextmanager
    def making(self, name: Hashable) -> Iterator[None]:
        with self._lock:
            entry = self._makers.setdefault(name, [threading.RLock(), 0])
            entry[1] += 1
        try:
            with entry[0]:
                yield
        finally:
            with self._lock:
                entry[1] -= 1
                if not entry[1]:
                    del self._makers[name]


class Kept:
    """Results by name, the least recently used first; those go when all together take more than `room()` bytes.

    The newest stays, whatever its size. Every method is thread-safe."""

    def __init__(self, room: Callable[[], int]) -> None:
        self._room, self._lock, self._once = room, threading.Lock(), _Once()
        self._found: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self.bytes = 0

    def __contains__(self, name: Hashable) -> bool:
        return name in self._found

    def find(self, name: Hashable) -> Any | None:
        """The result, or None."""
        return next(iter(self._look(name)), None)

    def get(self, name: Hashable, make: Callable[[], Any]) -> Any:
        """The result; `make()` makes it if it is not here, once, however many ask at the same time."""
        found = self._look(name)
        if not found:
            with self._once.making(name):
                found = self._look(name)
                if not found:
                    found = (make(),)
                    self.put(name, found[0])
        return found[0]

    def put(self, name: Hashable, result: Any) -> None:
        """Keep a result."""
        size = bytes_of(result)
        with self._lock:
            self.bytes += size - self._found.pop(name, (None, 0))[1]
            self._found[name] = result, size
            while len(self._found) > 1 and self.bytes > self._room():
                self.bytes -= self._found.popitem(last=False)[1][1]

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._found.clear()
            self.bytes = 0

    def _look(self, name: Hashable) -> tuple[Any, ...]:
        """(result,), or nothing."""
        with self._lock:
            if name not in self._found:
                return ()
            self._found.move_to_end(name)
            return self._found[name][:1]


def weight_of(model: LoadedModel) -> int:
    """Bytes of a network's parameters and buffers, those that are shared counted once."""
    module = model.module
    every = {id(t): t for t in (*module.parameters(), *module.buffers())}
    return sum(tensor.numel() * tensor.element_size() for tensor in every.values())


class Shelf:
    """Networks by name, the least recently used first: at most `most()`, and on no device more than `room(device)`
    bytes. Who works with one that had to go keeps it until the work is done. Every method is thread-safe."""

    def __init__(self, most: Callable[[], int], room: Callable[[str], int]) -> None:
        self._most, self._room, self._lock, self._once = most, room, threading.Lock(), _Once()
        self._found: OrderedDict[str, tuple[LoadedModel, int]] = OrderedDict()

    def get(self, name: str, load: Callable[[], LoadedModel]) -> LoadedModel:
        """The network; `load()` loads it if it is not here, once, however many ask at the same time."""
        if (model := self._look(name)) is None:
            with self._once.making(name):
                if (model := self._look(name)) is None:
                    model = load()
                    self._put(name, model)
        return model

    def names(self) -> list[str]:
        """The networks that are here, the least recently used first."""
        with self._lock:
            return list(self._found)

    def clear(self) -> None:
        """Let go of all networks."""
        with self._lock:
            devices = {str(model.device) for model, _size in self._found.values()} or {"cpu"}
            self._found.clear()
        for device in devices:
            _sweep(device)

    def _look(self, name: str) -> LoadedModel | None:
        with self._lock:
            if name not in self._found:
                return None
            self._found.move_to_end(name)
            return self._found[name][0]

    def _put(self, name: str, model: LoadedModel) -> None:
        with self._lock:
            self._found[name] = model, weight_of(model)
            gone = self._surplus(str(model.device))
            for other in gone:
                del self._found[other]
        if gone:
            _sweep(str(model.device))

    def _surplus(self, device: str) -> list[str]:
        """Who has to go, the newest never."""
        names = list(self._found)
        gone = names[: max(len(names) - self._most(), 0)]
        here = [name for name in names if name not in gone and str(self._found[name][0].device) == device]
        taken, room = sum(self._found[name][1] for name in here), self._room(device)
        for name in here[:-1]:
            if taken <= room:
                break
            taken -= self._found[name][1]
            gone.append(name)
        return gone


def _sweep(device: str) -> None:
    """Give back what was let go of. The app freezes what it loads, which the collector would pass over."""
    from cnnviz.device import release

    gc.unfreeze()
    release(device)
    gc.freeze()
