"""The controls in a narrow window: a button at the foot opens them as a sheet over the lower part of the page.

The script of the button measures what stands at the foot of the window, too, so that pictures end above it."""

from __future__ import annotations

import streamlit as st

from app.components.newest import keep_newest, number_data
from app.components.source import read_source

_render = st.components.v2.component(
    "cnnviz_sheet", css=read_source("sheet.css"), js=keep_newest(read_source("sheet.js"))
)


def draw_button() -> None:
    """Draw the button, which narrow windows alone show, and whose place the style sheet decides."""
    with st.container(key="cnnviz_foot"):
        _render(key="sheet_button", data=number_data("sheet_button", {}))
