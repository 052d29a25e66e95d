"""Which tabs are open, and which uploads each uses: a student's uploads go with the last tab that uses them, so does a
weights file about which nobody has answered, and nobody may bring more than a share of the disk.

What the lecturer brings stays, as does what is brought where there is no class."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app import access, limits
from app.session import uploads
from cnnviz.errors import BadInput

LOOK = 10.0  # seconds between two looks at which tabs are closed
GRACE = 90.0  # seconds after which a closed tab does not come back; Streamlit forgets its session after 120


@dataclass(eq=False, slots=True)
class _Tab:
    """`session`: Streamlit's name of it. `stays`: what it has brought outlives it. `checked`: files for which there was
    room. `left`: since when it is closed, by time.monotonic(); None while it is open."""

    session: str = ""
    stays: bool = True
    brought: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    checked: set[str] = field(default_factory=set)
    left: float | None = None

    def has(self, name: str) -> bool:
        return name in self.brought or name in self.used


class _Tabs:
    """`here`: the tabs by their visitor. `staying`: uploads of those whose uploads stay. `going`: uploads that go with
    the last tab that has them. `lock`: held while it is decided whether a file goes."""

    def __init__(self) -> None:
        self.here: dict[str, _Tab] = {}
        self.staying: set[str] = set()
        self.going: set[str] = set()
        self.lock = threading.RLock()

    def clear(self, at_once: bool = False) -> None:
        """Remove what is to go and no tab has; `at_once`: also what a tab has."""
        for name in [name for name in self.going if at_once or not any(tab.has(name) for tab in self.here.values())]:
            self.going.discard(name)
            uploads.forget(name)


@st.cache_resource(show_spinner=False)
def _tabs() -> _Tabs:
    return _Tabs()


def _me() -> _Tab:
    return _tabs().here.setdefault(access.visitor(), _Tab())


def lock() -> threading.RLock:
    """To be held while it is decided whether a file goes."""
    return _tabs().lock


def arrive() -> None:
    """Call at every run of the page: this tab is open."""
    context = get_script_run_ctx(suppress_warning=True)
    with lock():
        tab = _me()
        tab.session, tab.left = context.session_id if context is not None else "", None
        tab.stays = not access.is_class() or access.is_lecturer()


def bring(name: str) -> None:
    """This tab has brought the upload `name`, as `uploads.forget` takes it."""
    with lock():
        tab = _me()
        tab.brought.add(name)
        _tabs().going.discard(name)
        if tab.stays:
            _tabs().staying.add(name)


def replace(before: str, name: str) -> None:
    """This tab has brought an upload in place of another; "" for none."""
    if name != before:
        if before and access.is_shared():
            remove(before)
        if name:
            bring(name)


def use(name: str) -> None:
    """This tab shows an upload that somebody else may have brought."""
    with lock():
        _me().used.add(name)


def let_go(name: str) -> None:
    """This tab has no more to do with an upload, which stays where it is."""
    with lock():
        _me().brought.discard(name)
        _me().used.discard(name)


def remove(name: str) -> None:
    """Remove an upload from the disk: at once where one person sits at this computer, else with the last tab that has
    it, so that nobody's click takes it from another."""
    with lock():
        let_go(name)
        _tabs().staying.discard(name)
        _tabs().going.add(name)
        _tabs().clear(at_once=access.is_on_this_computer())


def is_elsewhere(name: str) -> bool:
    """Whether another tab has this upload."""
    me = _me()
    with lock():
        return any(tab.has(name) for tab in _tabs().here.values() if tab is not me)


def check_room(file: Any, most_mb: int) -> None:
    """Raise BadInput for an uploaded file of more than `most_mb` MB (2²⁰ bytes), and for one with which this person
    would keep more than limits.OWN_BYTES on a shared server. Streamlit tells browsers the first, and does not hold them
    to it."""
    file_name = uploads.clean_title(getattr(file, "name", "")) or "This file"
    size, key = len(file.getbuffer()), str(getattr(file, "file_id", ""))
    if size > most_mb * limits.MIB:
        raise BadInput(f"{file_name} has {size / limits.MIB:,.0f} MB; up to {most_mb:,} MB are taken here.")
    if not access.is_shared() or access.is_lecturer() or access.is_on_this_computer() or (key and key in _me().checked):
        return
    with lock():
        kept = sum(map(uploads.size_of, _me().brought))
    if kept + size > limits.OWN_BYTES:
        raise BadInput(
            f"{file_name} is not kept: with its {size / limits.MIB:,.0f} MB you would have more than the "
            f"{limits.OWN_BYTES / limits.MIB:,.0f} MB here that one person may keep on a shared server. Remove a file "
            "that you have brought, or reload the page, which lets go of all."
        )
    _me().checked.add(key)


def sweep(is_open: Callable[[str], bool], now: float | None = None) -> list[str]:
    """Take note of closed tabs, and let go of what those had that are closed for GRACE seconds; returns the sessions of
    these. `is_open(session)`: whether its browser is connected."""
    now, tabs = time.monotonic() if now is None else now, _tabs()
    with tabs.lock:
        for tab in tabs.here.values():
            tab.left = None if is_open(tab.session) else now if tab.left is None else tab.left
        over = {who: tab for who, tab in tabs.here.items() if tab.left is not None and now - tab.left >= GRACE}
        for who, tab in over.items():
            del tabs.here[who]
            tabs.going |= {name for name in tab.brought if _goes(name, tab)}
        tabs.clear()
    return [tab.session for tab in over.values()]


def _goes(name: str, tab: _Tab) -> bool:
    return uploads.is_unanswered(name) or not (tab.stays or name in _tabs().staying)
