"""The playground's views of one layer over a row of units: its wiring, and whether it commutes with a shift."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app.components.downloads import offer_downloads
from app.components.drawing import drawing, drawing_data
from app.components.motion.player import Motion, Reel, offer_motion
from app.pickers import bar, controls
from app.url import address
from app.views.playground.input import numbers_box, row_of, whole
from cnnviz.figures.base.scene import Scene
from cnnviz.figures.playground.shift_test import shift_scene
from cnnviz.figures.playground.wiring import describe_unit, wirings_scene
from cnnviz.studies.convolution import wiring as wirings

NARROW = 690  # pixels; the page of a window of 1024
ALL, FIRST = "all", "h3"
CONNECTIONS, SHIFT = "Connections", "Shift test"
KERNEL, TIE_STEPS, TIE_PACE = 3, 10, 450  # inputs of a window; steps from free to tied; milliseconds of a step
ROW = "0 2 5 1 0 0 3 2"


def view(row: Any) -> None:
    """Three wirings whose units light up, or a matrix that is tied step by step until it commutes with shifts."""
    with row:
        kind = controls.bind_choice("Show", "wiring", [CONNECTIONS, SHIFT])
    if kind == CONNECTIONS:
        _connections(row)
    else:
        _shift_test(row)


def _connections(row: Any) -> None:
    with row:
        units = whole("Units", "wunits", 5, 3, 9)
        kernel = int(controls.bind(st.selectbox, "Kernel", "wkernel", KERNEL, options=[1, 3, 5], width=90))
        names = [f"{letter}{at + 1}" for letter in "hx" for at in range(units)]
        chosen = controls.bind(st.selectbox, "Unit", "at", FIRST, options=[*names, ALL], width=90)
    found = [wirings.wire_units(units, kernel, kind) for kind in wirings.KINDS]
    scenes = [wirings_scene(found, "" if chosen == ALL else chosen, width) for width in (1070, NARROW)]
    drawing(
        scenes[:1],
        ["Three wirings of a layer"],
        "playground_wiring",
        lambda at: address.choose("at", at),
        narrow=scenes[1:],
    )
    if chosen != ALL:
        st.markdown(describe_unit(found, chosen))
    st.write(
        "The same units x and h, wired in three ways; point at a unit to light up its wires, click it to keep them. "
        "**Notice** that sparse wiring alone saves connections, and that only sharing saves weights: wires of one "
        "colour are one weight."
    )
    offer_downloads("wirings", scenes[0])
    with st.expander("Formula and source"):
        st.latex(
            r"n^2\ \text{(dense)}\qquad kn-\tfrac{k^2-1}{4}\ \text{(local, zeros beyond the ends)}\qquad k\ "
            r"\text{(convolution)}"
        )
        st.write(
            "A naive layer costs O(m · n) for m inputs and n outputs, a sparse one O(k · n). Biases are left out. "
            "Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, section 9.2, figures 9.2 to 9.5 and 9.14."
        )


def _shift_test(row: Any) -> None:
    with row:
        tied = int(
            controls.bind(
                st.slider,
                "Weights tied to a convolution [%]",
                "tied",
                0,
                min_value=0,
                max_value=100,
                step=TIE_STEPS,
                width=280,
            )
        )
        shift = whole("Shift", "wshift", 2, 1, 4)
        border = controls.bind(
            st.selectbox, "Beyond the ends", "wends", "circular", options=list(wirings.BORDERS), width=130
        )
        seed = whole("Random weights, seed", "wseed", 0, 0, 999)
    with bar.panel():
        values = row_of(numbers_box("Input", "wrow", ROW), "input", 10)
    if len(values) < KERNEL:
        values = np.pad(values, (0, KERNEL - len(values)))
    free = np.random.default_rng(seed).normal(size=(len(values), len(values)))
    nearest = wirings.tie_weights(free, KERNEL, border)

    def draw(percent: int) -> tuple[list[Scene], list[str], list[Scene]]:
        matrix = free + percent / 100 * (nearest - free)
        found = wirings.run_shift_test(matrix, values, shift, border)
        wide, narrow = (shift_scene(matrix, found, width) for width in (1070, NARROW))
        return [wide], ["A dense layer and a shift in either order"], [narrow]

    scenes, alts, narrow = draw(tied)
    drawing(scenes, alts, "playground_shift", narrow=narrow)
    places = list(range(0, 101, TIE_STEPS))
    at = places.index(tied) if tied in places else None
    motion = Motion("the ties", [f"tied by {percent} %" for percent in places], at, TIE_PACE, stale=("tied",))
    with row:
        offer_motion(
            motion,
            "motion",
            lambda place: address.choose("tied", places[place]),
            (values.tolist(), shift, border, seed),
            lambda: Reel([{"playground_shift": drawing_data(*draw(percent))} for percent in places]),
        )
    st.write(
        "A dense layer with random weights is applied before and after a shift. **Notice** that the difference goes "
        f"to 0 as its weights are tied to those of a convolution with {KERNEL} weights: equivariance "
        "is a constraint on the matrix, not something a free layer has. "
        + (
            "With zeros beyond the ends what is left stands at the border."
            if border == "zeros"
            else "Choose zeros beyond the ends to see what the border adds."
        )
    )
    offer_downloads("shift-test", scenes[0])
    with st.expander("Formula and source"):
        st.latex(
            r"\frac{\lVert W S x-S W x\rVert}{\lVert S W x\rVert},\qquad W=(1-t)\,W_{\text{free}}+t\,P(W_{\text{free}})"
        )
        st.write(
            "S shifts a row. P gives the nearest convolution: each of its weights is the mean of the places that share "
            "it, all other places are 0. A matrix commutes with all circular shifts exactly if it is circulant, "
            "which is a circular convolution. Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, section 9.2."
        )
