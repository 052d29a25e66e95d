"""Presenter mode: large type, high contrast, nothing but the picture; and the keys that work on every page."""

from __future__ import annotations

import streamlit as st

from app.components import keys
from app.shell import touring
from app.url import address
from app.url.address import bind, put, step
from cnnviz.paths import project

_THEME = project() / "assets" / "theme"
_STEPPED = {"l": "layer", "u": "unit", "i": "image", "v": "view"}
_KEYS = {
    **{key: f"{choice} +1" for key, choice in _STEPPED.items()},
    **{key.upper(): f"{choice} -1" for key, choice in _STEPPED.items()},
    **{"ArrowRight": "unit +1", "ArrowLeft": "unit -1"},
    **{"g": "page +1", "G": "page -1", "n": "stop +1", "p": "stop -1"},
    **{"w": "weights", "0": "reset", "f": "present"},
}
_HELP = [
    ("n, Page Down", "next stop of the tour (n: next page where no tour runs)"),
    ("p, Page Up", "previous stop"),
    ("g, Shift g", "next, previous page"),
    ("l, Shift l", "next, previous layer"),
    ("Space", "play or stop what moves in this view; any other key or click stops it, too"),
    ("→, ←", "next, previous step of what moves; where nothing moves, next, previous channel"),
    ("u, Shift u", "next, previous channel"),
    ("i, Shift i", "next, previous image"),
    ("v, Shift v", "next, previous view of the page"),
    ("w", "random weights in place of the trained ones, and back"),
    ("0", "reset: the stop, or the page, as it opens"),
    ("f", "presenter mode on or off"),
    ("s", "in presenter mode: show or hide the controls"),
    ("Esc", "leave a field; leave presenter mode"),
    ("?", "this list"),
]


def is_on() -> bool:
    """Whether this view is presented."""
    return address.read("present").lower() in ("true", "1", "yes", "on")


def draw_switch() -> None:
    """Draw the switch of presenter mode in the sidebar."""
    explained = "Large type, nothing but the picture. f turns it on, Esc off, ? lists the keys."
    bind(st.toggle, "Presenter mode", "present", False, help=explained)


def read_style(presented: bool) -> str:
    """The style sheets of this view. The dark one follows the theme of the browser."""
    sheets = ["style.css", *(["dark.css"] if st.context.theme.type == "dark" else [])]
    return "".join(_sheet(name) for name in [*sheets, *(["present.css"] if presented else [])])


@st.cache_resource(show_spinner=False)
def _sheet(name: str) -> str:
    return (_THEME / name).read_text(encoding="utf-8")


def listen(addresses: list[str], presented: bool, touring_now: bool) -> None:
    """Listen to the keyboard. `addresses`: of all pages, in their order. `touring_now`: a tour runs."""
    actions = dict(_KEYS)
    if touring_now:  # remote controls for slides send these; elsewhere they scroll
        actions |= {"PageDown": "stop +1", "PageUp": "stop -1"}
    if presented:
        actions["Escape"] = "leave"

    def press_key(action: str, press: int) -> None:
        _act(action, press, addresses)

    with st.container(key="cnnviz_keys"):
        keys.listen(actions, _HELP, presented, address.acknowledge, press_key)


def _act(action: str, press: int, addresses: list[str]) -> None:
    if action == "leave":
        put("present", False, press)
    elif action == "present":
        put("present", not is_on(), press)
    elif action == "reset":
        _reset(press)
    elif action == "weights":
        step("untrained", -1 if st.session_state.get("untrained") else 1, press)
    else:
        what, by = action.split()
        _step(what, int(by), press, addresses)


def _step(what: str, by: int, press: int, addresses: list[str]) -> None:
    if what == "stop" and touring.is_running():
        touring.move(by, press)
    elif what in ("stop", "page"):
        page, query = address.peek() or (address.page() or "", address.link())
        place = addresses.index(page) + by if page in addresses else 0
        if 0 <= place < len(addresses):
            address.go(addresses[place], query, press)
    elif step(what, by, press) and what == "unit":  # the position belonged to the other channel's map
        st.session_state.pop("row", None)
        st.session_state.pop("col", None)


def _reset(press: int) -> None:
    """The stop of the tour, or the page with its defaults."""
    if touring.is_running():
        touring.move(0, press)
    else:
        address.go(address.page() or "", {}, press)
