"""The playground's view of photographs."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app.components.drawing import drawing
from app.pickers import bar, controls
from app.session import shared
from app.views.playground.input import numbers_box, table, written
from cnnviz.figures.base.colors import signed_rgb
from cnnviz.figures.playground.cells import kernel_scene
from cnnviz.studies.convolution.kernels import BORDERS, KERNELS, NamedKernel, apply_kernel, to_pixels

OWN, LARGEST = "own", 640  # pixels of the longer side that is filtered


def photograph(row: Any) -> None:
    """A kernel on a photograph, before and after."""
    image = controls.pick_image(None)
    with row:
        name = controls.bind(st.selectbox, "Kernel", "named", "sharpen", options=[*KERNELS, OWN], width=220)
    kernel = KERNELS[name] if name != OWN else _own()
    with bar.panel():
        border = controls.bind_choice("Beyond the border", "border", list(BORDERS))
        drawing([kernel_scene(kernel.weights)], [f"Kernel {name}"], "playground_kernel")
    photo = shared.photo(image).convert("RGB")
    photo.thumbnail((LARGEST, LARGEST))
    pixels = np.asarray(photo)
    after, told = _filtered(pixels, kernel, border)
    share = min(1.0, 0.9 * pixels.shape[1] / pixels.shape[0])  # of half the page, so that tall ones stay on the screen
    left, right, *_ = st.columns([share, share, *([2 - 2 * share] if share < 1 else [])])
    with left:
        st.image(pixels, "Before", alt="The photograph before the kernel", width="stretch")
    with right:
        st.image(after, told, alt="The photograph after the kernel", width="stretch")
    total = round(kernel.sum, 9) + 0.0  # without rounding and −0
    st.write(
        f"The kernel is applied at every pixel; this one {kernel.words}. Its weights sum to {total:.3g}. "
        "**Notice** that a sum of 1 keeps the brightness, and a sum of 0 leaves nothing of uniform areas, only edges."
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
        return to_pixels(apply_kernel(pixels, kernel.weights, border=border), False), "After"
    gray = np.round(pixels @ np.array((0.299, 0.587, 0.114))).astype(np.uint8)
    answer = apply_kernel(gray, kernel.weights, border=border)
    peak = max(float(np.percentile(np.abs(answer), 99)), 1.0)  # a few bright specks would pale all the rest
    return signed_rgb(answer, peak), f"After: blue −{peak:.0f}, white 0, red {peak:.0f}, and beyond"


def _own() -> NamedKernel:
    with bar.panel():
        text = numbers_box("Kernel", "ownkernel", written(KERNELS["emboss"].weights), 3)
    return NamedKernel(OWN, table(text, "kernel", 11), "has the weights that you typed")
