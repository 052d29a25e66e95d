"""The view of one shift: the image, both maps, their difference, every layer's error, and the teeth at the stride."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.components.picture import Grip, Label, picture, picture_data
from app.components.plots import plot
from app.jobs import studies
from app.markdown import escape_markdown
from app.pickers import controls
from app.session import shared
from app.session.cache import picture_cache
from app.url import address
from app.views.equivariance import results
from app.views.equivariance.results import REACH, Compared, Curve, LayerError, ShiftSetting
from cnnviz.figures.equivariance.charts import curve_figure, layers_figure
from cnnviz.figures.equivariance.panels import ShiftStrip, shift_strip
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


def view(setting: ShiftSetting, layer: str, channel: int, shift: tuple[int, int], mask: bool) -> None:
    """The view. `mask`: only units that see no padding count. Raises BadInput where the padding leaves no map."""
    found = results.compare(setting, layer, shift)
    _panels(setting, layer, channel, found, mask, shift)
    one = found.row
    with st.container(key="shift_words"):
        st.markdown(
            f"`{controls.unit_name(layer, channel)}` "
            + shift_sentence(
                shift,
                (int(one.steps[0, 0]), int(one.steps[0, 1])),
                one.stride,
                float(one.relative[0]),
                float(one.relative_inside[0]),
            )
        )
    left, right = st.columns([1.25, 1], gap="medium")
    with left:
        _layers(setting, layer, found, mask)
    with right:
        _curve(setting, layer, shift, max(one.stride))
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


def _panels(
    setting: ShiftSetting, layer: str, channel: int, found: Compared, mask: bool, shift: tuple[int, int]
) -> None:
    drawn = picture_cache().get(
        ("shift", *setting.key, layer, channel, mask, *shift),
        lambda: draw_strip(setting, found, channel, mask),
    )
    words = f"Shift of {layer}, channel {channel}"
    picture(drawn.png, drawn.size, words, "shift_strip", **_over(drawn, shift), on_drag=_drag)


def draw_strip(setting: ShiftSetting, found: Compared, channel: int, mask: bool) -> ShiftStrip:
    """The image, its shifted copy, both maps of a channel and their difference."""
    row = found.row
    assert row.moved is not None and row.after is not None  # `equivariance` was asked for both maps
    moved, after = row.moved[0, channel], row.after[0, channel]
    known = row.inside[0] if mask else _arrived(row.steps[0], moved.shape, setting.how)
    return shift_strip(found.before, found.shifted, moved, after, known)


def strip_data(drawn: ShiftStrip, shift: tuple[int, int]) -> dict[str, Any]:
    """What the browser draws of it."""
    return picture_data(drawn.png, drawn.size, **_over(drawn, shift))


def _over(drawn: ShiftStrip, shift: tuple[int, int]) -> dict[str, Any]:
    (left, top, wide, high), source, at = drawn.shifted, drawn.image[:2], (shift[1], shift[0])
    grip = Grip(left, top, wide, high, source, drawn.pixel, REACH, at, "Drag to shift the image")
    return {"labels": [Label(*words) for words in drawn.words], "grip": grip}


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


def _layers(setting: ShiftSetting, layer: str, found: Compared, mask: bool) -> None:
    errors = errors_of(found.errors, mask)
    figure = draw_layers(found.errors, layer, mask)
    plot(figure, "Error of every layer", "layers", f"{setting.network.model.name}-layers", on_point=_choose_layer)
    if found.problem:
        st.caption(escape_markdown(f"Only this layer: {found.problem}"))
    elif mask and np.isnan(errors).all():
        st.caption("Every unit of these layers sees padding: without the border there is nothing to compare.")


def errors_of(layers: Sequence[LayerError], mask: bool) -> list[float]:
    """Of all units, or with `mask` of those that see no padding."""
    return [one.inside if mask else one.relative for one in layers]


def draw_layers(layers: Sequence[LayerError], layer: str, mask: bool, together: np.ndarray | None = None) -> Figure:
    """The errors of all layers as bars; `together`: errors of other shifts on the same axis."""
    names, strides = [one.layer for one in layers], [max(one.stride) for one in layers]
    return layers_figure(names, strides, errors_of(layers, mask), layer, together=together)


def _choose_layer(hit: list[Any]) -> None:
    """A click on a bar chooses that layer."""
    address.choose("layer", str(hit[0]))


def _curve(setting: ShiftSetting, layer: str, shift: tuple[int, int], stride: float) -> None:
    """The error over shifts along the axis of the larger component."""
    along = 0 if abs(shift[0]) > abs(shift[1]) else 1
    found = find_curve(setting, layer, stride, along)
    if found is None:
        return
    here = abs(shift[along]) if shift[1 - along] == 0 else None
    figure = curve_figure(found.offsets, found.relative, found.inside, stride, here, AXES[along])
    plot(figure, f"Error of {layer} over shifts", "curve", f"{setting.network.model.name}-{layer}-shifts")


def find_curve(setting: ShiftSetting, layer: str, stride: float, along: int) -> Curve | None:
    """The error over shifts along rows (0) or columns (1); None while it is computed beside the page."""
    length = results.curve_length(setting, stride)
    recipe = ("curve", *setting.key, layer, along, length)
    if results.is_quick(setting, length):
        return picture_cache().get(recipe, lambda: results.curve(setting, layer, length, along))
    return studies.result(
        "curve",
        recipe,
        "Error over shifts",
        lambda progress: results.curve(setting, layer, length, along, progress),
    )
