"""The view of all shifts up to eight pixels: one layer's error as a square, computed beside the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.components.plots import plot
from app.jobs import studies
from app.pickers import comparison
from app.pickers.comparison import Side
from app.url import address
from app.views.equivariance.results import ShiftSetting
from cnnviz.figures.equivariance.charts import find_top, map_figure
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.equivariance.shift import ShiftMap

SPAN = 8  # pixels to each side
HEIGHT = 560


def view(settings: dict[Side, ShiftSetting], shift: tuple[int, int], mask: bool, common: bool) -> None:
    """The square of errors with two lines through it, of one setting or of two side by side. `common`: one scale for
    both."""
    place, waiting = st.container(), st.container()
    with waiting:
        found = comparison.collect(settings, lambda side: _measure(settings[side], side))
    errors = [one.relative_inside if mask else one.relative for one in found.values() if one is not None]
    top = find_top(*errors) if common and errors else None

    def draw(side: Side) -> None:
        if (one := found[side]) is not None:
            _picture(side, one, mask, shift, top)

    with place:
        comparison.show(found, draw)
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


def _measure(setting: ShiftSetting, side: Side) -> ShiftMap | None:
    """The errors of the layer; None while they are computed."""
    layer = side.layer

    def make(progress: Any) -> ShiftMap:
        from cnnviz.studies.equivariance.shift import equivariance_map

        return equivariance_map(
            setting.model, setting.pixels(SPAN), layer, SPAN, setting.padding, setting.how, progress
        )

    words = f"{plural((2 * SPAN + 1) ** 2, 'shift')} of {layer}"
    return studies.result(side.key("map"), ("map", *setting.key, layer), words, make)


def _picture(side: Side, found: ShiftMap, mask: bool, shift: tuple[int, int], top: float | None) -> None:
    name = f"{side.network.model.name}-{found.layer}-map"
    figure = map_figure(found, mask, shift, HEIGHT, top)
    plot(figure, side.alt(f"Error of {found.layer} over all shifts"), side.key("map"), name, on_point=_choose)
    if mask and np.isnan(found.relative_inside).all():
        st.caption("Every unit of this layer sees padding: without the border there is nothing to compare.")


def _choose(hit: list[Any]) -> None:
    """A click on a cell of the square shows that shift."""
    if hit[2] != "x":
        return
    address.choose("dx", round(hit[0]))
    address.choose("dy", round(hit[1]))
    address.choose("view", "Shift")
