"""Changes of page from within: by a key, by the tour, by the lecturer whom a class follows."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.url import address

_GO = "go"  # in the session: (page, query) to be drawn next
_TARGET = "going"  # in the session: (page, query, number of the press) of the last change that a key asked for


def go(page: str, query: dict[str, str], press: int = 0) -> None:
    """In a callback, or before `perform`: the page at this address is drawn next. Presenter mode stays as it is.

    `press`: number of the key press that asks for it, 0 for none."""
    st.session_state[_GO] = page, query
    if press:
        st.session_state[_TARGET] = page, query, press


def acknowledge(press: int) -> None:
    """In a callback: the browser shows what all presses up to this number did. A press made before it saw the last
    change of page comes with the address of the page it was made on, and must not undo that change."""
    target = st.session_state.get(_TARGET)
    if target is not None and target[2] > press:
        st.session_state[_GO] = target[:2]
    else:
        st.session_state.pop(_TARGET, None)


def peek() -> tuple[str, dict[str, str]] | None:
    """(page, query) of a change that was asked for and not yet made."""
    return st.session_state.get(_GO)


def perform(pages: dict[str, Any]) -> None:
    """Call before the page is drawn: make the change that was asked for. `pages`: {address: page}."""
    asked = st.session_state.pop(_GO, None)
    if asked is None or asked[0] not in pages:
        return
    page, query = asked
    kept = {"present": "True"} if address.read("present") else {}
    address.forget_presses()
    address.leave()
    st.switch_page(pages[page], query_params={key: value for key, value in query.items() if key != "present"} | kept)
