"""The view of backpropagation by hand: a small network with numbers of one's own, forward, backward, and steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app.components.downloads import offer_downloads
from app.components.drawing import drawing
from app.pickers import bar, controls
from app.views.playground.input import decimal, numbers_box, row_of, table
from cnnviz.figures.backward.by_hand import network_scene
from cnnviz.figures.playground.cells import number_text

if TYPE_CHECKING:
    from cnnviz.studies.backward.by_hand import HandPass

NARROW, PHONE = 690, 380  # pixels
MOST = 4  # inputs and hidden units that can be drawn
STEPS = 30


def view(row: Any) -> None:
    """Numbers, learning rate and step; the network; the formulas with these numbers."""
    from cnnviz.studies.backward.by_hand import HandNetwork, descend

    with bar.panel():
        x = row_of(numbers_box("Inputs x", "hand_x", "1 0.5"), "inputs x", MOST)
        v = table(numbers_box("Weights v, a row a unit", "hand_v", "0.5 −0.4\n0.3 0.8", 2), "weights v", MOST)
        w = row_of(numbers_box("Weights w", "hand_w", "0.7 −0.6"), "weights w", MOST)
        y = row_of(numbers_box("Target y", "hand_y", "1"), "target y", 1)
    with row:
        rate = decimal("Learning rate η", "rate", 0.5, 0.0, 5.0, 0.05, width=230)
        step = int(controls.bind(st.slider, "Step", "step", 0, min_value=0, max_value=STEPS, step=1, width=260))
    passes = descend(HandNetwork(x, v, w, float(y[0])), rate, STEPS)
    if step >= len(passes):
        st.info(
            f"At this learning rate the weights are beyond all numbers after step {len(passes) - 1}; that one is shown."
        )
    found = passes[min(step, len(passes) - 1)]
    scenes = [network_scene(found, width) for width in (860, NARROW)]
    drawing(
        scenes[:1],
        ["A network with one hidden layer"],
        "backward_hand",
        narrow=[network_scene(found, PHONE, 400)],
        least=0.6,
    )
    st.markdown(_describe(found, passes))
    st.write(
        "**Notice** that one δ travels back along the wires: times the value that a wire carried it is the gradient of "
        "the wire's weight, times the weight and the slope of tanh the δ of the unit before. Move *Step* and see the "
        "loss fall; at a large learning rate it does not."
    )
    offer_downloads("backprop-by-hand", scenes[0])
    with st.expander("Formula, what notes get wrong, and source"):
        st.latex(
            r"\delta=\hat y-y,\quad \frac{\partial L}{\partial w_j}=(\hat y-y)\,z_j=\delta z_j,\quad "
            r"\delta_j=(1-z_j^2)\,w_j\,\delta,\quad \frac{\partial L}{\partial v_{ji}}=\delta_j x_i,\quad "
            r"w\leftarrow w-\eta\frac{\partial L}{\partial w}"
        )
        st.write(
            "L = ½ (ŷ − y)², hidden units tanh, output linear. Three slips that are often copied: ∂L/∂wⱼ is (ŷ − y) "
            "zⱼ, not (y − ŷ) zⱼ; the slope of tanh is 1 − zⱼ², not (1 − zⱼ)²; η is the learning rate, not the weight "
            "decay. Source: Rumelhart, Hinton, Williams, Nature 323, 1986."
        )


def _describe(found: HandPass, passes: list[HandPass]) -> str:
    n = number_text
    first = (
        f"δ = ŷ − y = {n(found.output)} − {_bracket(found.net.y)} = **{n(found.delta)}**; ∂L/∂w₁ = δ z₁ = "
        f"**{n(found.of_w[0])}**; δ₁ = (1 − z₁²) w₁ δ = **{n(found.deltas[0])}**; ∂L/∂v₁₁ = δ₁ x₁ = "
        f"**{n(found.of_v[0, 0])}**."
    )
    losses = [passes[0].loss, found.loss, passes[-1].loss]
    return (
        f"{first} Loss: {n(losses[0])} at the start, **{n(losses[1])}** now, {n(losses[2])} after {len(passes) - 1} "
        f"of the steps. Largest difference from autograd {found.error:.0e}, from numerical differences "
        f"{found.difference_error:.0e}."
    )


def _bracket(value: float) -> str:
    return f"({number_text(value)})" if value < 0 else number_text(value)
