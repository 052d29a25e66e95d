"""The view of DropConnect: weights masked in place of units, on the same layer, and what two of its outputs do."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app.components.plots import plot
from app.pickers import controls
from app.session import shared
from app.session.networks import Network
from app.views.noise import results
from app.views.noise.dropout import pick_rate, pick_seed
from cnnviz.figures.base.charts import value_text
from cnnviz.figures.noise import charts
from cnnviz.wording import plural

DRAWS = 1000


def view(network: Network, image: str, row: Any) -> None:
    """Two clouds of outputs, and their moments beside the formulas."""
    from cnnviz.studies.noise.drop_connect import KINDS, draw_outputs, find_partner, list_masked_layers

    options = [layer for layer in list_masked_layers(network.model) if layer in shared.layer_shapes(network)]
    options = [layer for layer in options if shared.layer_shapes(network)[layer][0] > 1]
    if not options:
        title = shared.facts(network)["title"]
        results.offer_networks(f"{title} has no layer of several outputs whose weights could be masked.", ("lenet5",))
        return
    layer = controls.choose_layer(network, options, _default_layer(network, options))
    maps = shared.maps(network, image, layer)
    channel = controls.pick_unit(len(maps), int(np.argmax(maps.max(axis=(1, 2)))))
    place = divmod(int(maps[channel].argmax()), maps.shape[2])
    rate, seed = pick_rate(row, 50), pick_seed(row)
    window = results.window(network, image, layer, *place)
    with row:
        usual = find_partner(window, channel)
        other = int(
            controls.bind(
                st.number_input, "And channel", "unit2", usual, min_value=0, max_value=len(maps) - 1, step=1, width=120
            )
        )
    other = usual if other == channel else other
    pair = [draw_outputs(window, (channel, other), kind, rate, DRAWS, seed) for kind in KINDS]
    names = f"channel {channel}", f"channel {other}"
    plot(charts.clouds_figure(pair, names), f"Two outputs of {layer} under masks", "clouds", "dropconnect-clouds")
    table, words = st.columns([1, 1.3], gap="medium")
    with table:
        st.table(_table(pair, names))
    with words:
        st.write(
            f"`{controls.unit_name(layer, channel, *place)}` reads {plural(window.inputs.size, 'value')}. Dropout "
            "masks them for all channels at once; DropConnect masks each of as many weights a channel "
            f"by itself. {plural(DRAWS, 'mask')} of each, at random, from the seed. **Notice** that one output alone "
            "cannot tell them apart, mean and variance are the same. Two can: under dropout they miss the same inputs "
            f"(correlation {_signed(pair[0].correlation)} expected), under DropConnect they are independent."
        )
    _explained()


def _default_layer(network: Network, options: list[str]) -> str:
    """The first layer behind dropout, else the one a third of the way."""
    from cnnviz.probes.classifier import trace_completion_order

    dropped = {one.layer for one in results.dropout_layers(network)}
    names = [name for name, _ in results.find(("order", network.key), lambda: trace_completion_order(network.model))]
    for at, name in enumerate(names):
        if name in dropped:
            return next((later for later in names[at:] if later in options), options[-1])
    return options[len(options) // 3]


def _table(pair: list[Any], names: tuple[str, str]) -> dict[str, list[str]]:
    """Measured and expected moments."""
    rows: dict[str, list[str]] = {"": [], "expected": [], "dropout": [], "DropConnect": []}
    first, second = (one.measured for one in pair)
    for at, name in enumerate(names):
        for word, place in (("mean", 0), ("standard deviation", 1)):
            expected = (pair[0].mean, pair[0].deviation)[place][at]
            rows[""].append(f"{name}, {word}")
            rows["expected"].append(value_text(float(expected)))
            rows["dropout"].append(value_text(float(first[place][at])))
            rows["DropConnect"].append(value_text(float(second[place][at])))
    rows[""].append("correlation")
    rows["expected"].append(f"{_signed(pair[0].correlation)} and 0")
    rows["dropout"].append(_signed(first[2]))
    rows["DropConnect"].append(_signed(second[2]))
    return rows


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _explained() -> None:
    with st.expander("Formula and source"):
        st.latex(
            r"\text{dropout: } y=\tfrac{1}{1-p}\,W(m\odot x)\qquad\text{DropConnect: } y=\tfrac{1}{1-p}\,(M\odot W)\,x"
            r"\qquad \mathrm{Var}\,y_a=\tfrac{p}{1-p}\sum_i (w_{ai}x_i)^2"
        )
        st.write(
            "Covariance of two outputs: p/(1 − p) · Σ w_a w_b x² under dropout, 0 under DropConnect. Notes that say "
            "dropout “disables connections” or “sets weights to zero” describe DropConnect; dropout sets activations "
            "to zero. In evaluation DropConnect draws each output from a normal distribution with this mean and "
            "variance and averages what the activation makes of it. Dashed: two standard deviations of the formulas; "
            "ring: the output without a mask. The layer is taken by itself: what enters it is that of evaluation. A "
            "convolution uses a weight at every place, so that under DropConnect the places of one map vary together. "
            "Source: Wan, Zeiler, Zhang, LeCun, Fergus, Regularization of Neural Networks using DropConnect, "
            "ICML 2013, section 3."
        )
