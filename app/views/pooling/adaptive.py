"""The view of adaptive pooling: bins that make one size of the maps of any image."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app.components.picture import labelled_picture
from app.pickers import controls
from app.session import shared
from app.session.cache import picture_cache
from app.session.networks import Network
from app.views.pooling.location import pick_layer
from cnnviz.figures.equivariance.panels import Strip
from cnnviz.figures.pooling.bins import BinnedMap, bins_strip
from cnnviz.studies.pooling.adaptive import adaptive_bins, adaptive_pool

SHARES = (0.75, 1.0, 1.5)  # of the network's own input
MOST = 8  # bins a side
KINDS = {"average": "average", "maximum": "max"}


def view(network: Network, image: str, row: Any) -> None:
    """The map of a channel at three input sizes, and its bins."""
    with row:
        bins = int(controls.bind(st.slider, "Bins a side", "bins", 3, min_value=1, max_value=MOST, step=1, width=200))
        kind = controls.bind(st.selectbox, "Pooled by", "binkind", "average", options=list(KINDS), width=130)
        count = bins * bins
        number = 0
        if count > 1:
            number = int(
                controls.bind(
                    st.slider, "Bin", "bin", min(count, count // 2 + 1), min_value=1, max_value=count, width=200
                )
            )
            number -= 1
    layer = pick_layer(network)
    sides = [round(share * max(network.input_size[1:])) for share in SHARES]
    every = picture_cache().get(
        ("maps at sizes", network.key, image, layer), lambda: _maps(network, image, layer, sides)
    )
    channel = controls.pick_unit(len(every[1]), int(every[1].max(axis=(1, 2)).argmax()))
    found = [_bin_map(side, maps[channel], bins, KINDS[kind]) for side, maps in zip(sides, every, strict=True)]
    drawn: Strip = bins_strip(found, divmod(number, bins))
    labelled_picture(drawn, f"Adaptive pooling of {layer}, channel {channel}", "adaptive_bins")
    sizes = ", ".join("×".join(map(str, one.values.shape)) for one in found)
    overlap = (
        " Where the bins do not divide the map they overlap by a unit." if any(one.overlaps for one in found) else ""
    )
    st.write(
        f"`{controls.unit_name(layer, channel)}` for the image with sides of {', '.join(map(str, sides))} px: maps of "
        f"{sizes}, each pooled into {bins}×{bins} bins. **Notice** that the number behind the pooling is the same for "
        f"every image, so that a dense layer can follow, and that with 1 bin it is global pooling.{overlap}"
    )
    with st.expander("Formula and source"):
        st.latex(
            r"\text{bin } i:\ \left\lfloor \frac{i\,n}{m}\right\rfloor \le u < "
            r"\left\lceil \frac{(i+1)\,n}{m}\right\rceil"
        )
        st.write(
            "n units into m bins along each axis, as AdaptiveAvgPool2d and AdaptiveMaxPool2d take them. Negative "
            "activations are drawn as 0. Source: He, Zhang, Ren, Sun, Spatial pyramid pooling, ECCV 2014, "
            "arXiv:1406.4729."
        )


def _maps(network: Network, image: str, layer: str, sides: list[int]) -> tuple[np.ndarray, ...]:
    from cnnviz.studies.pooling.global_pooling import maps_at_sizes

    return maps_at_sizes(network.model, shared.photo(image), layer, sides)


def _bin_map(side: int, values: np.ndarray, bins: int, kind: str) -> BinnedMap:
    rows, cols = (adaptive_bins(size, bins) for size in values.shape)
    return BinnedMap(side, values, rows, cols, adaptive_pool(values, bins, kind))
