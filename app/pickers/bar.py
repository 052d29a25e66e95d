"""The bar along the top of every page: image, network, weights, Compare, layers and channel, in sight whatever is
scrolled; the page's title and the row of its own controls; and beside the picture a panel for numbers and tables that
one page alone asks for.

The frame draws them before the page; the pickers fill their slots. What stays empty takes no room. In a window as
narrow as a phone's, weights, row and panel lie in a sheet (`app.shell.sheet`), and the picture comes first."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.markdown import escape_markdown
from app.url import address

SLOTS = ("image", "network", "weights", "compare", "layer", "channel")
_PLACES = "bar_places"  # in the session: {slot: container} of the present run


def draw() -> Any:
    """Draw the empty bar, title, row and panel, and the container for the page, which is returned."""
    with st.container(key="cnnviz_bar", horizontal=True, vertical_alignment="bottom", gap="small"):
        places: dict[str, Any] = {slot: st.container(key=f"bar_{slot}", gap=None) for slot in SLOTS}
    with st.container(key="cnnviz_body", horizontal=True, vertical_alignment="bottom", gap="small"):
        places["title"] = st.container(key="cnnviz_title", width="content")
        with st.container(key="cnnviz_sheet", gap="small"):
            places["row"] = st.container(key="cnnviz_row", horizontal=True, vertical_alignment="bottom", gap="small")
            places["panel"] = st.container(key="cnnviz_panel", width=212)
        page = st.container(key="cnnviz_page")
        places["notices"] = page.container(key="cnnviz_notices")
    st.session_state[_PLACES] = places
    return page


def slot(name: str) -> Any:
    """The container of one picker in the bar, see SLOTS."""
    return st.session_state[_PLACES][name]


def notices() -> Any:
    """The container above the picture for what a picker has to say or to ask."""
    return st.session_state[_PLACES]["notices"]


def report(key: str, text: str) -> None:
    """Keep what a picker has to say under `key`, for `show_report`."""
    st.session_state[key] = text
    st.session_state.pop(f"{key}_shown", None)


def show_report(key: str, icon: str, hold: bool = False) -> None:
    """Show what was reported under `key` above the picture, until the visitor's next step: a page that draws itself
    anew meanwhile keeps it. `hold`: beyond that step, too."""
    message, seen = st.session_state.get(key), f"{key}_shown"
    if message and st.session_state.get(seen) and not address.is_redrawn():
        del st.session_state[key], st.session_state[seen]
    elif message:
        notices().error(escape_markdown(message), icon=icon)
        st.session_state[seen] = not hold


def title() -> Any:
    """The container of the page's title."""
    return st.session_state[_PLACES]["title"]


def row() -> Any:
    """The row above the picture: the page's own controls."""
    return st.session_state[_PLACES]["row"]


def panel() -> Any:
    """The container beside the picture for inputs that one page alone has."""
    return st.session_state[_PLACES]["panel"]
