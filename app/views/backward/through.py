"""The view of single layers: the gradient through a convolution, a ReLU and a max-pooling, on small tables and in the
network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.components.downloads import offer_downloads
from app.components.drawing import drawing
from app.components.picture import labelled_picture
from app.markdown import escape_markdown
from app.pickers import bar, controls
from app.pickers.controls import Title
from app.session import shared
from app.session.cache import array_cache
from app.session.networks import Network
from app.views.playground.input import numbers_box, table, whole, written
from cnnviz.figures.backward import through as figures
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.backward.through import LayerBackward

NARROW, PHONE = 690, 380  # pixels
LARGEST = 8  # rows and columns of a table
HAND, NETWORK = "By hand", "In the network"
CONV, MATRIX, RELU, POOL = "Convolution", "As a matrix", "ReLU", "Max-pooling"
MAPS = {  # part: (x, ∂L/∂y) to begin with
    CONV: (np.zeros((4, 4)), ((1, 2), (3, 4))),
    MATRIX: (np.zeros((1, 5)), ((1, 0, 2),)),
    RELU: (((-1, 2, 0), (3, -2, 1), (0, 4, -3)), ((1, 2, 3), (4, 5, 6), (7, 8, 9))),
    POOL: (((1, 3, 2, 1), (2, 9, 1, 1), (1, 3, 2, 3), (5, 6, 3, 2)), ((1, 2), (3, 4))),
}
KERNELS = {CONV: ((1, 2, 3), (4, 5, 6), (7, 8, 9)), MATRIX: ((1, 2, 3),)}
NOTICE = {
    CONV: "Every output gradient goes back to the inputs that made the output, through the same weights; collected at "
    "one input, that is a convolution with the kernel turned by 180°. **Notice** the letters: a … i becomes i … a.",
    MATRIX: "A convolution is a matrix W with tied weights, and backward is its transpose: no inverse, no new numbers. "
    "**Notice** that the rows of the transpose hold the kernel from right to left, cut off at the ends.",
    RELU: "A ReLU multiplies by a mask of 0 and 1. **Notice** that the mask is that of the forward pass: it depends on "
    "x, not on the gradient, and is 0 at x = 0 as well, where PyTorch takes the slope 0.",
    POOL: "A max-pooling sends the gradient of each window to its maximum, and 0 to all others. **Notice** that of "
    "equal maxima the first, row by row, gets all of it, in PyTorch; a maximum of several windows gets their sum.",
}


def view(title: Title, row: Any) -> None:
    """Controls, tables or maps, words, formulas."""
    with row:
        where = controls.bind_choice("Where", "where", [HAND, NETWORK])
    if where == HAND:
        _by_hand(row)
    else:
        network = controls.pick_network(title, "lenet5")
        image = controls.pick_image(network)
        _in_network(network, image)
        controls.show_device(network)
    with st.expander("Formula and source"):
        st.latex(
            r"\frac{\partial L}{\partial x}=W^{\top}\frac{\partial L}{\partial y}\qquad "
            r"\frac{\partial L}{\partial x_c}=\sum_f \frac{\partial L}{\partial y_f} * "
            r"\mathrm{rot}_{180}(K_{fc})\qquad "
            r"\frac{\partial L}{\partial x}=\mathbf 1_{x>0}\odot\frac{\partial L}{\partial y}"
        )
        st.write(
            "A kernel of 20 filters over 3 channels, (20, 3, k, k), has 60 slices; the backward pass takes them as 3 "
            "sets of depth 20, (3, 20, k, k), each slice turned by 180°. With a stride, zeros stand between the "
            "gradients. Sources: Dumoulin and Visin, arXiv:1603.07285, section 4; Goodfellow, Bengio, Courville, Deep "
            "Learning, 2016, section 9.5."
        )


def _by_hand(row: Any) -> None:
    from cnnviz.studies.backward import through as study

    with row:
        part = controls.bind_choice("Layer", "part", list(MAPS))
    kernel, window, stride = None, 2, 1
    x, arriving = (np.asarray(one, float) for one in MAPS[part])
    with bar.panel():
        if part in KERNELS:
            text = numbers_box("Kernel", f"back_kernel_{part[0]}", written(KERNELS[part]), 3)
            kernel = table(text, "kernel", 5)
            rows, cols = (
                whole("Rows of x", f"back_rows_{part[0]}", len(x), 1, LARGEST),
                whole("Columns of x", f"back_cols_{part[0]}", x.shape[1], 1, LARGEST),
            )
            x = np.zeros((rows, cols))
            stride = whole("Stride", f"back_stride_{part[0]}", 1, 1, 3)
        else:
            x = table(numbers_box("x", f"back_x_{part[0]}", written(x), 4), "table x", LARGEST)
        if part == POOL:
            window, stride = whole("Window", "back_window", 2, 1, 4), whole("Stride", "back_stride", 2, 1, 4)
        signal = table(numbers_box("∂L/∂y", f"back_signal_{part[0]}", written(arriving), 3), "gradient ∂L/∂y", LARGEST)
    kind = {RELU: study.RELU, POOL: study.POOL}.get(part, study.CONV)
    passed, error = study.compare_with_autograd(kind, x, signal, kernel, window, stride)
    tables = _list_tables(part, x, signal, passed, kernel, window, stride)
    words = f"largest difference from autograd: {error:.1g}"
    scenes = [figures.tables_scene(tables, words, width) for width in (860, NARROW)]
    small = figures.tables_scene(tables, words, PHONE, 500)
    drawing(scenes[:1], [f"Backward through {part}"], "backward_tables", narrow=[small], least=0.6)
    st.write(NOTICE[part])
    offer_downloads("backward-by-hand", scenes[0])


def _list_tables(
    part: str,
    x: np.ndarray,
    signal: np.ndarray,
    passed: np.ndarray,
    kernel: np.ndarray | None,
    window: int,
    stride: int,
) -> list[figures.Table]:
    if kernel is not None and part == CONV:
        return figures.conv_tables(kernel, signal, passed, stride)
    if kernel is not None:
        from cnnviz.studies.convolution.toeplitz import build_toeplitz

        found = build_toeplitz(kernel, (len(x), x.shape[1]), stride)
        return figures.matrix_tables(found.matrix, found.weight, signal, passed)
    if part == RELU:
        return figures.mask_tables(x, signal, passed)
    return figures.pool_tables(x, signal, passed, window, stride)


def _in_network(network: Network, image: str) -> None:
    from cnnviz.studies.backward.through import list_layers_back

    layers = array_cache().get(("layers back", network.key), lambda: list_layers_back(network.model))
    if not layers:
        st.info(
            f"{escape_markdown(network.model.name)} has no convolution with zero padding, ReLU or max-pooling that is "
            "a module of its own. Choose another network, for example lenet5."
        )
        return
    convs = [name for name, kind in layers.items() if kind == "convolution"]
    layer = controls.choose_layer(network, list(layers), convs[min(1, len(convs) - 1)] if convs else next(iter(layers)))
    found = _read(network, image, layer)
    strongest = int(np.abs(found.passed).max(axis=(1, 2)).argmax())
    channel = controls.pick_unit(len(found.passed), strongest)
    same = len(found.arriving) == len(found.passed) and found.kind != "convolution"
    filter_ = channel if same else int(np.abs(found.arriving).max(axis=(1, 2)).argmax())
    labelled_picture(figures.layer_strip_back(found, channel, filter_), f"Gradient through {layer}", "backward_maps")
    st.markdown(
        f"`{escape_markdown(layer)}`, {found.kind}: the rule of this page and autograd differ by "
        f"**{found.error:.0e}** of the gradient's norm. Cross-entropy of the most probable class, which is assumed to "
        "be right."
    )
    if found.kind == "convolution":
        words = "Slices of the kernel, forward and backward"
        labelled_picture(figures.slices_strip(found.kernel, found.turned), words, "backward_slices")
        filters, depth = found.kernel.shape[:2]
        st.write(
            f"{plural(filters, 'filter')} of {plural(depth, 'slice')} each are {filters * depth} slices; backward "
            f"they are {len(found.turned)} sets of depth {found.turned.shape[1]}. **Notice** that rows have become "
            "columns, and every slice is turned by 180°."
        )
    else:
        st.write(NOTICE[RELU if found.kind == "relu" else POOL])


def _read(network: Network, image: str, layer: str) -> LayerBackward:
    from cnnviz.studies.backward.through import layer_backward

    name = ("layer backward", network.key, image, layer)
    return array_cache().get(name, lambda: layer_backward(network.model, shared.photo(image), layer))
