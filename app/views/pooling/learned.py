"""The view of learned invariance: a maximum over filters in four poses, as maxout takes it across channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app.components.downloads import offer_downloads
from app.components.drawing import drawing
from app.pickers import bar, controls
from app.session import shared
from app.views.playground.input import numbers_box, table, written
from cnnviz.errors import BadInput
from cnnviz.figures.pooling import poses as pooling_poses
from cnnviz.studies.pooling.maxout import learned_invariance
from cnnviz.studies.pooling.pooling import pool_channels

NARROW = 690  # pixels; the page of a window of 1024
DIGIT, OWN, LARGEST = "handwritten 5", "own", 9
PATTERNS = {  # a kernel that looks for it; the picture has ink where the kernel is positive
    "corner": ((1, 1, 1), (1, -1, -1), (1, -1, -1)),
    "T": ((1, 1, 1), (-1, 1, -1), (-1, 1, -1)),
    "edge": ((1, 1, 1), (0, 0, 0), (-1, -1, -1)),
}


def view(row: Any) -> None:
    """Responses of four filters to four pictures, and their maximum."""
    with row:
        name = controls.bind_choice("Pattern", "pattern", [DIGIT, *PATTERNS, OWN])
        pieces = _filters_in_pool()
    kernel, drawn = _pattern(name)
    found = learned_invariance(kernel, drawn)
    pooled = pool_channels(found.responses.T[:pieces])[0]
    scenes = [pooling_poses.poses_scene(found, pieces, pooled, width) for width in (1070, NARROW)]
    drawing(scenes[:1], ["Responses of four filters to four pictures"], "poses", narrow=scenes[1:])
    st.write(
        "Each filter looks for the pattern in one pose; pooling takes the maximum *across channels* instead of across "
        "places. **Notice** that each picture activates a different filter, and the maximum does not care which: a "
        "layer can learn invariance to rotation. With fewer filters it is gone for the poses that no filter looks for."
    )
    offer_downloads("learned-invariance", scenes[0])
    with st.expander("What is drawn, and source"):
        st.write(
            "The number is the response of the unit in the middle of the map, Σ picture · filter, without a flip. The "
            "digit's filter is the digit less its mean, scaled to respond with 1 to itself. Filters: blue below 0, "
            "red above. Sources: Goodfellow, Bengio, Courville, Deep Learning, 2016, figure 9.9; maxout: Goodfellow et "
            "al., ICML 2013, arXiv:1302.4389."
        )


def _filters_in_pool() -> int:
    """How many of the four filters are pooled."""
    return int(
        controls.bind(st.slider, "Filters in the pool", "pieces", 4, min_value=1, max_value=4, step=1, width=200)
    )


def _pattern(name: str) -> tuple[np.ndarray, np.ndarray]:
    """(kernel, picture), both square."""
    if name == DIGIT:
        return _digit()
    if name != OWN:
        kernel = np.array(PATTERNS[name], float)
        return kernel, np.pad((kernel > 0).astype(float), 1)
    corner = np.array(PATTERNS["corner"], float)
    with bar.panel():
        kernel_text = numbers_box("Filter, a square", "posekernel", written(corner), 3)
        picture_text = numbers_box("Picture, a square", "posepicture", written(np.pad((corner > 0) * 1.0, 1)), 5)
    kernel, drawn = table(kernel_text, "filter", LARGEST), table(picture_text, "picture", LARGEST)
    for what, one in (("filter", kernel), ("picture", drawn)):
        if one.shape[0] != one.shape[1]:
            raise BadInput(
                f"The {what} has {one.shape[0]}×{one.shape[1]} numbers; turned by 90° it must still fit. "
                "Give as many rows as columns."
            )
    return kernel, drawn


def _digit() -> tuple[np.ndarray, np.ndarray]:
    """A digit of 14×14 pixels, and what is tuned to it."""
    pixels = np.asarray(shared.photo("digit-5").convert("L"), float) / 255
    small = pixels.reshape(14, pixels.shape[0] // 14, 14, pixels.shape[1] // 14).mean((1, 3))
    tuned = small - small.mean()
    return tuned / float((tuned * small).sum()), small
