"""The bar along the top of every page: image, network, weights, Compare, layers and channel, in sight whatever is
scrolled; the page's title and the row of its own controls; and beside the picture a panel for numbers and tables that
one page alone asks for.

The frame draws them before the page; the pickers fill their slots. What stays empty takes no room. In a window as
narrow as a phone's, weights, row and panel lie in a sheet (`app.shell.sheet`), and the picture comes first."""

from __future__ import annotations

from typing import Any

import streamlit as st

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
            places["panel"] = st.container(key="cnnviz_panel", width=232)
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


def title() -> Any:
    """The container of the page's title."""
    return st.session_state[_PLACES]["title"]


def row() -> Any:
    """The row above the picture: the page's own controls."""
    return st.session_state[_PLACES]["row"]


def panel() -> Any:
    """The container beside the picture for inputs that one page alone has."""
    return st.session_state[_PLACES]["panel"]
