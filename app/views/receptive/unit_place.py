"""Which unit the page of receptive fields looks at: its place on the map, by number, by button and by click."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.pickers import controls
from app.url import address

if TYPE_CHECKING:
    from cnnviz.tracing.receptive_field import ReceptiveField


def pick_place(place: Any, field: ReceptiveField) -> tuple[int, int]:
    """Row and column of the unit, in `place`; the one in the middle unless the link says otherwise."""
    rows, cols = field.shape
    width: dict[str, Any] = dict(step=1, width=64)
    with place:
        row = controls.bind(st.number_input, "Row", "row", rows // 2, min_value=0, max_value=rows - 1, **width)
        col = controls.bind(st.number_input, "Column", "col", cols // 2, min_value=0, max_value=cols - 1, **width)
    return int(row), int(col)


def quick_buttons(row: Any, field: ReceptiveField) -> None:
    """Centre, border and corner, in the row above the picture."""
    rows, cols = field.shape
    places = {"Centre": (rows // 2, cols // 2), "Border": (rows // 2, 0), "Corner": (0, 0)}
    with row, st.container(horizontal=True, gap="xsmall", width="content"):
        for name, place in places.items():
            st.button(name, key=f"place_{name.lower()}", on_click=choose, args=place, disabled=rows * cols == 1)


def choose(row: int, col: int) -> None:
    """In a callback: look at this unit."""
    address.choose("row", row)
    address.choose("col", col)


def unit_at(field: ReceptiveField, row: float, col: float) -> tuple[int, int]:
    """The unit whose field has its middle nearest to a pixel of the image."""
    rows, cols = field.shape
    middles_down = [field.centre(at, 0)[0] for at in range(rows)]
    middles_right = [field.centre(0, at)[1] for at in range(cols)]
    return _nearest(middles_down, row), _nearest(middles_right, col)


def _nearest(middles: list[float], at: float) -> int:
    return int(np.argmin(np.abs(np.array(middles) - at)))
