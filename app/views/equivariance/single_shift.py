"""The view of one shift: the image, both maps, their difference, every layer's error, and the teeth at the stride."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.components.picture import Grip, Label, picture, picture_data
from app.components.plots import plot
from app.jobs import studies
from app.markdown import escape_markdown
from app.pickers import comparison, controls
from app.pickers.comparison import Side
from app.session import shared
from app.session.cache import picture_cache
from app.url import address
from app.views.equivariance import results
from app.views.equivariance.results import REACH, Compared, Curve, LayerError, ShiftSetting
from cnnviz.figures.equivariance.charts import curve_figure, find_top, layers_figure
from cnnviz.figures.equivariance.panels import ShiftStrip, find_peak, shift_strip
from cnnviz.figures.equivariance.words import shift_sentence

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

AXES = ("shift down [pixels]", "shift to the right [pixels]")


def pick_shift(row: Any) -> tuple[int, int]:
    """(rows, columns) in pixels of the input, in the row above the picture."""
    with row:
        right = controls.bind(
            st.number_input, "Right [pixels]", "dx", 1, min_value=-REACH, max_value=REACH, step=1, width=136
        )
        down = controls.bind(
            st.number_input, "Down [pixels]", "dy", 0, min_value=-REACH, max_value=REACH, step=1, width=136
        )
    return int(down), int(right)


def pick_channel(setting: ShiftSetting, layer: str) -> int:
    """The channel in the sidebar; the strongest unless the link says otherwise."""
    network = setting.network
    maps = shared.maps(network, setting.image, layer)
    return controls.pick_unit(len(maps), int(np.argmax(maps.max(axis=(1, 2)))))


@dataclass(frozen=True, slots=True)
class _Shown:
    """What stands in one half. `curve`: None while it is computed."""

    setting: ShiftSetting
    found: Compared
    channel: int
    curve: Curve | None

    @property
    def maps(self) -> tuple[np.ndarray, np.ndarray]:
        """T(f(x)) and f(T(x)) of the channel, (h, w) each."""
        return _pick_maps(self.found, self.channel)


@dataclass(frozen=True, slots=True)
class _Scales:
    """What both halves share; None for one half alone, or for each its own. `peak`: of activations; `layers`, `curve`:
    the error at the upper end of an axis."""

    peak: float | None = None
    layers: float | None = None
    curve: float | None = None


def view(
    settings: dict[Side, ShiftSetting], channel: int, shift: tuple[int, int], mask: bool, common: bool
) -> list[Side]:
    """The view, of one setting or of two side by side; returns the halves that are shown. `mask`: only units that see
    no padding count. `common`: one scale for both. Raises BadInput where the padding leaves no map."""
    found = comparison.collect(settings, lambda side: _compare(settings[side], side, channel, shift))
    place, waiting = st.container(), st.container()
    with waiting:
        curves = {side: _find_curve(settings[side], side, shift, found) for side in found}
    shown = {side: _Shown(settings[side], one, channel, curves[side]) for side, one in found.items()}
    scales = _share(list(shown.values()), mask) if common else _Scales()

    def draw(side: Side) -> None:
        _panels(shown[side], side, mask, shift, scales.peak)
        with st.container(key=side.key("shift_words")):
            _say(shown[side], side.layer, shift)
        left, right = (st.container(), st.container()) if len(shown) > 1 else st.columns([1.25, 1], gap="medium")
        with left:
            _layers(shown[side], side, mask, scales.layers)
        with right:
            _curve(shown[side], side, shift, scales.curve)

    with place:
        comparison.show(shown, draw)
    st.write(
        "A layer is equivariant to shifts if shifting the image and then computing the map gives the map, shifted. "
        "**Notice** that the difference is black only where the shift is a multiple of the layer's stride and no "
        "padding is seen: choose the padding *torus* and step through the shifts."
    )
    with st.expander("Formula and source"):
        st.write(
            "Relative error: ‖f(T(x)) − T(f(x))‖ / ‖T(f(x))‖ over all channels and units of a layer; 0 says that both "
            "are equal but for the rounding of float32. T moves the image by pixels and the map by pixels over the "
            "total stride, to the nearest unit. Compared as in the internal feature distance of Zhang, ICML 2019 "
            "(arXiv:1904.11486), section 3.1; swapped padding after Kayhan and van Gemert, CVPR 2020 "
            "(arXiv:2003.07064). A convolution's values are those before its ReLU; below 0 is drawn as 0."
        )
    return list(shown)


def _compare(setting: ShiftSetting, side: Side, channel: int, shift: tuple[int, int]) -> Compared:
    channels = shared.layer_shapes(side.network)[side.layer][0]
    if channel >= channels:
        raise comparison.NothingBeside(f"{side.layer} has no channel {channel}: its last is {channels - 1}.")
    return results.compare(setting, side.layer, shift)


def _share(shown: list[_Shown], mask: bool) -> _Scales:
    curves = [values for one in shown if one.curve for values in (one.curve.relative, one.curve.inside)]
    return _Scales(
        find_peak(*(values for one in shown for values in one.maps)),
        find_top(*(errors_of(one.found.errors, mask) for one in shown)),
        find_top(*curves) if curves else None,
    )


def _say(shown: _Shown, layer: str, shift: tuple[int, int]) -> None:
    one = shown.found.row
    steps, errors = one.steps[0], (float(one.relative[0]), float(one.relative_inside[0]))
    words = shift_sentence(shift, (int(steps[0]), int(steps[1])), one.stride, *errors)
    st.markdown(f"`{controls.unit_name(layer, shown.channel)}` {words}")


def _panels(shown: _Shown, side: Side, mask: bool, shift: tuple[int, int], peak: float | None) -> None:
    setting, found, channel = shown.setting, shown.found, shown.channel
    drawn = picture_cache().get(
        ("shift", *setting.key, side.layer, channel, mask, *shift, peak),
        lambda: draw_strip(setting, found, channel, mask, peak),
    )
    words, group = side.alt(f"Shift of {side.layer}, channel {channel}"), comparison.GROUP if side.words else ""
    key, over = side.key("shift_strip"), _lay_over(drawn, shift)
    picture(drawn.png, drawn.size, words, key, **over, on_drag=_drag, group=group)


def draw_strip(
    setting: ShiftSetting, found: Compared, channel: int, mask: bool, peak: float | None = None
) -> ShiftStrip:
    """The image, its shifted copy, both maps of a channel and their difference. `peak`: the activation of full
    colour; None: the largest of both maps."""
    row, (moved, after) = found.row, _pick_maps(found, channel)
    known = row.inside[0] if mask else _arrived(row.steps[0], moved.shape, setting.how)
    return shift_strip(found.before, found.shifted, moved, after, known, peak)


def strip_data(drawn: ShiftStrip, shift: tuple[int, int]) -> dict[str, Any]:
    """What the browser draws of it."""
    return picture_data(drawn.png, drawn.size, **_lay_over(drawn, shift))


def _lay_over(drawn: ShiftStrip, shift: tuple[int, int]) -> dict[str, Any]:
    (left, top, wide, high), source, at = drawn.shifted, drawn.image[:2], (shift[1], shift[0])
    grip = Grip(left, top, wide, high, source, drawn.pixel, REACH, at, "Drag to shift the image")
    return {"labels": [Label(*words) for words in drawn.words], "grip": grip}


def _pick_maps(found: Compared, channel: int) -> tuple[np.ndarray, np.ndarray]:
    """T(f(x)) and f(T(x)) of a channel, (h, w) each."""
    row = found.row
    assert row.moved is not None and row.after is not None  # `equivariance` was asked for both maps
    return row.moved[0, channel], row.after[0, channel]


def _drag(right: int, down: int) -> None:
    """The image was dragged there."""
    address.choose("dx", right)
    address.choose("dy", down)


def _arrived(steps: np.ndarray, shape: tuple[int, ...], how: str) -> np.ndarray | None:
    """(h, w) True for the units that T(f(x)) has a value for; None for all of them, as on a torus."""
    if how != "crop":
        return None
    source = [np.arange(size) - step for size, step in zip(shape, steps, strict=True)]
    return np.logical_and.outer(*((s >= 0) & (s < size) for s, size in zip(source, shape, strict=True)))


def _layers(shown: _Shown, side: Side, mask: bool, top: float | None) -> None:
    found, figure = shown.found, draw_layers(shown.found.errors, side.layer, mask, top)
    file, choose = f"{side.network.model.name}-layers", partial(_choose_layer, side.layer_key)
    plot(figure, side.alt("Error of every layer"), side.key("layers"), file, on_point=choose)
    if found.problem:
        st.caption(escape_markdown(f"Only this layer: {found.problem}"))
    elif mask and np.isnan(errors_of(found.errors, mask)).all():
        st.caption("Every unit of these layers sees padding: without the border there is nothing to compare.")


def errors_of(layers: Sequence[LayerError], mask: bool) -> list[float]:
    """Of all units, or with `mask` of those that see no padding."""
    return [one.inside if mask else one.relative for one in layers]


def draw_layers(layers: Sequence[LayerError], layer: str, mask: bool, top: float | None) -> Figure:
    """The errors of all layers as bars; `top`: the error at the axis's upper end, None for their own."""
    names, strides = [one.layer for one in layers], [max(one.stride) for one in layers]
    return layers_figure(names, strides, errors_of(layers, mask), layer, top=top)


