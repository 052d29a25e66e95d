"""The view of memory: what a batch holds until the backward pass, and what one image after another would hold."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.components.plots import plot
from app.pickers import controls
from app.session.networks import Network
from app.views.normalisation import results
from cnnviz.figures.base.charts import count_text
from cnnviz.figures.normalisation.curves import memory_figure
from cnnviz.wording import plural

SIZES = [1, 2, 4, 8, 10, 16, 32, 64, 128, 256, 512]


def view(network: Network, image: str, row: Any) -> None:
    """Bytes of each layer, and their sum over the pass."""
    with row:
        count = int(controls.bind(st.select_slider, "Images in the batch", "batchsize", 32, options=SIZES, width=320))
    found = results.memory(network, image)
    if found is None:
        return
    plot(memory_figure(found, count), "Memory during a training step", "memory_layers", f"{network.model.name}-memory")
    batch, single = int(found.held(count).sum()), int(found.held(1).sum())
    norms = results.batch_norms(network)
    needs = (
        f"This network has {plural(len(norms), 'batch norm')}: each needs the maps of **all** images before it can "
        "compute a mean, so that the batch goes through layer by layer, together."
        if norms
        else "This network has no batch norm: its gradients can be summed over one image after another, with the same "
        "result."
    )
    st.write(
        f"A batch of {count} holds **{count_text(batch)}B** until the backward pass, one image {count_text(single)}B. "
        f"{needs} **Notice** that without batch norm the dashed line would do: one image's activations, however large "
        "the batch. With it, images one by one would be batches of one, with other statistics and other gradients."
    )
    with st.expander("What is counted, and source"):
        st.write(
            "What PyTorch's autograd keeps of a forward pass for the gradients of all weights, measured with 2 and 3 "
            "images and exact for any number, in float32: the inputs of convolutions and batch norms, outputs of "
            "ReLUs, and the places of maxima (8 bytes each), every tensor once. A plain count, 4 bytes × all outputs, "
            "is larger, since layers share tensors and sums keep nothing. Weights, their gradients, the optimiser's "
            "state and what a convolution needs while it works come on top. 1 MB is 10⁶ bytes. Evaluation keeps "
            "nothing: there images may go one by one through any of these networks. Batch statistics: Ioffe and "
            "Szegedy, ICML 2015, arXiv:1502.03167, section 3.1."
        )
