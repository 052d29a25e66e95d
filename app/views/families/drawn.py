"""LeNet-5 looks at a digit that is drawn on the page: its maps and its answer follow every stroke."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from app.components.picture import picture
from app.components.sketch import sketch
from app.markdown import escape_markdown
from app.pickers import controls
from app.session import networks
from app.session.cache import array_cache, picture_cache
from app.session.networks import Choice, Network
from app.url import address
from app.views.families import results
from cnnviz.errors import BadInput
from cnnviz.figures.base.mosaic import maps_mosaic
from cnnviz.figures.families.table import bars_scene
from cnnviz.wording import plural

TOPIC = "LeNet-5: draw a digit"
THREE = "IENAU9cAhEjJhPcTVVdXjblhjodtVuNsHo"  # a 3 in one stroke
EMPTY = "."
LAYERS = ("conv1", "conv2")
NETWORKS = {"lenet5": "ReLU, max pooling", "lenet5_avg": "average pooling", "lenet5_tanh": "tanh"}


def digit(row: Any) -> None:
    """Canvas, what the network receives, its maps and its answer."""
    from cnnviz.studies.families.drawn_digit import ALPHABET, draw_strokes, parse_strokes

    with row:
        name = controls.bind(
            st.selectbox,
            "LeNet-5 with",
            "lenet",
            "lenet5",
            options=list(NETWORKS),
            format_func=NETWORKS.__getitem__,
            width=190,
        )
        st.button("Clear", on_click=address.choose, args=("ink", EMPTY), icon=":material/delete:")
    ink = address.keep("ink") or THREE
    try:
        pixels = draw_strokes(parse_strokes(ink))
    except BadInput as error:
        st.error(escape_markdown(str(error)), icon=":material/draw:")
        ink, pixels = EMPTY, draw_strokes(())
    network = networks.load(Choice(name, "bundled", controls.choose_device()))
    maps, scores = _look(network, ink, pixels)
    left, middle, right = st.columns([0.3, 0.4, 0.3], gap="medium")
    with left:
        sketch(ink, ALPHABET, "Canvas: draw a digit here", "digit_canvas", lambda told: address.choose("ink", told))
    with middle:
        for layer, values in zip(LAYERS, maps, strict=True):
            made = picture_cache().get(
                ("drawn", network.key, ink, layer),
                partial(maps_mosaic, values, width=440, height=250),
            )
            picture(made.png, made.size, f"Maps of {layer}", f"drawn_{layer}")
            st.caption(f"`{layer}`, {plural(len(values), 'map')} of {values.shape[1]}×{values.shape[2]}")
    with right:
        bars = [(str(number), float(share), f"{share:.0%}") for number, share in enumerate(scores)]
        results.show_one(bars_scene(bars, 330.0, 430.0), "Probability of each digit", "drawn_answer")
    _words(pixels, scores)


def _look(network: Network, ink: str, pixels: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """([maps of each of LAYERS], probabilities (10,)) of one drawing."""
    from cnnviz.probes.capture import capture

    def ask() -> tuple[list[np.ndarray], np.ndarray]:
        image = np.repeat(pixels[:, :, None], 3, 2)
        found = capture(network.model, image, list(LAYERS))
        return [found[layer][0] for layer in LAYERS], network.model.predict(image)[0]

    return array_cache().get(("drawn digit", network.key, ink), ask)


def _words(pixels: np.ndarray, scores: np.ndarray) -> None:
    best = int(scores.argmax())
    said = (
        f"The network says **{best}**, {scores[best]:.0%}."
        if pixels.any()
        else "Nothing is drawn; the network answers all the same, because its probabilities sum to 1."
    )
    st.write(
        f"Draw on the black square; maps and answer follow every stroke. {said} **Notice** what the first maps answer "
        "to, strokes of one direction or edges of one side, and try what is no digit: the answer is a digit all the "
        "same."
    )
    results.explain(
        "Strokes are scaled to fit 20×20 pixels, drawn 2.4 pixels wide and put into 28×28 with their centre of mass in "
        "the middle, as MNIST's digits were; the place on the canvas does not matter. Maps: viridis from 0, values "
        "below 0 as 0. The weights come with cnnviz and were trained on MNIST, not on drawings with a mouse. Source: "
        "LeCun, Bottou, Bengio, Haffner, Proc. IEEE 86(11), 1998."
    )
