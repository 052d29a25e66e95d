"""The view of output and loss: scores on sliders, softmax, sigmoid or linear output, the loss and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app.components.downloads import offer_downloads
from app.components.drawing import drawing
from app.markdown import as_literal
from app.pickers import bar, controls
from app.session import shared
from app.session.cache import array_cache
from app.session.networks import Network
from app.url import address
from app.views.playground.input import decimal
from cnnviz.figures.backward.outputs import loss_scene

NARROW, PHONE = 690, 380  # pixels
MOST = 5  # classes with a slider
REACH = 30.0  # of a slider to either side
UNITS = {"Softmax": "softmax", "Sigmoid": "sigmoid", "Linear": "linear"}
IMAGE, NOTES = "this image", "−log 0.8"


def view(network: Network, image: str, row: Any) -> None:
    """Controls, the table of bars, words, formulas."""
    from cnnviz.studies.backward.outputs import output_loss

    with row:
        unit = controls.bind_choice("Output", "unit_of_output", list(UNITS))
        start = controls.bind(
            st.selectbox, "Scores of", "scores_of", IMAGE, options=[IMAGE, NOTES], width=150, on_change=_forget_scores
        )
        temperature = decimal("Temperature", "temperature", 1.0, 0.1, 5.0, width=200)
    scores, names = _read_scores(network, image, start)
    order = np.argsort(-scores, kind="stable")[:MOST].tolist()
    rest = [index for index in range(len(scores)) if index not in order]
    with row:
        label = controls.bind(
            st.selectbox, "Target", "target", order[0], options=order, format_func=lambda one: names[one], width=150
        )
    with bar.panel():
        for place, index in enumerate(order):
            usual = float(np.clip(round(scores[index], 1), -REACH, REACH))
            exact = float(scores[index])
            moved = decimal(f"Score of {as_literal(names[index])}", f"z{place}", usual, -REACH, REACH)
            scores[index] = exact if moved == usual else moved
    found = output_loss(scores, label, UNITS[unit], temperature)
    rows = [(names[index], [index]) for index in order]
    if rest:
        rows.append((f"{len(rest)} others, sum" if len(rest) > 1 else names[rest[0]], rest))
    scenes = [loss_scene(found, rows, width) for width in (860, NARROW)]
    narrow = [loss_scene(found, rows, PHONE, 400)]
    drawing(scenes[:1], ["Scores, outputs, target and gradient"], "backward_loss", narrow=narrow, least=0.6)
    st.write(_notice(unit, temperature))
    offer_downloads("output-and-loss", scenes[0])
    with st.expander("Formula and source"):
        st.latex(
            r"\hat y_k=\frac{e^{z_k/T}}{\sum_j e^{z_j/T}},\quad J=-\,\mathbb E_{x,y\sim\hat p_{data}}"
            r"\log p_{model}(y\mid x),\quad \frac{\partial J}{\partial z_k}=\frac{\hat y_k-y_k}{T}"
        )
        st.write(
            "The minus sign belongs to J: without it, training would make the right answers less probable. Natural "
            "logarithms. Of classes that are summed, the score is that of the largest. A slider that was not moved "
            "stands for the exact score, not for the rounded one. Temperature: Hinton, Vinyals, Dean, "
            "arXiv:1503.02531, section 2. Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, sections 5.5 "
            "and 6.2."
        )
    controls.show_device(network)


def _forget_scores() -> None:
    """Other scores bring their own values and target."""
    for key in ("target", *(f"z{place}" for place in range(MOST))):
        address.choose(key, None)


def _read_scores(network: Network, image: str, start: str) -> tuple[np.ndarray, list[str]]:
    """(K,) float64, a copy, and the names of the classes; of a single output the classes "yes" and "no"."""
    if start == NOTES:
        return np.log([16.0, 1, 1, 1, 1]), [f"class {place}" for place in range(1, 6)]
    name = ("logits", network.key, image)
    scores = array_cache().get(name, lambda: network.model.logits(shared.photo(image))[0]).astype(float)
    if len(scores) == 1:
        return np.array([scores[0], 0.0]), ["yes", "no"]
    return scores, list(network.model.class_names)


def _notice(unit: str, temperature: float) -> str:
    if unit == "Softmax":
        warm = " Divided by a temperature above 1 the answer is less certain, below 1 more." if temperature == 1 else ""
        return (
            "The cross-entropy looks only at the output of the right class. **Notice** that its gradient is output "
            "minus target: below 0, which raises the score, at the right class, above 0 at the others, and the sum "
            f"is 0.{warm}"
        )
    if unit == "Sigmoid":
        return (
            "Each class is a question of its own, and the outputs need not sum to 1. **Notice** that the gradient is "
            "output minus target again: with a cross-entropy, saturated wrong answers keep a gradient of nearly ±1, "
            "while a squared error would multiply it by the sigmoid's slope, nearly 0."
        )
    return (
        "Linear units with half the squared error, as for regression. **Notice** that the gradient is output minus "
        "target once more, and that confident right scores above 1 are punished: the target is 1 itself."
    )
