"""The view of all shifts up to eight pixels: one layer's error as a square, computed beside the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.components.plots import plot
from app.jobs import studies
from app.url import address
from app.views.equivariance.results import ShiftSetting
from cnnviz.figures.equivariance.charts import map_figure
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.equivariance.shift import ShiftMap

SPAN = 8  # pixels to each side
HEIGHT = 560


def view(setting: ShiftSetting, layer: str, shift: tuple[int, int], mask: bool) -> None:
    """The square of errors, with two lines through it."""

    def make(progress: Any) -> ShiftMap:
        from cnnviz.studies.equivariance.shift import equivariance_map

        return equivariance_map(
            setting.model, setting.pixels(SPAN), layer, SPAN, setting.padding, setting.how, progress
        )

    found: ShiftMap | None = studies.result(
        "map", ("map", *setting.key, layer), f"{plural((2 * SPAN + 1) ** 2, 'shift')} of {layer}", make
    )
    if found is not None:
        _picture(setting, found, mask, shift)
    st.write(
        "The error of one layer for every shift up to eight pixels each way. **Notice** the lattice: with the padding "
        "*torus* the error is 0 at multiples of the layer's total stride, and the pattern between them repeats. Click "
        "a shift to see its maps."
    )
    with st.expander("Formula and source"):
        st.write(
            'Each cell is ‖f(T(x)) − T(f(x))‖ / ‖T(f(x))‖ over all channels and units; "0" stands where it is below '
            "10⁻⁵, the rounding of float32. After the internal feature distance of Zhang, ICML 2019 "
            "(arXiv:1904.11486), section 3.1, which takes the angle between both; for a stride S it has period S on a "
            "torus."
        )


def _picture(setting: ShiftSetting, found: ShiftMap, mask: bool, shift: tuple[int, int]) -> None:
    name = f"{setting.network.model.name}-{found.layer}-map"
    figure = map_figure(found, mask, shift, HEIGHT)
    plot(figure, f"Error of {found.layer} over all shifts", "map", name, on_point=_choose)
    if mask and np.isnan(found.relative_inside).all():
        st.caption("Every unit of this layer sees padding: without the border there is nothing to compare.")


def _choose(hit: list[Any]) -> None:
    """A click on a cell of the square shows that shift."""
    if hit[2] != "x":
        return
    address.choose("dx", round(hit[0]))
    address.choose("dy", round(hit[1]))
    address.choose("view", "Shift")
