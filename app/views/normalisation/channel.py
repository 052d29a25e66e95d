"""The view of one channel: its values before and after batch norm, and γ and β that give back what entered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.components.plots import plot
from app.pickers import controls
from app.session.networks import Network
from app.views.normalisation import results
from cnnviz.figures.base.charts import value_text
from cnnviz.figures.normalisation.channel import channel_figure
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.normalisation.channel import NormChannel

SIZES = [1, 2, 4, 8, 16, 32]
TRAINED, IDENTITY, BY_HAND = "Trained", "Identity", "By hand"
GAMMAS = [round(0.05 * step, 2) for step in range(81)]  # 0 … 4
BETAS = [round(0.05 * step, 2) for step in range(-80, 81)]  # −4 … 4


def view(network: Network, image: str, row: Any) -> None:
    """Three histograms, the statistics as a table, and the residual y − x."""
    from cnnviz.studies.normalisation.channel import channel_statistics

    if results.offer_others(network):
        return
    norms = results.batch_norms(network)
    layer = controls.choose_layer(network, list(norms), list(norms)[len(norms) // 3], "Batch norm")
    with row:
        count = controls.bind(st.selectbox, "Images", "batchsize", 16, options=SIZES, width=90)
        seed = results.pick_draw()
        running = controls.bind_choice("Normalise by", "normby", ["Batch", "Running"]) == "Running"
        how = controls.bind_choice("γ and β", "affine", [TRAINED, IDENTITY, BY_HAND])
    given = results.norm_input(network, image, layer, count - 1, seed)
    channel = controls.pick_unit(norms[layer])
    if given is None:
        return
    found = channel_statistics(network.model, layer, channel, given)
    if running and not np.isfinite(found.running_mean):
        st.info(f"`{layer}` keeps no running statistics: it normalises by the batch in evaluation, too.")
        running = False
    if not running and found.values.size == 1:
        st.info("One image and one place: a single value has no variance, and PyTorch refuses. Choose more images.")
        return
    gamma, beta = _pick_affine(how, found, running, row)
    figure = channel_figure(found, running, gamma, beta)
    name = controls.unit_name(layer, channel)
    plot(figure, f"Histograms of {name}", "channel_histograms", f"{network.model.name}-{layer}-{channel}")
    _tell(found, name, running, gamma, beta)
    st.table(_table(found))
    _explain()


def _pick_affine(how: str, found: NormChannel, running: bool, row: Any) -> tuple[float, float]:
    if how == TRAINED:
        return found.gamma, found.beta
    if how == IDENTITY:
        return found.identity(running)
    with row:
        gamma = controls.bind(st.select_slider, "γ", "gamma", 1.0, options=GAMMAS, width=112)
        beta = controls.bind(st.select_slider, "β", "beta", 0.0, options=BETAS, width=112)
    return float(gamma), float(beta)


def _tell(found: NormChannel, name: str, running: bool, gamma: float, beta: float) -> None:
    after = gamma * found.normalise(running) + beta
    residual, wanted = float(np.abs(after - found.values).max()), found.identity(running)
    images, places = found.values.shape
    middle = round(float(after.mean()), 9)  # 0 but for rounding is 0
    st.write(
        f"`{name}`: {plural(images, 'image')} × {plural(places, 'place')}. After the layer the channel has mean "
        f"**{value_text(middle)}** and deviation **{value_text(float(after.std()))}**; the largest |y − x| is "
        f"**{residual:.2g}**. **Notice** that γ = √(σ² + ε) = {value_text(wanted[0])} and β = μ = "
        f"{value_text(wanted[1])} give back what entered (*Identity*): the layer can undo its normalisation, so that "
        "it takes nothing from what the network can express."
    )


def _table(found: NormChannel) -> dict[str, list[str]]:
    rows = [("batch", found.mean, found.var), ("running", found.running_mean, found.running_var)]
    if np.isfinite(found.momentum):
        rows.append((f"running, after a step on this batch (m = {found.momentum:g})", *found.update()))
    known = [row for row in rows if np.isfinite(row[1])]
    return {
        "statistics": [name for name, _, _ in known],
        "mean μ": [value_text(mean) for _, mean, _ in known],
        "variance σ²": [value_text(var) for _, _, var in known],
    }


def _explain() -> None:
    with st.expander("Formula and source"):
        st.latex(
            r"\mu=\frac1{NHW}\sum x,\quad\sigma^2=\frac1{NHW}\sum(x-\mu)^2,\quad "
            r"y=\gamma\,\frac{x-\mu}{\sqrt{\sigma^2+\epsilon}}+\beta"
        )
        st.write(
            "What enters the layer is taken from a pass in evaluation over the image and its companions, which are "
            "drawn at random by the seed *Draw*. The batch's variance has the divisor N·H·W; into the running "
            "variance PyTorch takes the one with N·H·W − 1. Source: Ioffe and Szegedy, ICML 2015, arXiv:1502.03167, "
            "algorithm 1 and section 3, where γ and β that restore the activations are named."
        )
