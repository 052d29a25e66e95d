"""The walk of the view of one shift: the image moves to the right pixel by pixel, and the error curve draws itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.components.motion.player import Motion, Reel, ReelFrame, offer_motion
from app.components.plots import plot_data
from app.jobs import studies
from app.url import address
from app.views.equivariance import results, single_shift
from app.views.equivariance.results import REACH, Curve, LayerError, ShiftSetting
from cnnviz.figures.equivariance.charts import curve_figure, find_top
from cnnviz.figures.equivariance.panels import ShiftStrip
from cnnviz.progress import Ticker

PACE = 450  # milliseconds of a pixel


@dataclass(frozen=True, slots=True)
class Station:
    """What the page shows of one shift: the strip of pictures, and the error of every layer."""

    strip: ShiftStrip
    errors: tuple[LayerError, ...]


def offer_walk(row: Any, setting: ShiftSetting, layer: str, channel: int, shift: tuple[int, int], mask: bool) -> None:
    """Let the shift walk to the right, from 0 to the end of the curve. Call below the view."""
    down, right = shift
    stride = max(results.compare(setting, layer, shift).row.stride)
    whole = results.curve_length(setting, stride)
    length = min(whole, REACH)
    motion = Motion(
        "the shift",
        [f"{pixels} px to the right" for pixels in range(length + 1)],
        right if not down and 0 <= right <= length else None,
        PACE,
        first=0,
        stale=("dx", "dy", "shift_words"),
    )
    waiting = st.container()

    def make_reel() -> Reel | None:
        with waiting:
            stations = _find_stations(setting, layer, channel, mask, length)
            curve = single_shift.find_curve(setting, layer, 1, whole, "walk_curve")
        return None if stations is None or curve is None else _cut_reel(stations, curve, layer, stride, mask)

    with row:
        offer_motion(motion, "motion", _choose, (*setting.key, layer, channel, mask), make_reel)


def _choose(right: int) -> None:
    address.choose("dx", right)
    address.choose("dy", 0)


def _find_stations(
    setting: ShiftSetting, layer: str, channel: int, mask: bool, length: int
) -> tuple[Station, ...] | None:
    """One for each pixel from 0 to `length`; None while they are computed beside the page."""

    def make(progress: Any = None) -> tuple[Station, ...]:
        ticker, stations = Ticker(length + 1, progress), []
        for right in range(length + 1):
            found = results.compute_comparison(setting, layer, (0, right))
            stations.append(Station(single_shift.draw_strip(setting, found, channel, mask), found.errors))
            ticker.tick("shifts")
        return tuple(stations)

    if results.is_quick(setting, 2 * length):
        return make()
    return studies.result("walk", ("walk", *setting.key, layer, channel, mask, length), "The walk of the shift", make)


def _cut_reel(stations: tuple[Station, ...], curve: Curve, layer: str, stride: float, mask: bool) -> Reel:
    top = find_top(*(single_shift.errors_of(one.errors, mask) for one in stations))

    def frame(right: int, one: Station) -> ReelFrame:
        errors = (curve.offsets, curve.relative, curve.inside)
        drawn = curve_figure(*errors, stride, right, single_shift.AXES[1], drawn=right)
        return {
            "shift_strip": single_shift.strip_data(one.strip, (0, right)),
            "layers": plot_data(single_shift.draw_layers(one.errors, layer, mask, top)),
            "curve": plot_data(drawn),
        }

    return Reel([frame(right, one) for right, one in enumerate(stations)])
