"""The playground's views of borders: how often pixels are read, how maps shrink; and operands that are swapped."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.components.downloads import offer_downloads
from app.components.drawing import drawing
from app.pickers import bar, controls
from app.views.playground.input import numbers_box, table, whole, written
from cnnviz.figures.playground import matrix as playground_matrix
from cnnviz.figures.playground.shrinking import shrinking_scene
from cnnviz.figures.playground.swap import swap_scene
from cnnviz.studies.convolution import convolution as convolving
from cnnviz.studies.convolution.commutation import swap_operands
from cnnviz.wording import plural

NARROW = 690  # pixels; the page of a window of 1024
READ, SHRINK = "How often pixels are read", "How maps shrink"
CONVOLUTION, CORRELATION = "Convolution", "Correlation"


def coverage(row: Any) -> None:
    """How often windows read each pixel, or how the maps of a stack shrink."""
    with row:
        kind = controls.bind_choice("Show", "coverage", [READ, SHRINK])
    if kind == READ:
        _coverage()
    else:
        _shrinking(row)


def _coverage() -> None:
    with bar.panel():
        side = whole("Side [pixels]", "side", 7, 1, 24)
        kernel = whole("Kernel", "kside", 3, 1, 11)
        stride = whole("Stride", "stride", 1, 1, 5)
        padding = whole("Padding", "pad", 0, 0, 4)
        dilation = whole("Dilation", "dilate", 1, 1, 4)
    counts = convolving.count_visits((side, side), kernel, stride, padding, dilation)
    scenes = [playground_matrix.visits_scene(counts, kernel**2, width) for width in (1070, NARROW)]
    drawing(scenes[:1], ["Windows that read each pixel"], "playground_seen", narrow=scenes[1:])
    st.write(
        f"Each number says how many windows read that pixel; at most {kernel}² = {kernel**2}. **Notice** that the "
        "border is read less often than the middle, and that padding evens this out. A stride above 1 makes a pattern."
    )
    offer_downloads("pixels-seen", scenes[0])
    with st.expander("Formula and source"):
        st.latex(r"c(u,v)=c(u)\,c(v),\qquad c(u)=\#\{(i,m):\ s\,i+d\,m-p=u\}")
        st.write("Source: Dumoulin and Visin 2016, arXiv:1603.07285, which counts the windows.")


def _shrinking(row: Any) -> None:
    with row:
        side = whole("Input", "depthside", 32, 1, 512)
        kernel = whole("Kernel", "depthkernel", 5, 1, 15)
        stride = whole("Stride", "depthstride", 1, 1, 4)
        padding = whole("Padding", "depthpad", 0, 0, 8)
        layers = whole("Layers", "depthlayers", 7, 1, 16)
    same = (kernel - 1) // 2
    other = 0 if padding else same
    sizes = [convolving.shrink_sizes(side, kernel, stride, pad, layers) for pad in (padding, other)]
    names = tuple(f"padding {pad}" for pad in (padding, other))
    scenes = [shrinking_scene(sizes[0], sizes[1], (names[0], names[1]), width) for width in (1070, NARROW)]
    drawing(scenes[:1], ["Side of the map, layer by layer"], "playground_shrinking", narrow=scenes[1:])
    ended = f" After {plural(len(sizes[0]) - 1, 'layer')} no window fits any more." if len(sizes[0]) <= layers else ""
    st.write(
        f"The side of the map after each layer of {kernel}×{kernel}: {' → '.join(map(str, sizes[0]))}.{ended} "
        "**Notice** that without padding every layer takes k − 1 rows and columns away, so that depth has an end, and "
        "that a padding of (k − 1) / 2 keeps the size at stride 1, for odd k."
    )
    offer_downloads("shrinking-maps", scenes[0])
    with st.expander("Formula and source"):
        st.latex(r"n_{l+1}=\left\lfloor\frac{n_l+2p-k}{s}\right\rfloor+1")
        st.write("Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, section 9.5 and figure 9.13.")


def commutativity(row: Any) -> None:
    """Two tables in either order, by convolution or by correlation."""
    with row:
        flip = controls.bind_choice("Operation", "op", [CONVOLUTION, CORRELATION]) == CONVOLUTION
    with bar.panel():
        a = table(numbers_box("Table a", "taba", written(convolving.GRID), 3), "table a", 6)
        b = table(numbers_box("Table b", "tabb", written(convolving.KERNEL), 3), "table b", 6)
    found = swap_operands(a, b, flip)
    scenes = [swap_scene(a, b, found, flip, width) for width in (1070, NARROW)]
    drawing(scenes[:1], ["Two tables in either order"], "playground_swap", narrow=scenes[1:])
    st.write(
        "Either table slides over the other, at every overlap. **Notice** that convolution, which turns what slides by "
        "180°, does not care which of them that is, and correlation, which libraries compute, does: its results are "
        "each other turned by 180°. A network learns its kernels, so that nothing is lost by not turning them."
    )
    offer_downloads("commutativity", scenes[0])
    with st.expander("Formula and source"):
        st.latex(r"(a*b)(i)=\sum_m a(i-m)\,b(m)=(b*a)(i)\qquad(a\star b)(i)=\sum_m a(i+m)\,b(m)=(b\star a)(-i)")
        st.write("Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, section 9.1.")
