"""A bounded LRU cache, and the caches that all sessions share: pictures, arrays, results of studies, networks."""

from __future__ import annotations

import gc
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import streamlit as st
from PIL import Image

from app import limits

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
        return _add_bytes(value.values())
    if isinstance(value, tuple | list):
        return _add_bytes(value)
    if is_dataclass(value):
        return _add_bytes(getattr(value, name) for name in _field_names(type(value)))  # type: ignore[arg-type]
    return 0


_LIGHT = frozenset((int, float, bool, str, type(None)))


def _add_bytes(values: Iterable[Any]) -> int:
    return sum(bytes_of(value) for value in values if type(value) not in _LIGHT)


@cache
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


class _MakeOnce:
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


class _Entry(NamedTuple):
    """A value, what it weighs, and the group whose room it takes."""

    value: Any
    size: int
    group: str


class LruCache:
    """Values by name, bounded: the least recently used go first. Every method is thread-safe.

    `room(group)`: bytes that all values of one group may take together; `most()`: how many values there may be. The
    newest stays, whatever its size. `size_of(value)`: its bytes; `group_of(value)`: whose room it takes;
    `on_evict(group)`: called after values of a group had to go. Who works with a value that had to go keeps it until
    the work is done."""

    def __init__(
        self,
        room: Callable[[str], int],
        most: Callable[[], int],
        size_of: Callable[[Any], int] = bytes_of,
        group_of: Callable[[Any], str] = lambda value: "",
        on_evict: Callable[[str], None] = lambda group: None,
    ) -> None:
        self._room, self._most = room, most
        self._size_of, self._group_of, self._on_evict = size_of, group_of, on_evict
        self._lock, self._once = threading.Lock(), _MakeOnce()
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._taken: Counter[str] = Counter()

    def __contains__(self, name: Hashable) -> bool:
        return name in self._entries

    @property
    def bytes(self) -> int:
        """Of all values together."""
        return self._taken.total()

    def names(self) -> list[Hashable]:
        """Of the values that are here, the least recently used first."""
        with self._lock:
            return list(self._entries)

    def find(self, name: Hashable) -> Any | None:
        """The value, or None."""
        entry = self._find(name)
        return None if entry is None else entry.value

    def find_all(self, names: Iterable[Hashable]) -> list[Any | None]:
        """The values of these names, None for those that are not here."""
        with self._lock:
            entries = [self._use(name) for name in names]
        return [None if entry is None else entry.value for entry in entries]

    def get(self, name: Hashable, make: Callable[[], Any]) -> Any:
        """The value; `make()` makes it if it is not here, once, however many ask at the same time."""
        if (entry := self._find(name)) is not None:
            return entry.value
        with self._once.making(name):
            if (entry := self._find(name)) is not None:
                return entry.value
            value = make()
            self.put(name, value)
            return value

    def get_all(self, tasks: Sequence[tuple[Hashable, Callable[[], Any]]]) -> list[Any]:
        """`get` of several (name, make), in their order."""
        return [self.get(name, make) for name, make in tasks]

    def _find(self, name: Hashable) -> _Entry | None:
        with self._lock:
            return self._use(name)

    def _use(self, name: Hashable) -> _Entry | None:
        if (entry := self._entries.get(name)) is not None:
            self._entries.move_to_end(name)
        return entry

    def put(self, name: Hashable, value: Any) -> None:
        """Keep a value, and let go of those that find no room beside it."""
        entry = _Entry(value, self._size_of(value), self._group_of(value))
        with self._lock:
            self._drop(name)
            self._entries[name] = entry
            self._taken[entry.group] += entry.size
            surplus = self._find_surplus(entry.group)
            for other in surplus:
                self._drop(other)
        if surplus:
            self._on_evict(entry.group)

    def make_room(self, size: int, group: str = "") -> None:
        """Let go of the least recently used until there is room for one more value of `size` bytes, so that it is never
        in memory beside what has to go for it."""
        with self._lock:
            surplus = self._find_surplus(group, size)
            for name in surplus:
                self._drop(name)
        if surplus:
            self._on_evict(group)

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            groups = set(self._taken)
            self._entries.clear()
            self._taken.clear()
        for group in groups:
            self._on_evict(group)

    def _drop(self, name: Hashable) -> None:
        if (entry := self._entries.pop(name, None)) is not None:
            self._taken[entry.group] -= entry.size

    def _find_surplus(self, group: str, coming: int | None = None) -> list[Hashable]:
        """Who has to go for the newest, which itself never has to; `coming`: bytes of one that is not here yet."""
        surplus: list[Hashable] = []
        count, taken = len(self._entries) - self._most(), self._taken[group]
        if coming is not None:
            count, taken = count + 1, taken + coming
        if count <= 0 and taken <= self._room(group):
            return surplus
        for name, entry in list(self._entries.items())[: None if coming is not None else -1]:
            over = entry.group == group and taken > self._room(group)
            if count > 0 or over:
                surplus.append(name)
                count -= 1
                taken -= entry.size if entry.group == group else 0
        return surplus


@st.cache_resource(show_spinner=False)
def picture_cache() -> LruCache:
    """Finished pictures and what they are drawn from, under names of everything that they depend on."""
    return LruCache(lambda _group: limits.PICTURES, lambda: limits.ENTRIES)


@st.cache_resource(show_spinner=False)
def array_cache() -> LruCache:
    """Feature maps, and what networks receive of photographs."""
    return LruCache(lambda _group: limits.MAPS, lambda: limits.ENTRIES)


@st.cache_resource(show_spinner=False)
def study_cache() -> LruCache:
    """Results of studies that took more than a moment."""
    return LruCache(lambda _group: limits.RESULTS, lambda: limits.ENTRIES)


def weight_of(model: LoadedModel) -> int:
    """Bytes of a network's parameters and buffers, those that are shared counted once."""
    module = model.module
    every = {id(t): t for t in (*module.parameters(), *module.buffers())}
    return sum(tensor.numel() * tensor.element_size() for tensor in every.values())


def network_cache(most: Callable[[], int], room: Callable[[str], int]) -> LruCache:
    """A cache of networks (anything with a `model`): at most `most()`, on no device more than `room(device)` bytes."""
    return LruCache(
        room, most, lambda network: weight_of(network.model), lambda network: str(network.model.device), release_memory
    )


def release_memory(device: str) -> None:
    """Give back the memory of networks that had to go. The app freezes what it loads, which the collector would pass
    over."""
    from cnnviz.device import release

    gc.unfreeze()
    release(device)
    gc.freeze()
