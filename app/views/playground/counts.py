"""The playground's counters: what a layer costs, and the counting questions of the lecture notes."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.components.downloads import offer_downloads
from app.components.drawing import drawing
from app.markdown import as_literal
from app.pickers import bar, controls
from app.session import shared
from app.url import address
from app.views.playground.input import whole
from cnnviz.figures.playground import cards
from cnnviz.studies.convolution.cost import FLOAT, Cost, conv_cost, conv_cost_nd, dense_cost
from cnnviz.studies.convolution.lecture_errors import list_errors
from cnnviz.studies.convolution.lecture_questions import list_questions
from cnnviz.wording import plural

NARROW = 690  # pixels; the page of a window of 1024
LAYER, DENSE, NOTES, ERRORS = "A convolution", "A dense layer", "The notes' questions", "The notes' errors"
AXES = {1: "a signal", 2: "an image", 3: "a volume"}
PRESETS = {"500×500, 1,000 units": (500, 1000), "12 megapixels, 100 units": (3464, 100)}  # 3464² is 12.0 million


def counters(row: Any) -> None:
    """A layer's parameters, multiply-adds and memory; a question of the notes; or what is wrong in them."""
    with row:
        kind = controls.bind_choice("Count", "count", [LAYER, DENSE, NOTES, ERRORS])
    if kind == LAYER:
        _layer()
    elif kind == DENSE:
        _dense(row)
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
        axes = int(
            controls.bind(st.selectbox, "Axes", "axes", 2, options=list(AXES), format_func=lambda n: f"{n}: {AXES[n]}")
        )

    def count(c: int, f: int, k: int, n: int, p: int, g: int = 1, s: int = 1) -> Cost:
        return conv_cost_nd(c, f, k, (n,) * axes, s, p, g, bias)

    cost = count(channels, filters, kernel, side, padding, groups, stride)
    others = [("this layer", cost)]
    if groups > 1:
        others.append(("without groups", count(channels, filters, kernel, side, padding, 1, stride)))
    if kernel > 1:
        point = "×".join("1" * axes)
        others.append(("kernels of " + point, count(channels, filters, 1, side, 0, 1, stride)))
        depthwise = count(channels, channels, kernel, side, padding, channels, stride)
        narrow = count(channels, filters, 1, depthwise.output[1], 0)
        others.append((f"depthwise, then {point}", depthwise + narrow))
    working = " · ".join([str(kernel)] * axes + [str(channels)]) + (f" / {groups}" if groups > 1 else "")
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
            r"P=\frac{k^d\,C_{in}}{g}\,C_{out}+C_{out}\qquad "
            r"\mathrm{MACs}=\frac{k^d\,C_{in}}{g}\,C_{out}\,n_{out}^d"
        )
        st.write(
            "d axes: 1 for a signal, 2 for an image, 3 for a volume. Multiply-adds without the biases; papers call "
            "them FLOPs. Bytes are float32, 1 MB = 10⁶ bytes. Depthwise and pointwise layers: Howard et al. "
            "2017, arXiv:1704.04861."
        )


def _dense(row: Any) -> None:
    """What a fully connected layer costs on a photograph, beside a convolution with as many outputs."""
    image = controls.pick_image(None)
    with row:
        side = whole("Side of the image [pixels]", "denseside", 500, 1, 8192)
        units = whole("Units", "denseunits", 1000, 1, 100_000)
        for name, (pixels, many) in PRESETS.items():
            st.button(name, key=f"preset_{pixels}", on_click=_take_preset, args=(pixels, many))
    inputs = 3 * side * side
    dense, conv = dense_cost(inputs, units), conv_cost(3, units, 3, side, side)
    working = f"{side:,} · {side:,} · 3 inputs · {units:,} + {units:,} = {plural(dense.parameters, 'parameter')}"
    told = [("this layer", dense), ("3×3 convolution", conv)]
    left, right = st.columns([3, 1], gap="medium")
    with right:
        photo = shared.photo(image).convert("RGB")
        photo.thumbnail((480, 480))
        st.image(photo, f"{plural(inputs, 'number')}, laid out as one vector", alt="The photograph", width="stretch")
    with left:
        scenes = [cards.cost_scene(working, dense, told, width) for width in (800, NARROW)]
        drawing(scenes[:1], ["Cost of the dense layer"], "playground_dense", narrow=scenes[1:])
    st.write(
        f"Every unit of a dense layer has a weight for every pixel: {dense.weights:,} weights, "
        f"{FLOAT * dense.weights / 2**30:.2f} GiB as float32. **Notice** that they grow with the area of the image, "
        f"where a convolution with {plural(units, 'filter')} keeps its {plural(conv.parameters, 'parameter')}, "
        "and that a photograph that is moved by a pixel meets other weights in each place."
    )
    offer_downloads("dense-layer", scenes[0])
    with st.expander("Formula and source"):
        st.latex(r"P=3\,n^2\,u+u\qquad P_{conv}=3\cdot 3\cdot 3\,u+u")
        st.write(
            "1 GiB = 2³⁰ bytes: the layer of the lecture notes, 500×500 pixels into 1,000 units, has 750 million "
            "weights, 2.79 GiB or 3.00 GB. Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, section 9.2."
        )


def _take_preset(side: int, units: int) -> None:
    address.choose("denseside", side)
    address.choose("denseunits", units)


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
