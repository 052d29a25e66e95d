"""Widgets whose value lives in the URL; app/url/address.py keeps both equal."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import streamlit as st

from app.url import address

_OFFERED = "offered"  # in the session: {key: values} of the pickers on this page, for the keyboard
_PAGE = "offered_on"  # in the session: that page
_STEPPED = "stepped"  # in the session: {key: what the keyboard chose}
_LAG = 0.7  # seconds for which a browser that has drawn a page may still send a value of the page before


class _Step(NamedTuple):
    """A value that the keyboard chose. `press`: number of the press; `shown`: when the run that shows it had ended,
    by time.monotonic(); None until then."""

    value: Any
    press: int
    shown: float | None = None


def bind(widget: Callable[..., Any], label: str, key: str, default: Any, **options: Any) -> Any:
    """A widget whose value lives in the URL and moves along to other pages. A value that is not among the
    options, or not between `min_value` and `max_value`, gives way to `default`."""
    if (stepped := _stepped().get(key)) and st.session_state.get(key) != stepped.value:
        if stepped.shown is None:
            address.choose(key, stepped.value)  # the run that should show it was cut short
        else:
            del _stepped()[key]  # chosen by hand since
    if "options" in options:
        named = {str(option): option for option in options["options"]}
        address.prepare(key, default, named.get, options["options"])
        _offered()[key] = options["options"]
    elif isinstance(default, bool):
        address.prepare(key, default, lambda text: text.lower() in ("true", "1", "yes", "on"))
    elif "min_value" in options:
        numbers = range(options["min_value"], options["max_value"] + 1)
        address.prepare(key, default, _whole_number, numbers)
        _offered()[key] = numbers
    else:
        address.prepare(key, default, str)
    value = widget(label, key=key, persist_state="session", **options)
    address.record(key, value, default)
    return value


def _whole_number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def bind_choice(label: str, key: str, options: list[str]) -> str:
    """One of a few options, side by side; the first is the default."""
    return bind(st.segmented_control, label, key, options[0], options=options, required=True)


def _offered() -> dict[str, Sequence[Any]]:
    return st.session_state.setdefault(_OFFERED, {})


def begin(page: str | None) -> None:
    """Call before a page is drawn: what it does not offer cannot be stepped through. What it offered before stays
    until it is drawn anew, so that a key pressed meanwhile finds it."""
    if st.session_state.get(_PAGE) != page:
        st.session_state[_PAGE] = page
        _offered().clear()


def _stepped() -> dict[str, _Step]:
    return st.session_state.setdefault(_STEPPED, {})


def mark_shown() -> None:
    """Call after a page was drawn to its end."""
    for key, stepped in _stepped().items():
        if stepped.shown is None:
            _stepped()[key] = stepped._replace(shown=time.monotonic())


def acknowledge(press: int) -> None:
    """In a callback: the browser shows what all presses up to this number did, and, a moment later, sends its own
    values again. What it sent along with a press made before that is older than what the keyboard chose."""
    for key, stepped in list(_stepped().items()):
        if stepped.press <= press and stepped.shown is not None and time.monotonic() - stepped.shown > _LAG:
            del _stepped()[key]
        elif st.session_state.get(key) != stepped.value:
            address.choose(key, stepped.value)


def forget_presses() -> None:
    """Call on a change of page from within: its URL counts, and nothing that keys chose before."""
    _stepped().clear()


def put(key: str, value: Any, press: int) -> None:
    """In a callback: the keyboard chooses this value. `press`: number of the key press; until the browser has
    `seen` it, it sends its old values along with the next one, which must not undo this one."""
    _stepped()[key] = _Step(value, press)
    address.choose(key, value)


def step(key: str, by: int, press: int = 0) -> bool:
    """In a callback: the value `by` places further on in the picker `key`, not beyond its ends. False if this page
    has no such picker or nothing changes. `press`: see `put`."""
    values, value = _offered().get(key, ()), st.session_state.get(key)
    if value not in values:
        return False
    place = min(max(values.index(value) + by, 0), len(values) - 1)
    if values[place] == value:
        return False
    put(key, values[place], press)
    return True
