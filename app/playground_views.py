"""The playground's views of photographs and of pooling."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app import anatomies, controls, session
from app.components.drawing import drawing
from app.playground_input import numbers_box, row_of, table, whole, written
from cnnviz.errors import BadInput
from cnnviz.figures import playground_pooling
from cnnviz.figures.colors import signed_rgb
from cnnviz.figures.playground_cells import kernel_scene
from cnnviz.studies import pooling as pools
from cnnviz.studies.kernels import BORDERS, KERNELS, NamedKernel, apply_kernel, shown

NARROW = 690  # pixels; the page of a window of 1024
OWN, LARGEST = "own", 640  # pixels of the longer side that is filtered
POOLINGS = {"Maximum": "max", "Average": "average", "Root mean square (L2)": "rms"}
MAP = ((1, 3, 2, 1), (2, 9, 1, 1), (1, 3, 2, 3), (5, 6, 1, 2))


def photograph(row: Any) -> None:
    """A kernel on a photograph, before and after."""
    image = controls.pick_image(None)
    with row:
        name = controls.bound(st.selectbox, "Kernel", "named", "sharpen", options=[*KERNELS, OWN], width=220)
    kernel = KERNELS[name] if name != OWN else _own()
    with st.sidebar:
        border = controls.bound_choice("Beyond the border", "border", list(BORDERS))
        drawing([kernel_scene(kernel.weights)], [f"Kernel {name}"], "playground_kernel")
    photo = session.photo(image).convert("RGB")
    photo.thumbnail((LARGEST, LARGEST))
    pixels = np.asarray(photo)
    after, told = _filtered(pixels, kernel, border)
    share = min(1.0, 0.9 * pixels.shape[1] / pixels.shape[0])  # of half the page, so that tall ones stay on the screen
    left, right, *_ = st.columns([share, share, *([2 - 2 * share] if share < 1 else [])])
    with left:
        st.image(pixels, "Before", width="stretch")
    with right:
        st.image(after, told, width="stretch")
    st.write(
        f"The kernel is laid on every pixel; this one {kernel.words}. Its weights sum to {kernel.sum:.3g}. **Notice** "
        "that a sum of 1 keeps the brightness, and a sum of 0 leaves nothing of even areas, only edges."
    )
    with st.expander("How it is computed, and source"):
        st.write(
            "By OpenCV's filter2D, which correlates, as PyTorch does. Kernels of sum 0 are applied to the luminance "
            "(Rec. 601) and shown blue, white, red about 0; others to each channel, clipped to 0 … 255. “zeros”, "
            "“mirror” and “edge” say what lies beyond the border. Sobel: Sobel and Feldman 1968."
        )


def _filtered(pixels: np.ndarray, kernel: NamedKernel, border: str) -> tuple[np.ndarray, str]:
    """The picture (H, W, 3) uint8 that a kernel makes, and its caption."""
    if not kernel.signed:
        return shown(apply_kernel(pixels, kernel.weights, border=border), False), "After"
    gray = np.round(pixels @ np.array((0.299, 0.587, 0.114))).astype(np.uint8)
    answer = apply_kernel(gray, kernel.weights, border=border)
    peak = max(float(np.percentile(np.abs(answer), 99)), 1.0)  # a few bright specks would pale all the rest
    return signed_rgb(answer, peak), f"After: blue −{peak:.0f}, white 0, red {peak:.0f}, and beyond"


def _own() -> NamedKernel:
    with st.sidebar:
        text = numbers_box("Kernel", "ownkernel", written(KERNELS["emboss"].weights), 3)
    return NamedKernel(OWN, table(text, "kernel", 11), "has the weights that you typed")


def pooling(row: Any) -> None:
    """A detector row and its shift; or one map pooled in four ways."""
    with row:
        kind = controls.bound_choice("Pool", "pool", ["A row and its shift", "A map in four ways"])
    if kind == "A row and its shift":
        _shift(row)
    else:
        _four_ways(row)


def _shift(row: Any) -> None:
    with row:
        move = int(controls.bound(st.slider, "Shift to the right", "move", 1, min_value=-3, max_value=3, step=1))
    with st.sidebar:
        detector = numbers_box("Detector row", "detector", written(pools.DETECTOR))
        entering = numbers_box("What enters, nearest first", "entering", written(pools.ENTERING))
        by = controls.bound(st.selectbox, "Pooled by", "poolby", "Maximum", options=list(POOLINGS))
        left, right = st.columns(2)
        with left:
            width = whole("Width", "poolwidth", 3, 1, 9)
        with right:
            stride = whole("Stride", "rowstride", 1, 1, 4)
    found = pools.pool_rows(
        row_of(detector, "detector row", 12), row_of(entering, "row that enters", 12), move, POOLINGS[by], width, stride
    )
    scenes = [playground_pooling.rows_scene(found, width, stride, wide) for wide in (1070, NARROW)]
    drawing(scenes[:1], ["Pooled and detector row"], "playground_rows", narrow=scenes[1:])
    st.write(
        "Every pooled unit takes the maximum (or mean) of its neighbours below. **Notice** that after a shift by one "
        "every detector has changed, but only some of the pooled units: pooling is *nearly* invariant to small shifts."
    )
    anatomies.downloads("pooling-shift", scenes[0])
    with st.expander("What is drawn, and source"):
        st.write(
            "Windows are centred on their unit and cut off at the ends, as in the book's figure. Changed values are "
            "orange. Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, figure 9.8."
        )


def _four_ways(row: Any) -> None:
    with st.sidebar:
        text = numbers_box("Map", "map", written(MAP), 4)
        left, right = st.columns(2)
        with left:
            size = whole("Window", "window", 2, 1, 8)
        with right:
            stride = whole("Stride", "poolstride", 2, 1, 4)
    with row:
        draw = whole("Stochastic draw", "draw", 1, 1, 999)
    grid = table(text, "map", 12)
    pooled = [
        ("Maximum", pools.pool(grid, "max", size, stride)),
        ("Average", pools.pool(grid, "average", size, stride)),
        ("L2: root of the sum of squares", pools.pool(grid, "rms", size, stride) * size),
    ]
    refused = ""
    try:
        pooled.append((f"Stochastic, draw {draw}", pools.pool(grid, "stochastic", size, stride, draw)))
    except BadInput as error:
        refused = str(error)
    scenes = [playground_pooling.pools_scene(grid, pooled, size, stride, wide) for wide in (1070, NARROW)]
    drawing(scenes[:1], ["A map and its poolings"], "playground_pools", narrow=scenes[1:])
    if refused:
        st.info(refused)
    st.write(
        "One map, pooled in four ways. **Notice** that the maximum keeps the strongest unit, the average dilutes it "
        "among its neighbours, and stochastic pooling draws one value, strong ones more often."
    )
    anatomies.downloads("poolings", scenes[0])
    with st.expander("Formula and source"):
        st.latex(
            r"\max_i a_i\qquad \tfrac1n\sum_i a_i\qquad \sqrt{\textstyle\sum_i a_i^2}\qquad "
            r"a_l,\ l\sim p_i=\tfrac{a_i}{\sum_k a_k}"
        )
        st.write("Source of stochastic pooling: Zeiler and Fergus, ICLR 2013, arXiv:1301.3557.")
