"""The view of turns and scales, for which nothing in a convolution asks: where equivariance ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app.components.picture import labelled_picture
from app.components.plots import plot
from app.pickers import controls
from app.session import shared
from app.session.cache import picture_cache
from app.url import address
from app.views.equivariance import results
from app.views.equivariance.results import TRANSFORMS, ShiftSetting
from cnnviz.errors import BadInput
from cnnviz.figures.equivariance.charts import beyond_figure
from cnnviz.figures.equivariance.panels import shift_strip
from cnnviz.figures.equivariance.words import error_text

if TYPE_CHECKING:
    from cnnviz.figures.equivariance.panels import Strip
    from cnnviz.studies.equivariance.rotation_scale import TransformComparison


def name_of(kind: str, amount: float) -> str:
    """A transform in words, the same in the link and under the bars."""
    if kind == "quarter":
        return f"turn {90 * int(amount)}°"
    return f"rotate {amount:g}°" if kind == "rotation" else f"scale {amount:g}"


def view(setting: ShiftSetting, layer: str, channel: int, row: Any) -> None:
    """One transform in pictures, all as bars. Raises BadInput where the padding leaves no map of the layer."""
    places = {
        name_of(kind, amount): (kind, at) for kind, amounts in TRANSFORMS.items() for at, amount in enumerate(amounts)
    }
    height, width = setting.network.input_size[1:]
    if height != width:
        places = {name: place for name, place in places.items() if place[0] != "quarter"}
    with row:
        name = controls.bind(
            st.selectbox, "Transform", "transform", next(iter(places)), options=list(places), width=130
        )
    kind, at = places[name]
    try:
        found = {k: results.beyond(setting, layer, k) for k in dict.fromkeys(k for k, _ in places.values())}
    except BadInput as error:
        shared.problem(error)
        return
    one = found[kind][layer]
    name_there = ("beyond", *setting.key, layer, channel, name)
    drawn = picture_cache().get(name_there, lambda: _draw_strip(setting, found[kind], layer, channel, at))
    labelled_picture(drawn, f"{name}: {layer}, channel {channel}", "beyond_strip")
    st.markdown(
        f"`{controls.unit_name(layer, channel)}` Relative error over all channels under *{name}*: "
        f"**{error_text(float(one.relative[at]))}**."
    )
    errors = [float(found[k][layer].relative[i]) for k, i in places.values()]
    costs = [float(found[k][layer].resampling[i]) for k, i in places.values()]
    plot(
        beyond_figure(list(places), errors, costs, name),
        f"Errors of {layer} beyond shifts",
        "beyond",
        f"{setting.network.model.name}-{layer}-beyond",
        on_point=_choose,
    )
    st.write(
        "The same comparison where T turns or scales the image and the map about their centres. **Notice** that even "
        "an exact turn by 90° leaves a large error: sharing weights over places gives equivariance to shifts alone; "
        "everything else has to be learned. Gray units have no counterpart in the old map."
    )
    with st.expander("Formula and source"):
        st.write(
            "‖f(T(x)) − T(f(x))‖ / ‖T(f(x))‖ over the units that something of the old map was brought to. Turns by 90° "
            "move pixels without interpolation; rotation and scale are bilinear, with zeros from outside. The orange "
            "marks are the relative distance of a map to itself brought there and back: what interpolation alone "
            "costs. See Goodfellow, Bengio and Courville, Deep Learning (2016), section 9.2."
        )


def _draw_strip(setting: ShiftSetting, found: TransformComparison, layer: str, channel: int, at: int) -> Strip:
    """The image and one map before and after a transform."""
    from cnnviz.studies.equivariance.shifting import denormalise

    one, model = found[layer], setting.model
    base, moved = denormalise(model, setting.pixels(0)), denormalise(model, found.images[at])
    return shift_strip(base, moved, one.moved[at, channel], one.after[at, channel], one.inside[at])


def _choose(hit: list[Any]) -> None:
    """A click on a bar shows that transform."""
    address.choose("transform", str(hit[0]))
