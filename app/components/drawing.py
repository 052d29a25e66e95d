"""Drawings as SVG in the page: sharp at any size, side by side where there is room, and clickable. A narrow
window gets drawings of its own where they are given, so that letters stay readable."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from app.components.newest import keep_newest, number_data
from app.components.source import read_source
from cnnviz.figures.base.scene import Scene

_render = st.components.v2.component(
    "cnnviz_drawing", css=read_source("drawing.css"), js=keep_newest(read_source("room.js", "drawing.js"))
)


def drawing(
    scenes: list[Scene],
    alts: list[str],
    key: str,
    on_click: Callable[[str], None] | None = None,
    least: float = 0.84,
    most: float = 1.9,
    narrow: list[Scene] | None = None,
) -> None:
    """Show scenes side by side; below each other where one would shrink to less than `least` of its size.

    `narrow`: shown instead where one line of `scenes` would shrink to less than `least` of its size; they have
    the same descriptions. `on_click(item)` runs before the page is drawn again, with the item of the shape under
    the mouse."""

    def clicked() -> None:
        item: Any = st.session_state.get(key, {}).get("click")
        if item and on_click is not None:
            on_click(str(item))

    shown = drawing_data(scenes, alts, narrow)
    turn = round(least * sum(part["width"] for part in shown["parts"]))
    data = {**shown, "live": on_click is not None, "least": least, "most": most, "turn": turn}
    _render(key=key, data=number_data(key, data), on_click_change=clicked)


def drawing_data(scenes: list[Scene], alts: list[str], narrow: list[Scene] | None = None) -> dict[str, Any]:
    """What the browser draws of scenes, see `drawing`: also a frame of a motion."""
    parts, small = _parts(scenes, alts), _parts(narrow, alts) if narrow else []
    return {"parts": parts, "narrow": small, "stamp": str(hash(tuple(part["svg"] for part in (*parts, *small))))}


def _parts(scenes: list[Scene], alts: list[str]) -> list[dict[str, Any]]:
    """What the browser needs of each scene."""
    return [
        {"svg": scene.svg(), "width": round(scene.width), "alt": alt} for scene, alt in zip(scenes, alts, strict=True)
    ]
