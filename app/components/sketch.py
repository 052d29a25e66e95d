"""A canvas to draw on with mouse, pen or finger; each stroke is told when it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from app.components.newest import keep_newest, number_data
from app.components.source import read_source

_render = st.components.v2.component(
    "cnnviz_sketch", css=read_source("sketch.css"), js=keep_newest(read_source("sketch.js"))
)


def sketch(ink: str, alphabet: str, alt: str, key: str, on_draw: Callable[[str], None]) -> None:
    """Show a square canvas with the strokes `ink`: two letters of `alphabet` a point, "." between strokes.

    `on_draw(ink)` runs before the page is drawn again, with the strokes that are there after one more has ended."""

    def drawn() -> None:
        told: Any = st.session_state.get(key, {}).get("ink")
        if told:
            on_draw(str(told))

    data = {"ink": ink, "alphabet": alphabet, "alt": alt}
    _render(key=key, data=number_data(key, data), on_ink_change=drawn)
