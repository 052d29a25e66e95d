"""The playground's views of one small convolution: step by step, and as a matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from app.components.downloads import offer_downloads
from app.components.drawing import drawing, drawing_data
from app.components.motion.player import Motion, Reel, offer_motion
from app.pickers import bar, controls
from app.url import address
from app.views.playground.input import counter, numbers_box, tables, whole, written
from cnnviz.errors import BadInput
from cnnviz.figures.base.scene import Scene
from cnnviz.figures.playground import channels as playground_channels
from cnnviz.figures.playground import matrix as playground_matrix
from cnnviz.figures.playground import steps as playground_steps
from cnnviz.studies.convolution import convolution as convolving
from cnnviz.studies.convolution.toeplitz import build_toeplitz
from cnnviz.wording import plural

NARROW = 690  # pixels; the page of a window of 1024
GRID, KERNEL = 12, 5  # numbers a side at most
MANY = 4  # channels, and filters, at most
FRAMED = 64  # steps whose pictures are sent at once; more are drawn one by one
STEP_PACE = 550  # milliseconds of a step
SEVEN = tuple(tuple(7 * row + col for col in range(7)) for row in range(7))
PLUS = ((0, 1, 0), (1, 0, 1), (0, 1, 0))
TWO = (convolving.GRID, tuple(tuple(n + 1 for n in row) for row in convolving.GRID))
TWO_KERNELS = (convolving.KERNEL, ((1, 2), (3, 4)))
THREE = (*TWO, ((1, 0, 1), (0, 1, 0), (1, 0, 1)))
EXAMPLES = {  # name: (grid, kernels, stride, padding, groups)
    "3×3: 19, 25, 37, 43": (convolving.GRID, convolving.KERNEL, 1, 0, 1),
    "Sharpening: first 114": (convolving.SHARPEN_GRID, convolving.SHARPEN, 1, 1, 1),
    "A row of 5, padding 1: 25, 13, 3": (((1, 2, 3, 4, 5),), ((1, 0, -1),), 1, 1, 1),
    "7×7, stride 2: whole": (SEVEN, PLUS, 2, 0, 1),
    "7×7, stride 3: not whole": (SEVEN, PLUS, 3, 0, 1),
    "2 channels: 56, 72, 104, 120": (TWO, TWO_KERNELS, 1, 0, 1),
    "2 channels in 2 groups (depthwise)": (TWO, TWO_KERNELS, 1, 0, 2),
    "4 channels in 2 groups": ((*TWO, *TWO), (*TWO_KERNELS, *TWO_KERNELS[::-1]), 1, 0, 2),
    "1×1: 3 channels to 1": (THREE, (((1,),), ((-1,),), ((2,),)), 1, 0, 1),
    "1×1: 3 channels to 2": (THREE, (((1,),), ((-1,),), ((2,),), ((0.5,),), ((0.5,),), ((0,),)), 1, 0, 1),
}
CORRELATION, CONVOLUTION = "Correlation", "Convolution"


@dataclass(frozen=True, slots=True)
class Task:
    """What is computed: a grid (C, H, W), filters as typed (F, C / groups, kh, kw), and how they are laid on."""

    grid: np.ndarray
    kernels: np.ndarray
    stride: int
    padding: int
    dilation: int
    groups: int
    flip: bool

    @property
    def recipe(self) -> tuple:
        """Names the task in caches."""
        return (
            self.grid.tolist(),
            self.kernels.tolist(),
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            self.flip,
        )

    @property
    def pads(self) -> tuple[int, int]:
        """Above and below, left and right; a single row is padded at its ends alone."""
        return convolving.pad_axes(self.grid.shape[1:], self.kernels.shape[2:], self.padding)

    @property
    def result(self) -> convolving.ConvolvedGrid:
        return convolving.convolve(
            self.grid, self.kernels, None, self.stride, self.pads, self.dilation, self.groups, self.flip
        )

    @property
    def sizes(self) -> tuple[convolving.OutputSize, convolving.OutputSize]:
        """Of rows and columns."""
        axes = zip(self.grid.shape[1:], self.kernels.shape[2:], self.pads, strict=True)
        rows, cols = (convolving.output_size(n, k, self.stride, p, self.dilation) for n, k, p in axes)
        return rows, cols

    @property
    def plain(self) -> bool:
        """True for one channel and one filter."""
        return self.grid.shape[0] == self.kernels.shape[0] == 1


def pick_task() -> Task:
    """Example, grid, kernels and how the window moves, in the panel. Raises BadInput for what is no table."""
    with bar.panel():
        example = controls.bind(
            st.selectbox, "Example", "example", next(iter(EXAMPLES)), options=list(EXAMPLES), on_change=_follow_example
        )
        grid, kernel, stride, padding, groups = EXAMPLES[example]
        grid_text = numbers_box("Grid", "grid", written(grid), 5, several=True)
        kernel_text = numbers_box("Kernel", "kernel", written(kernel), 3, several=True)
        left, middle, right = st.columns(3)
        with left:
            stride = whole("Stride", "stride", stride, 1, 5)
        with middle:
            padding = whole("Padding", "pad", padding, 0, 4)
        with right:
            dilation = whole("Dilation", "dilate", 1, 1, 4)
        several = tables(grid_text, "grid", GRID, MANY)
        groups = whole("Groups", "cgroups", groups, 1, MANY) if len(several) > 1 else 1
        flip = controls.bind_choice("Operation", "op", [CORRELATION, CONVOLUTION]) == CONVOLUTION
    kernels = filters_of(tables(kernel_text, "kernel", KERNEL, MANY * MANY), len(several), groups)
    return Task(several, kernels, stride, padding, dilation, groups, flip)


def filters_of(kernels: np.ndarray, channels: int, groups: int) -> np.ndarray:
    """(n, kh, kw) → (F, channels / groups, kh, kw): a filter has a kernel for each channel of its group.

    Raises BadInput where they do not make whole filters, equally many for each group."""
    if channels % groups:
        raise BadInput(
            f"{plural(channels, 'channel')} cannot be divided into {plural(groups, 'group')}. Take a number "
            "that divides them."
        )
    depth = channels // groups
    count = len(kernels) // depth
    if len(kernels) % depth or count % groups:
        raise BadInput(
            f"Got {plural(len(kernels), 'kernel')}, one after each empty line. {plural(channels, 'channel')} in "
            f"{plural(groups, 'group')} need {plural(channels, 'kernel')} or a multiple of that: {depth} for "
            "each filter."
        )
    if count > MANY:
        raise BadInput(
            f"{plural(len(kernels), 'kernel')} would make {plural(count, 'filter')}; at most {MANY} can be shown."
        )
    return kernels.reshape(count, depth, *kernels.shape[1:])


def _follow_example() -> None:
    """Another example brings its own numbers."""
    for key in ("grid", "kernel", "stride", "pad", "dilate", "cgroups", "step"):
        address.choose(key, None)


def pick_step(count: int, row: Any) -> int:
    """The output unit of `count`, counted from 0 row by row, filter by filter."""
    with row:
        return counter("Step", "step", 1, count) - 1


def _offer_steps(row: Any, key: str, recipe: tuple, number: int, count: int, draw: Callable[[int], Any]) -> None:
    """Let the window slide. `draw(number)`: the data of the drawing `key` at a step."""
    if count < 2:
        return
    places = [f"step {place + 1} of {count}" for place in range(count)]
    motion = Motion("the window", places, number, STEP_PACE, stale=("step",))
    make = (lambda: Reel([{key: draw(place)} for place in range(count)])) if count <= FRAMED else None
    with row:
        offer_motion(motion, "motion", lambda place: address.choose("step", place + 1), (key, *recipe), make)


def steps(row: Any) -> None:
    """The window, its sum, and the output so far."""
    task = pick_task()
    result = task.result
    count = result.output.size
    number = pick_step(count, row)

    def choose(item: str) -> None:
        """A click on a cell of the output goes to its step."""
        address.choose("step", int(item.removeprefix("step:")) + 1)

    def draw(number: int) -> tuple[list[Scene], list[str], list[Scene]]:
        wide, narrow = (_scene(task, result, number, width) for width in (1070, NARROW))
        return [wide], [f"Step {number + 1} of the convolution"], [narrow]

    scenes, alts, narrow = draw(number)
    drawing(scenes, alts, "playground_steps", choose, narrow=narrow)
    _offer_steps(row, "playground_steps", task.recipe, number, count, lambda place: drawing_data(*draw(place)))
    st.write(_ONE if task.plain else _SEVERAL)
    offer_downloads("convolution-step", scenes[0])
    with st.expander("Formula and source"):
        st.latex(r"S_f(i,j)=\sum_c\sum_m\sum_n I_c(s\,i+d\,m-p,\;s\,j+d\,n-p)\,K_{f,c}(m,n)")
        st.latex(
            r"n_{out}=\left\lfloor\frac{n+2p-d(k-1)-1}{s}\right\rfloor+1"
            r"\qquad\text{or}\qquad\left\lfloor\frac{n-k+p_{both}+s}{s}\right\rfloor\;(d=1)"
        )
        st.write(
            "Filter f, channels c of its group, stride s, dilation d, padding p on each side; in the second formula p "
            "counts both sides together. The convolution of mathematics takes K(−m, −n) and commutes. Sources: "
            "Goodfellow, Bengio, Courville, Deep Learning, 2016, section 9.1; Dumoulin and Visin 2016, "
            "arXiv:1603.07285."
        )


_ONE = (
    "A window slides over the grid; each pixel is multiplied by the weight of its colour, and the sum is one number of "
    "the output. **Notice** that the same few weights are used at every step, and that what libraries call convolution "
    "is correlation: “Convolution” turns the kernel by 180° first."
)
_SEVERAL = (
    "A filter has one kernel for each channel of its group; the products of all these channels are added up to one "
    "number. **Notice** that every filter makes one map however many channels it reads, that groups leave channels "
    "out, and that a 1×1 kernel only mixes channels, pixel by pixel."
)


def _scene(task: Task, result: convolving.ConvolvedGrid, number: int, width: float) -> Scene:
    if task.plain:
        return playground_steps.step_scene(result, task.pads, number, task.sizes, task.flip, width)
    return playground_channels.channels_scene(result, task.pads, number, task.sizes, task.flip, width)


def matrix(row: Any) -> None:
    """The same convolution as a sparse matrix with tied weights."""
    task = pick_task()
    result = task.result
    count = result.output[0].size
    number = pick_step(count, row)
    found = build_toeplitz(result.kernels[0, 0], task.grid.shape[1:], task.stride, task.pads, task.dilation)

    def draw(number: int) -> tuple[list[Scene], list[str], list[Scene]]:
        wide, narrow = (
            playground_matrix.matrix_scene(found, task.grid[0], number, task.flip, width) for width in (1070, NARROW)
        )
        return [wide], ["Matrix of the convolution"], [narrow]

    scenes, alts, narrow = draw(number)
    drawing(scenes, alts, "playground_matrix", narrow=narrow)
    _offer_steps(row, "playground_matrix", task.recipe, number, count, lambda place: drawing_data(*draw(place)))
    if not task.plain:
        st.caption(
            "Drawn for the first channel and its kernel: with several channels such matrices stand side by side, with "
            "several filters below each other."
        )
    st.write(
        "The same convolution as one matrix: each row computes one output from all pixels, stacked below each other. "
        "**Notice** that most places are zero (sparse interactions), and that equal colours are one and the same "
        "weight (parameter sharing)."
    )
    offer_downloads("convolution-matrix", scenes[0])
    with st.expander("Formula and source"):
        st.latex(r"y=Wx,\qquad W_{(i,j),(u,v)}=K(u-s\,i+p,\;v-s\,j+p)\ \text{ or }\ 0\quad(d=1)")
        st.write(
            "In one dimension and at stride 1 this is a Toeplitz matrix, in two a block Toeplitz matrix. A fully "
            "connected layer has a weight of its own at every place, a locally connected one at every coloured place. "
            "Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, sections 9.1 and 9.2."
        )
