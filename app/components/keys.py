"""The keyboard: single keys anywhere on the page become actions, but never while someone types in a field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from app.components.newest import keep_newest, number_data
from app.components.source import read_source

_render = st.components.v2.component(
    "cnnviz_keys", css=read_source("keys.css"), js=keep_newest(read_source("typing.js", "keys.js"))
)
_DONE = "keys_done"  # in the session: the serial number of the last press that was answered


def listen(
    actions: dict[str, str],
    help_rows: list[tuple[str, str]],
    present: bool,
    on_seen: Callable[[int], Any],
    on_press: Callable[[str, int], Any],
) -> None:
    """Listen to the keyboard. `actions`: {key as the browser names it: action}; `help_rows`: (keys, what they do) of
    the overlay that "?" opens. `present`: show the two buttons of presenter mode, and let "s" show the controls.

    `on_press(action, number)` runs before the page is drawn again, once for every press, in their order;
    `on_seen(number)` before it: the browser shows what the presses up to this one did."""

    def pressed() -> None:
        said: Any = st.session_state.get("keyboard", {}).get("press")
        if not said:
            return
        on_seen(int(said["seen"]))
        for serial, action in said["presses"]:
            if serial > st.session_state.get(_DONE, 0):
                st.session_state[_DONE] = serial
                if action in (*actions.values(), "leave"):
                    on_press(action, serial)

    data = {"keys": actions, "help": help_rows, "present": present, "done": st.session_state.get(_DONE, 0)}
    _render(key="keyboard", data=number_data("keyboard", data), on_press_change=pressed)


def mark_drawn() -> None:
    """Call after the page is drawn: tells the listener which presses the browser has seen the effect of."""
    with st.container(key="cnnviz_drawn"):
        st.html(f'<i data-cnnviz-drawn="{int(st.session_state.get(_DONE, 0))}"></i>')
