"""The choices of the view and the URL, kept equal: a copied link opens the same view in a new browser, choices
move along to other pages, Back and Forward work.

The view is a function of the URL. A choice that equals its default is left out and follows the default. What
the user has just touched wins over the URL; otherwise the URL wins over what widgets remember. Streamlit's
own `bind="query-params"` loses choices on the first change of page and fills the history with half-written
addresses."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Any, NoReturn

import streamlit as st

_KEY = "address"  # of the memory in the session


@dataclass(slots=True)
class _Memory:
    """`query`: the choices as the last whole run left them in the URL; `shown`: what each widget had then.
    `draft`, `noted`: the same of the present run. `drawn`: the widgets that this page has drawn already.
    `again`: the next run is one that this one asked for."""

    page: str | None = None
    query: dict[str, str] = field(default_factory=dict)
    shown: dict[str, Any] = field(default_factory=dict)
    draft: dict[str, str] = field(default_factory=dict)
    noted: dict[str, Any] = field(default_factory=dict)
    drawn: set[str] = field(default_factory=set)
    again: bool = False


def _memory() -> _Memory:
    return st.session_state.setdefault(_KEY, _Memory())


def begin(page: str) -> None:
    """Call before the page is drawn. Another page, or another URL while no widget was touched (Back, Forward,
    a link), makes the URL the truth for every choice."""
    memory, asked = _memory(), st.query_params.to_dict()
    again, memory.again = memory.again, False  # such a run may bring a URL that the browser sent before it had the new
    if page != memory.page or (asked != memory.query and not again and not any(map(_touched, memory.shown))):
        memory.drawn = memory.drawn if page == memory.page else set()
        memory.page, memory.query = page, asked
        memory.shown = {key: st.session_state[key] for key in memory.shown if key in st.session_state}
    memory.draft, memory.noted = dict(memory.query), dict(memory.shown)


def leave() -> None:
    """Call before a change of page from within: the URL that it brings is the truth for every choice, also where
    the page stays the same."""
    _memory().page = None


def page() -> str | None:
    """The address of the page drawn last; None before the first."""
    return _memory().page


def finish() -> None:
    """Call after the page is drawn: the URL gets what was chosen, in one step of the browser's history. A run
    that the user's next click interrupts never comes here, so that what was touched still counts as touched."""
    memory = _memory()
    memory.query, memory.shown = dict(memory.draft), dict(memory.noted)
    if memory.query != st.query_params.to_dict():
        st.query_params.from_dict(memory.query)


def rerun() -> NoReturn:
    """Draw the page anew. A rerun takes the URL of this moment along, which must not be that of before."""
    finish()
    _memory().again = True
    st.rerun()


def _touched(key: str) -> bool:
    """True if the user or a callback has set or reset this choice since it was shown."""
    memory = _memory()
    if key in st.session_state:
        return key not in memory.shown or st.session_state[key] != memory.shown[key]
    return key in memory.shown


def prepare(key: str, default: Any, parse: Callable[[str], Any], offered: Container[Any] | None = None) -> None:
    """Give the widget `key` its value before it is drawn.

    `parse` reads the URL's text, None where it cannot; a value that is not `offered` gives way to the default."""
    memory, touched = _memory(), _touched(key)
    value = st.session_state.get(key) if touched else parse(memory.query.get(key, ""))
    if value is None or (offered is not None and value not in offered):
        value = default
    if not touched:
        memory.shown[key] = value
    # a widget of the same key on another page has left its value behind, which Streamlit does not hand over
    if key not in memory.drawn or key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value


def choose(key: str, value: Any) -> None:
    """In a callback: as if the user had chosen this, also where it is what a mere default shows now."""
    _memory().shown.pop(key, None)
    st.session_state[key] = value


def take_back(key: str) -> bool:
    """Before the widget is drawn: undo what the user has just chosen. False if nothing was."""
    memory = _memory()
    if not _touched(key):
        return False
    st.session_state.pop(key, None)
    if key in memory.shown:
        st.session_state[key] = memory.shown[key]
    return True


def record(key: str, value: Any, default: Any) -> None:
    """Note what the widget `key` answered."""
    memory = _memory()
    memory.noted[key] = value
    memory.drawn.add(key)
    memory.draft.pop(key, None)
    if value != default:
        memory.draft[key] = str(value)


def read(key: str) -> str:
    """The choice as text before its widget is drawn; "" where it is the default."""
    if _touched(key):
        return str(st.session_state.get(key) or "")
    return _memory().query.get(key, "")


def view() -> dict[str, str]:
    """The choices of the last whole run."""
    return dict(_memory().query)


def link(leave_out: tuple[str, ...] = (), **changes: Any) -> dict[str, str]:
    """Query parameters of the present view, with changes, for a link to another page."""
    kept = {key: value for key, value in _memory().draft.items() if key not in leave_out}
    return {**kept, **{key: str(value) for key, value in changes.items()}}
