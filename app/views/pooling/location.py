"""The view of location: what global pooling leaves of it, and which input sizes a network takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app.components.downloads import offer_downloads
from app.components.drawing import drawing
from app.components.plots import plot
from app.pickers import controls
from app.session import shared
from app.session.networks import Network
from app.views.equivariance.results import REACH, ShiftSetting
from app.views.pooling import results
from cnnviz.figures.equivariance.words import PADDING
from cnnviz.figures.pooling.charts import location_figure
from cnnviz.figures.pooling.sizes import sizes_scene, sizes_sentence
from cnnviz.wording import plural

NARROW = 690  # pixels; the page of a window of 1024


def view(network: Network, image: str, row: Any) -> None:
    """Three curves over shifts, and the same network on several sizes."""
    with row:
        right = int(
            controls.bind(
                st.slider, "Shift to the right [pixels]", "right", 2, min_value=0, max_value=REACH, step=1, width=240
            )
        )
        how = controls.bind(st.selectbox, "Shift", "how", "circular", options=["circular", "crop"], width=120)
        padding = controls.bind(
            st.selectbox,
            "Padding",
            "around",
            "torus",
            options=list(PADDING),
            width=115,
            help="  \n".join(f"{name}: {words}" for name, words in PADDING.items()),
        )
    setting = ShiftSetting(network, image, how, padding)
    _curves(setting, pick_layer(network), right)
    _sizes(network, image)
    with st.expander("Formula and source"):
        st.write(
            "Relative change: ‖g(f(T(x))) − g(f(x))‖ / ‖g(f(x))‖, where f is the chosen map, rectified, and g leaves "
            "it flat, or takes the mean or the maximum of each channel. A dense layer behind a flattened map has a "
            "weight for every place, so that its input cannot have another size; a mean has no such number. Global "
            "average pooling: Lin, Chen, Yan, Network in Network, ICLR 2014, arXiv:1312.4400."
        )


def pick_layer(network: Network) -> str:
    """A layer with location, in the bar; the last convolution unless the link says otherwise."""
    shapes = shared.layer_shapes(network)
    convs = set(network.model.layers("conv"))
    options = [name for name, shape in shapes.items() if name in convs and max(shape[1:]) > 1] or list(shapes)
    return controls.choose_layer(network, options, options[-1], "Convolution")


def _curves(setting: ShiftSetting, layer: str, right: int) -> None:
    found = results.location(setting, layer)
    if found is None:
        return
    figure = location_figure(results.OFFSETS, found, right)
    plot(figure, f"Change of {layer} over shifts", "location_curves", f"{setting.network.model.name}-location")
    at = int(np.flatnonzero(results.OFFSETS == right)[0])
    flat, average, largest = (f"{100 * float(c[at]):.0f} %" for c in (found.flat, found.average, found.maximum))
    st.write(
        f"Shifted by {plural(right, 'pixel')}, what a dense layer would read of `{layer}` changes by "
        f"**{flat}**, its global average by **{average}** and its global maximum by **{largest}**. **Notice** that "
        "global pooling keeps what there is and forgets where: on a *torus* nothing at all changes at multiples of the "
        "stride. Choose the padding *native*, as trained, to see what the border gives away."
    )


def _sizes(network: Network, image: str) -> None:
    lines = [(network, image)]
    runs = results.sizes(network.key, image, network)
    other = results.counterpart(network, all(run.answer is not None for run in runs))
    if other is not None:
        lines.append((other, image if other.one_channel == network.one_channel else _own_image(other)))
    found = [(one, results.sizes(one.key, picture, one)) for one, picture in lines]
    told = [(shared.facts(one)["title"], _ends(tried), tried) for one, tried in found]
    scenes = [sizes_scene(told, width) for width in (1070, NARROW)]
    drawing(scenes[:1], ["Input sizes"], "location_sizes", narrow=scenes[1:])
    st.write(
        f"{_describe_pictures(lines)} at several sizes. "
        + " ".join(sizes_sentence(name, tried) for name, _, tried in told)
        + " **Notice** that convolutions run on any size; it is the dense layer behind a flattened map that does not."
    )
    offer_downloads("input-sizes", scenes[0])


def _describe_pictures(lines: list[tuple[Network, str]]) -> str:
    """What the rows show: one photograph or digit, or one of each."""
    kinds = list(dict.fromkeys("digit" if picture.startswith("digit-") else "photograph" for _, picture in lines))
    return "One " + " and one ".join(kinds)


def _own_image(network: Network) -> str:
    return "digit-3" if network.one_channel else controls.DEFAULT_PHOTO


def _ends(runs: Any) -> str:
    return "takes any size" if all(run.answer is not None for run in runs) else "one size only"
