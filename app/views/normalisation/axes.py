"""The view of axes: over which of images, channels and places batch, layer, instance and group norm average."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app.components.downloads import offer_downloads
from app.components.drawing import drawing
from app.components.plots import plot
from app.pickers import controls
from app.session.networks import Network
from app.views.normalisation import results
from cnnviz.figures.normalisation.cubes import NormCube, cubes_scene
from cnnviz.figures.normalisation.curves import means_figure
from cnnviz.wording import plural

MAPS, VECTORS = "Maps (N, C, H, W)", "Vectors (N, D)"
SIZES = [2, 4, 8, 16, 32]
TITLES = {"batch": "Batch norm", "layer": "Layer norm", "instance": "Instance norm", "group": "Group norm"}
OVER = {
    MAPS: {"batch": "N, H, W", "layer": "C, H, W", "instance": "H, W", "group": "C/G, H, W"},
    VECTORS: {"batch": "N", "layer": "D"},
}


def view(network: Network, image: str, row: Any) -> None:
    """The cubes with their numbers for the chosen layer, and the means as the batch grows."""
    from cnnviz.studies.normalisation.axes import largest_groups, means_over_batches, norm_statistics

    layer = controls.pick_layer(network)
    with row:
        form = controls.bind_choice("Activations", "form", [MAPS, VECTORS])
        count = int(controls.bind(st.selectbox, "Images N", "batchsize", 16, options=SIZES, width=90))
        seed = results.pick_draw()
    maps = results.layer_output(network, image, layer, count - 1, seed)
    if maps is None:
        return
    channels, high, wide = maps.shape[1:]
    if high * wide == 1:
        form = VECTORS  # a map of one place is a vector
    values = maps.reshape(count, channels, -1) if form == MAPS else maps.mean(axis=(2, 3))
    groups = largest_groups(channels)
    cubes = []
    for kind, over in OVER[form].items():
        found = norm_statistics(values, kind, groups)
        behind = f"of {plural(found.averaged, 'value')} each"
        cubes.append(NormCube(TITLES[kind], f"averages over {over}", plural(found.mean.size, "mean"), behind))
    scenes = [cubes_scene(cubes, form == VECTORS, columns) for columns in (4, 2)]
    drawing(scenes[:1], ["Which values share a mean"], "norm_cubes", most=2.6, narrow=scenes[1:])
    sizes = np.arange(1, count + 1)
    means = {TITLES[kind]: one for kind, one in means_over_batches(values, list(sizes), groups).items()}
    plot(
        means_figure(sizes, means, 270), "Means as the batch grows", "norm_means", f"{network.model.name}-{layer}-means"
    )
    shape = f"{count} × {channels} × {high} × {wide}" if form == MAPS else f"{count} × {channels}"
    what = "the output" if form == MAPS else "the output, averaged over places,"
    st.write(
        f"`{layer}`: {what} has the shape {shape}. Blue values share a mean and a variance with the corner at the "
        "right. Below, that mean for the chosen image"
        + (f", channel {channels - 1}, {plural(groups, 'group')}" if form == MAPS else f", feature {channels - 1}")
        + ", as images join the batch. **Notice** that only batch norm depends on them; layer norm takes an image's "
        "own values, and is the same in training and evaluation, for a batch of one and for sentences of any length."
    )
    _explain()
    offer_downloads("normalisation-axes", scenes[0])


def _explain() -> None:
    with st.expander("Which axes, where notes are wrong, and source"):
        st.write(
            "Batch norm of vectors (N, D): D means and variances, each averaged over the N images; of maps (N, C, H, "
            "W): C, each averaged over N·H·W values. Layer norm: N, each averaged over the D features, or over C·H·W "
            "values. Lecture notes at times say it the other way round, “batch norm is across D, layer norm across "
            "N”: what counts is which axis disappears. Layer norm of transformers averages over the features of each "
            "token alone. Instance norm: N·C means of H·W values; group norm: N·G, where one group is layer norm, and "
            "as many groups as channels are instance norm; here the largest number of groups up to 32 that divides "
            "the channels. Sources: Wu and He, *Group normalization*, ECCV 2018, arXiv:1803.08494, Fig. 2 and section "
            "3.1; Ba, Kiros, Hinton, *Layer normalization*, 2016, arXiv:1607.06450; Ioffe and Szegedy 2015, "
            "arXiv:1502.03167, section 3.2."
        )
        st.caption(
            "Drawn are 4 images, 6 channels and 4 places, whatever the layer has; the numbers are the layer's. Each "
            "norm then scales and shifts by learned γ and β, for batch, instance and group norm one of each a channel."
        )
