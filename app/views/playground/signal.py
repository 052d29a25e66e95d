"""The playground's view of one dimension: a time series, its shift, and what a layer and its pooling make of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.components.motion.player import Motion, Reel, offer_motion
from app.components.plots import plot, plot_data
from app.pickers import bar, controls
from app.url import address
from app.views.playground.input import numbers_box, row_of, whole, written
from cnnviz.errors import BadInput
from cnnviz.figures.equivariance.signal import signal_figure
from cnnviz.figures.equivariance.words import error_text
from cnnviz.studies.equivariance.signal import KERNELS, SIGNALS, SignalShift, make_signal, shift_signal
from cnnviz.wording import plural

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

OWN, LONGEST, REACH = "own", 15, 16
PACE = 500  # milliseconds of a shift
MOST = 128  # values of a series of one's own
PULSE = " ".join(["0"] * 7 + ["1", "3", "2", "1"] + ["0"] * 14)
POOLINGS = {"maximum": "max", "average": "average", "L2": "l2"}


def view(row: Any) -> None:
    """Series, response and pooled response, and the error over shifts. Raises BadInput for what is no kernel."""
    with row:
        shift = int(controls.bind(st.slider, "Shift", "steps", 3, min_value=0, max_value=REACH, step=1, width=230))
        stride = whole("Stride", "sigstride", 2, 1, 8)
    values, kernel = _pick_series()
    with bar.panel():
        pooling = POOLINGS[controls.bind(st.selectbox, "Pooling", "sigpool", "maximum", options=list(POOLINGS))]
        left, right = st.columns(2)
        with left:
            pool = whole("Window", "sigwindow", 3, 1, 16)
        with right:
            pool_stride = whole("Pool stride", "sigpoolstride", 1, 1, 8)
        circular = controls.bind_choice("Beyond the ends", "ends", ["circular", "zeros"]) == "circular"
        rectify = controls.bind_choice("Then", "then", ["ReLU", "nothing"]) == "ReLU"

    def at(steps: int) -> SignalShift:
        return shift_signal(values, kernel, steps, stride, circular, rectify, pooling, pool, pool_stride)

    shifts = np.arange(REACH + 1)
    over = [at(int(steps)) for steps in shifts]
    found = over[shift]

    def draw(steps: int, drawn: int | None = None) -> Figure:
        return signal_figure(over[steps], stride, pool_stride, shifts, over, drawn=drawn)

    plot(draw(shift), "A time series and its shift", "signal", "signal-shift")
    with row:
        offer_motion(
            Motion(
                "the shift",
                [f"shift {steps} of {REACH}" for steps in range(REACH + 1)],
                shift,
                PACE,
                first=0,
                stale=("steps", "signal_words"),
            ),
            "motion",
            lambda steps: address.choose("steps", steps),
            (values.tolist(), kernel.tolist(), stride, circular, rectify, pooling, pool, pool_stride),
            lambda: Reel([{"signal": plot_data(draw(steps, steps))} for steps in range(REACH + 1)]),
        )
    with st.container(key="signal_words"):
        st.markdown(
            f"A shift by {shift} is {plural(found.steps, 'unit')} of the response at a stride of {stride}. Relative "
            f"error: **{error_text(found.error)}**. Unchanged at their place: **{100 * found.unchanged:.0f} %** of the "
            f"active units before pooling, **{100 * found.pooled_unchanged:.0f} %** after it."
        )
    st.write(
        "The same comparison for a time series: an event that comes later, a layer that responds, and pooling over "
        "neighbouring responses. **Notice** that the response moves along with the event, exactly where the shift is a "
        "multiple of the stride (dashed lines) and only roughly between: the teeth. A maximum over a "
        "window stays the same as long as the event moves within that window."
    )
    with st.expander("Formula and source"):
        st.write(
            "f: the kernel is applied without a flip and centred, every stride-th value is kept, then ReLU. Error: "
            "‖f(T(x)) − T(f(x))‖ / ‖T(f(x))‖, where T moves responses by the shift over the stride, to the nearest "
            "unit. Unchanged asks for invariance instead, so that nothing is moved back; units that are 0 both times "
            "are not counted. Rings: values that differ by more than 1 % of the largest. Source: Goodfellow, Bengio, "
            "Courville, Deep Learning, 2016, sections 9.2 and 9.3."
        )


def _pick_series() -> tuple[np.ndarray, np.ndarray]:
    """The series and the kernel. Raises BadInput for numbers that are none."""
    with bar.panel():
        kind = controls.bind(st.selectbox, "Series", "series", SIGNALS[0], options=[*SIGNALS, OWN])
        text = numbers_box("Numbers of the series", "sigvalues", PULSE) if kind == OWN else ""
        name = controls.bind(st.selectbox, "Kernel", "sigkernel", "peak", options=[*KERNELS, OWN])
        if name == OWN:
            own = numbers_box("Numbers of the kernel", "sigown", "1 0 -1")
        else:
            st.caption(written(KERNELS[name]).replace("-", "−"))
    kernel = row_of(own, "kernel", LONGEST) if name == OWN else np.array(KERNELS[name])
    values = row_of(text, "series", MOST) if kind == OWN else make_signal(kind)
    if len(values) < len(kernel):
        raise BadInput(
            f"The series has {plural(len(values), 'number')}, fewer than the {len(kernel)} of the kernel. Add some."
        )
    return values, kernel