def _choose_layer(key: str, hit: list[Any]) -> None:
    """A click on a bar chooses that layer. `key`: of the choice."""
    address.choose(key, str(hit[0]))


def _find_axis(shift: tuple[int, int]) -> int:
    """The axis of the larger component: 0 for rows, 1 for columns."""
    return 0 if abs(shift[0]) > abs(shift[1]) else 1


def _find_curve(
    setting: ShiftSetting, side: Side, shift: tuple[int, int], compared: dict[Side, Compared]
) -> Curve | None:
    """The error over shifts along the axis of the larger component, as far as the largest stride of both halves wants;
    None while it is computed."""
    length = results.curve_length(setting, max(max(one.row.stride) for one in compared.values()))
    return find_curve(setting, side.layer, _find_axis(shift), length, side.key("curve"))


def find_curve(setting: ShiftSetting, layer: str, along: int, length: int, job: str) -> Curve | None:
    """The error over shifts of 0 … `length` pixels along rows (0) or columns (1); None while the `job` computes it
    beside the page."""
    recipe = ("curve", *setting.key, layer, along, length)
    if results.is_quick(setting, length):
        return picture_cache().get(recipe, lambda: results.curve(setting, layer, length, along))
    return studies.result(
        job,
        recipe,
        "Error over shifts",
        lambda progress: results.curve(setting, layer, length, along, progress),
    )


def _curve(shown: _Shown, side: Side, shift: tuple[int, int], top: float | None) -> None:
    if (found := shown.curve) is None:
        return
    along, stride = _find_axis(shift), max(shown.found.row.stride)
    here = abs(shift[along]) if shift[1 - along] == 0 else None
    figure = curve_figure(found.offsets, found.relative, found.inside, stride, here, AXES[along], top=top)
    file = f"{side.network.model.name}-{side.layer}-shifts"
    plot(figure, side.alt(f"Error of {side.layer} over shifts"), side.key("curve"), file)
