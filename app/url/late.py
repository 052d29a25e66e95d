"""What a browser still sends after the server has told it otherwise.

With every message, be it a timer's or a quick second click, come the address and the values of all widgets as the
browser has them then. A busy browser learns a moment late what a run has changed: such a message must not undo it."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

PATIENCE = 2.0  # seconds after a run within which the browser learns of the address that it told
_GONE: Any = object()  # in place of a value: the widget follows its default


class _Left(NamedTuple):
    """An address that the browser was told to leave. `place`: Streamlit's hash of the page; `told`: when the run that
    told it ended, by time.monotonic(); None until then."""

    place: str
    query: dict[str, str]
    told: float | None = None


@dataclass(slots=True)
class Told:
    """What the server has told the browser otherwise: addresses to leave, and {widget: (the browser's value, the
    server's, whether a run that shows it has ended)}."""

    left: list[_Left] = field(default_factory=list)
    replaced: dict[str, tuple[Any, Any, bool]] = field(default_factory=dict)

    def is_late(self) -> bool:
        """Whether the browser sent the message that this run answers before it knew."""
        until, sent = time.monotonic() - PATIENCE, _read_sent()
        self.left = [one for one in self.left if one.told is None or one.told > until]
        return not is_history_step() and any(one[:2] == sent for one in self.left)

    def leave(self) -> None:
        """Call before the browser is told another address than it sent."""
        sent = _read_sent()
        self.left = [*(one for one in self.left if one[:2] != sent), _Left(*sent)]

    def stay(self) -> None:
        """The browser is where it shall be: what it sends from here is not late."""
        sent = _read_sent()
        self.left = [one for one in self.left if one[:2] != sent]

    def replace(self, key: str, value: Any) -> None:
        """Call before the server gives a widget a value."""
        before, (first, pending, _) = st.session_state.get(key, _GONE), self.replaced.get(key, (_GONE, None, False))
        if before is _GONE and pending is _GONE:
            before = first  # it was cleared, and is given its default now
        if before is _GONE or before == value:
            self.replaced.pop(key, None)
        else:
            self.replaced[key] = before, value, False

    def clear(self, key: str) -> None:
        """Call before the server takes a widget's value away."""
        if key in st.session_state:
            self.replaced[key] = st.session_state[key], _GONE, False

    def catch_up(self, own: bool = False) -> bool:
        """Put back what the server chose, where a late message brings the browser's value of before. Returns whether it
        is late. `own`: this run answers no message, the server itself asked for it."""
        late = self.is_late()
        for key, (before, value, told) in list(self.replaced.items()):
            if late and value is not _GONE and key in st.session_state and st.session_state[key] == before:
                st.session_state[key] = value
            elif told and not late and not own:
                del self.replaced[key]
        return late

    def end_run(self, shown: dict[str, Any]) -> None:
        """Call after a page is drawn to its end, with the values of its widgets."""
        now = time.monotonic()
        self.left = [one if one.told else one._replace(told=now) for one in self.left]
        self.replaced = {
            key: (before, value, True)
            for key, (before, value, _) in self.replaced.items()
            if key in shown and shown[key] == value
        }


def _read_sent() -> tuple[str, dict[str, str]]:
    """(Streamlit's hash of the page, query) of the message that this run answers, or of what it was told since."""
    context = get_script_run_ctx()
    return context.page_script_hash if context is not None else "", st.query_params.to_dict()


def is_history_step() -> bool:
    """Whether the browser asked for this run with Back or Forward."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def read_location(pages: Collection[str]) -> str | None:
    """The page that the browser's address bar showed when it sent the message: of a link, the page it stands on. None
    where the browser did not say."""
    context = get_script_run_ctx()
    if context is None or context.context_info is None or not context.context_info.url:
        return None
    last = context.context_info.url.rstrip("/").rpartition("/")[2]
    return last if last in pages else ""
