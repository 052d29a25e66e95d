"""The playground's counters: what a layer costs, and the counting questions of the lecture notes."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.components.downloads import offer_downloads
from app.components.drawing import drawing
from app.markdown import as_literal
from app.pickers import bar, controls
from app.views.playground.input import whole
from cnnviz.figures.playground import cards
from cnnviz.studies.convolution.cost import Cost, conv_cost
from cnnviz.studies.convolution.lecture_errors import list_errors
from cnnviz.studies.convolution.lecture_questions import list_questions
from cnnviz.wording import plural

NARROW = 690  # pixels; the page of a window of 1024
LAYER, NOTES, ERRORS = "A layer", "The notes' questions", "The notes' errors"


def counters(row: Any) -> None:
    """A layer's parameters, multiply-adds and memory; a question of the notes; or what is wrong in them."""
    with row:
        kind = controls.bind_choice("Count", "count", [LAYER, NOTES, ERRORS])
    if kind == LAYER:
        _layer()
    elif kind == ERRORS:
        _errors()
    else:
        _questions(row)


def _layer() -> None:
    with bar.panel():
        left, right = st.columns(2)
        with left:
            channels = whole("Channels in", "cin", 64, 1, 4096)
            kernel = whole("Kernel", "ck", 3, 1, 15)
            stride = whole("Stride", "cs", 1, 1, 8)
            groups = whole("Groups", "groups", 1, 1, 4096)
        with right:
            filters = whole("Filters", "cout", 64, 1, 4096)
            side = whole("Side [pixels]", "insize", 56, 1, 1024)
            padding = whole("Padding", "cp", 1, 0, 16)
            bias = controls.bind(st.selectbox, "Biases", "bias", "yes", options=["yes", "no"]) == "yes"
    cost = conv_cost(channels, filters, kernel, side, side, stride, padding, groups, bias)
    others = [("this layer", cost), *_others(channels, filters, kernel, side, stride, padding, groups, bias)]
    working = f"{kernel} · {kernel} · {channels}" + (f" / {groups}" if groups > 1 else "")
    working = (
        f"{working} · {filters}" + (f" + {filters}" if bias else "") + f" = {plural(cost.parameters, 'parameter')}"
    )
    scenes = [cards.cost_scene(working, cost, others, width) for width in (1070, NARROW)]
    drawing(scenes[:1], ["Cost of the layer"], "playground_cost", narrow=scenes[1:])
    st.write(
        "What one convolution costs for one image. **Notice** that the parameters do not depend on the size of the "
        "image and the multiply-adds do, and how much 1×1 kernels and groups save."
    )
    offer_downloads("layer-cost", scenes[0])
    with st.expander("Formula and source"):
        st.latex(
            r"P=\frac{k^2\,C_{in}}{g}\,C_{out}+C_{out}\qquad "
            r"\mathrm{MACs}=\frac{k^2\,C_{in}}{g}\,C_{out}\,H_{out}W_{out}"
        )
        st.write(
            "Multiply-adds without the biases; papers call them FLOPs. Bytes are float32, 1 MB = 10⁶ bytes. Depthwise "
            "and pointwise layers: Howard et al. 2017, arXiv:1704.04861."
        )


def _others(
    channels: int, filters: int, kernel: int, side: int, stride: int, padding: int, groups: int, bias: bool
) -> list[tuple[str, Cost]]:
    """Layers that take and give as many channels, where they exist."""

    def cost(c: int, f: int, k: int, n: int, s: int, p: int, g: int = 1) -> Cost:
        return conv_cost(c, f, k, n, n, s, p, g, bias)

    found = [] if groups == 1 else [("without groups", cost(channels, filters, kernel, side, stride, padding))]
    if kernel > 1:
        found.append(("1×1 kernels", cost(channels, filters, 1, side, stride, 0)))
        depthwise = cost(channels, channels, kernel, side, stride, padding, channels)
        found.append(("depthwise, then 1×1", depthwise + cost(channels, filters, 1, depthwise.output[1], 1, 0)))
    return found


def _questions(row: Any) -> None:
    named = {question.key: question for question in list_questions()}
    with row:
        key = controls.bind(
            st.selectbox,
            "Question",
            "question",
            next(iter(named)),
            options=list(named),
            width=360,
            format_func=lambda name: named[name].text,
        )
    scenes = [cards.question_scene(named[key], width) for width in (1070, NARROW)]
    drawing(scenes[:1], ["Answer"], "playground_question", narrow=scenes[1:])
    st.write(
        "The counting questions of the lecture notes, answered by the counters. **Notice** where a number of the notes "
        "does not follow from its own formula."
    )
    offer_downloads(f"question-{key}", scenes[0])
    with st.expander("All questions"):
        said = [cards.answer_text(q.notes_say) if q.notes_say is not None else "" for q in named.values()]
        st.dataframe(
            {
                "question": [q.text for q in named.values()],
                "right": [f"{cards.answer_text(q.value)} {q.unit}" for q in named.values()],
                "the notes say": said,
                "remark": [q.remark for q in named.values()],
            },
            hide_index=True,
        )


def _errors() -> None:
    found = list_errors()
    st.table(
        {
            "topic": [error.topic for error in found],
            "the notes say": [as_literal(error.notes_say) for error in found],
            "correct": [as_literal(error.correct) for error in found],
            "why, or source": [as_literal(error.reason) for error in found],
        }
    )
    st.write(
        "Sentences and figures of the lecture notes that do not hold. Wrong answers to counting questions stand with "
        "the questions."
    )
