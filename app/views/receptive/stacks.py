"""The view of stacks: two columns of layers side by side, what each sees, costs, and how its weight is spread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app.components.downloads import offer_downloads
from app.components.drawing import drawing
from app.pickers import bar, controls
from app.session import shared
from app.url import address
from app.views.playground.input import numbers_box, whole
from cnnviz.errors import BadInput
from cnnviz.figures.base.scene import place_side_by_side
from cnnviz.figures.receptive.stacks import stack_scene, weights_sentence

if TYPE_CHECKING:
    from cnnviz.studies.convolution.stacks import Stack

WIDE, NARROW = 525.0, 336.0  # pixels of one stack, at 1440 and at 1024
SIDES = {"left": "three 3×3", "right": "one 7×7"}


def view(row: Any) -> None:
    """The view. What is wrong with a stack is said in words, and the other one stays."""
    from cnnviz.studies.convolution.stacks import PRESETS

    presets = {}
    with row:
        for name, first in SIDES.items():
            presets[name] = controls.bind(
                st.selectbox,
                f"{name.capitalize()} stack",
                f"{name}preset",
                first,
                options=list(PRESETS),
                width=245,
                on_change=_follow_preset,
                args=(name,),
            )
    with bar.panel():
        stacks = {name: _edited(name, preset) for name, preset in presets.items()}
        left, right = st.columns(2)
        with left:
            channels = whole("Channels C", "channels", 256, 1, 4096)
        with right:
            side = whole("Side [pixels]", "mapside", 56, 1, 1024)
    good = {name: stack for name, stack in stacks.items() if stack is not None}
    if good:
        _drawn(good, presets, channels, side)
    _words()


def _edited(name: str, preset: str) -> Stack | None:
    """The stack as typed; None, and why, where it is none."""
    from cnnviz.studies.convolution.stacks import PRESETS, read_stack, write_stack

    default = write_stack(PRESETS[preset])
    text = numbers_box(f"{name.capitalize()}: kernel, stride, dilation", f"{name}stack", default, 3)
    with st.container(horizontal=True, gap="small"):
        st.button("Add a 3×3", key=f"{name}_add", on_click=_change, args=(name, f"{text}\n3"))
        st.button(
            "Remove the last",
            key=f"{name}_remove",
            on_click=_change,
            disabled="\n" not in text.strip(),
            args=(name, text.strip().rpartition("\n")[0]),
        )
    try:
        return read_stack(text)
    except BadInput as error:
        shared.problem(error)
        return None


def _follow_preset(name: str) -> None:
    """Another preset brings its own layers."""
    address.choose(f"{name}stack", None)


def _change(name: str, text: str) -> None:
    address.choose(f"{name}stack", text)


def _drawn(stacks: dict[str, Stack], presets: dict[str, str], channels: int, side: int) -> None:
    from cnnviz.studies.convolution.stacks import PRESETS

    across, peak = max(s.size for s in stacks.values()), max(float(s.profile.max()) for s in stacks.values())
    titles = {
        name: presets[name] if stack.layers == PRESETS[presets[name]] else "own stack" for name, stack in stacks.items()
    }

    def scenes(width: float) -> list[Any]:
        return [stack_scene(s, titles[name], channels, side, width, across, peak) for name, s in stacks.items()]

    wide = scenes(WIDE)
    drawing(wide, [f"Cone of the {name} stack" for name in stacks], "stacks", narrow=scenes(NARROW))
    if len(stacks) == 2:
        st.markdown(weights_sentence(stacks["left"], stacks["right"], channels))
    offer_downloads("stacks", place_side_by_side(wide))


def _words() -> None:
    st.write(
        "One unit on top and all taps below it, down to the input; under it, in bars, the share of every pixel if all "
        "weights were equal. **Notice** that three 3×3 layers see as much as one 7×7 with about half the weights and "
        "three nonlinearities, but look mostly at the middle: there are many paths to it and one to each end."
    )
    with st.expander("Formula and source"):
        st.latex(
            r"P=\sum_l k_l^2\,C^2\qquad w=u_{k_1}*u_{k_2}*\dots\qquad \sigma=\sqrt{\textstyle\sum_l "
            r"d_l^2\,(k_l^2-1)/12\,\prod_{i<l}s_i^2}"
        )
        st.write(
            "Parameters without biases, C channels in and out. The bars are the convolution of the kernels, each "
            "spread by the strides and dilations below it; the line is the Gaussian of the same σ. For n layers of k "
            "taps σ is √(n(k² − 1)/12): 1.414 for three 3×3, 2 for one 7×7 (Luo, Li, Urtasun, Zemel, NeurIPS 2016, "
            "arXiv:1701.04128, section 2). Stacks of small kernels: Simonyan and Zisserman 2014 (arXiv:1409.1556), "
            "section 2.3; dilation 1-2-4: Yu and Koltun 2016 (arXiv:1511.07122)."
        )
