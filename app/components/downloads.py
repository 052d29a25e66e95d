"""Buttons that save what a page shows: SVG, PNG at 2×, CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from cnnviz.store import shorten_file_name

if TYPE_CHECKING:
    from cnnviz.figures.base.scene import Scene


def offer_downloads(name: str, scene: Scene | None = None, table: str = "") -> None:
    """Buttons for a drawing and a table as files called `name`."""
    with st.container(horizontal=True, gap="small"):
        if scene is not None:
            save("SVG", scene.svg(), f"{name}.svg", "image/svg+xml")
            save("PNG", scene.png, f"{name}.png", "image/png")
        if table:
            save("CSV", table, f"{name}.csv", "text/csv")


def save(label: str, data: Any, file: str, kind: str, key: str = "") -> None:
    """A button that saves `data`, or what it returns, as a file of a MIME type."""
    key = key or file.replace(".", "_")
    st.download_button(
        label, data, shorten_file_name(file), kind, key=key, on_click="ignore", icon=":material/download:"
    )
