"""What the view of families shares between sessions: results that do not depend on a choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from app.components.downloads import offer_downloads
from app.components.drawing import drawing
from cnnviz.figures.base.scene import Scene
from cnnviz.figures.families.table import Row, TableCell

WIDE, NARROW = 1070.0, 690.0  # pixels; the page of a window of 1440, and of one of 1024


@st.cache_resource(max_entries=64, show_spinner=False)
def remembered(key: tuple, _make: Callable[[], Any]) -> Any:
    """What `_make` gives, made once for all sessions; `key` names all it depends on."""
    return _make()


def show(draw: Callable[[float], Scene], alt: str, name: str, on_click: Callable[[str], None] | None = None) -> Scene:
    """Show a drawing at the widths of a large and of a narrow window; returns the large one."""
    scenes = [draw(width) for width in (WIDE, NARROW)]
    drawing(scenes[:1], [alt], name, on_click, narrow=scenes[1:])
    return scenes[0]


def show_one(scene: Scene, alt: str, name: str) -> None:
    """Show one drawing, in a column of its own."""
    drawing([scene], [alt], name)


def offer(name: str, scene: Scene, rows: Sequence[Row] = ()) -> None:
    """Buttons that save the drawing and the table."""
    offer_downloads(name, scene, rows_csv(rows))


def rows_csv(rows: Sequence[Row]) -> str:
    """The texts of a table as CSV."""
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([[cell.text if isinstance(cell, TableCell) else cell for cell in row] for row in rows])
    return text.getvalue()


def explain(text: str, formula: str = "") -> None:
    """The expander with formula and source."""
    with st.expander("Formula and source"):
        if formula:
            st.latex(formula)
        st.write(text)
