"""Results that come after the first paint: the page is drawn without them, and again as they are there."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import streamlit as st

from app.session.cache import picture_cache
from app.url import address, scene

SLICE = 0.7  # seconds of work between two paints
PAINT = 0.2  # seconds that a browser on the same cores has for the page before work begins
Task = tuple[Hashable, Callable[[], Any]]  # the name under which a result is kept, and how it is made


class Deferred:
    """Results that take a while: the page is painted without them, and again as they come. Those that `lead` are what
    the visitor looks at: where there is none yet, one of them comes first and is shown at once."""

    def __init__(self) -> None:
        self._waiting: list[Task] = []
        self._soon: list[Task] = []
        self._first: int | None = None  # of those that wait, the first that leads
        self._begun = False

    def get(self, name: Hashable, make: Callable[[], Any], lead: bool = False) -> Any:
        """What `make()` returns if it is there already, else None, and it is made by `work`."""
        return self.get_all([(name, make)], lead)[0]

    def get_all(self, tasks: Iterable[Task], lead: bool = False) -> list[Any]:
        """The same of several, in their order."""
        tasks = list(tasks)
        found = picture_cache().find_all([name for name, _make in tasks])
        self._begun = self._begun or (lead and any(result is not None for result in found))
        missing = [task for task, result in zip(tasks, found, strict=True) if result is None]
        if missing and lead and self._first is None:
            self._first = len(self._waiting)
        self._waiting += missing
        return found

    def prepare(self, tasks: Iterable[Task]) -> None:
        """What the next click may ask for; made by `work` once nothing else is waiting."""
        self._soon += tasks

    def work(self) -> None:
        """The last thing on a page: make what is missing for SLICE seconds, then draw the page anew."""
        scene.finish()  # what is missing is empty, and all else is drawn
        started, place = time.monotonic(), st.empty()
        at_once = self._first is not None and not self._begun
        if at_once and self._first is not None:
            if st.context.ip_address is None:  # a browser on this computer
                time.sleep(PAINT)
            self._waiting.insert(0, self._waiting.pop(self._first))
        for name, make in self._waiting:
            place.empty()  # here Streamlit turns to a click that has come meanwhile
            picture_cache().get(name, make)
            if at_once or time.monotonic() - started > SLICE:
                break
        if self._waiting:
            address.rerun()
        address.finish()
        ready = picture_cache().find_all([name for name, _make in self._soon])
        for (name, make), result in zip(self._soon, ready, strict=True):
            if result is None:
                place.empty()
                picture_cache().get(name, make)
