"""The view of activations: curves with their slopes, what a layer of the network gives them, products of slopes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.components.plots import plot
from app.markdown import escape_markdown
from app.pickers import controls
from app.session import shared
from app.session.cache import array_cache
from app.session.networks import Network
from app.views.playground.input import decimal, whole
from cnnviz.figures.backward.activations import REACH, activation_figure
from cnnviz.figures.base.charts import share_text
from cnnviz.figures.playground.cells import number_text

if TYPE_CHECKING:
    from cnnviz.studies.backward.activations import PreActivations


def view(network: Network, image: str, row: Any) -> None:
    """Controls, the figure, what is flat in words."""
    from cnnviz.studies.backward.activations import (
        ACTIVATIONS,
        FLAT,
        find_activation,
        list_activation_layers,
        slope_products,
    )

    layers = array_cache().get(("activations", network.key), lambda: list_activation_layers(network.model))
    options = list(layers) or list(shared.layer_shapes(network))
    layer = controls.choose_layer(network, options, options[len(options) // 3], "Activation")
    given = _read(network, image, layer)
    with row:
        own = given.kind or "relu"
        kind = controls.bind(
            st.selectbox,
            "Activation",
            "activation",
            own,
            options=list(ACTIVATIONS),
            format_func=lambda one: ACTIVATIONS[one].title,
            width=140,
        )
        x = decimal("x", "x", -2.0, -REACH, REACH, width=230)
        count = whole("In a row", "slopes", 20, 1, 200)
    function = find_activation(kind)
    value, slope = (float(curve(np.array([x]))[0]) for curve in (function.value, function.slope))
    steepest = float(np.abs(function.slope(np.linspace(-REACH, REACH, 4801))).max())
    products = [
        ("at x", slope_products(slope, count)),
        ("steepest", slope_products(steepest, count)),
        ("this layer, r.m.s.", slope_products(given.mean_slope(kind), count)),
    ]
    plot(
        activation_figure(function, x, given, FLAT, products),
        f"{function.title} and its slope",
        "backward_activation",
        f"activation-{kind}",
    )
    left = slope_products(slope, count)[-1]
    whose = (
        f"what enters `{escape_markdown(layer)}`" if layer in layers else f"the output of `{escape_markdown(layer)}`"
    )
    applied = ACTIVATIONS[given.kind].title if given.kind else "another function, or one that is no module"
    st.markdown(
        f"f({number_text(x)}) = **{number_text(value)}**, slope **{number_text(slope)}**; {count} such slopes "
        f"multiply to **{number_text(left)}**. Of {whose} for this image, **{share_text(given.flat_share(kind))}** "
        f"lie where {function.title} is flat, |f′| < {FLAT:g} (gray). {function.words}"
    )
    st.write(
        f"The network applies {applied} there. **Notice** that the gradient of a ReLU at x < 0 is exactly 0, not "
        "small: one such unit blocks a path, and other paths stay open with slope 1. Sigmoids weaken every path, by "
        "4 or more an activation. So ReLU reduces vanishing gradients; it does not abolish them."
    )
    with st.expander("Formula and source"):
        st.latex(function.formula)
        st.write(
            "A product of slopes is one factor of the gradient along one path; weights are the other. Values beyond "
            "the axis are counted in the outermost bars. Sources: Glorot and Bengio, AISTATS 2010; ReLU: Nair and "
            "Hinton, ICML 2010, Glorot et al., AISTATS 2011; leaky ReLU: Maas et al. 2013; ELU: Clevert et al., "
            "arXiv:1511.07289; GELU: Hendrycks and Gimpel, arXiv:1606.08415; SiLU: Elfwing et al., arXiv:1702.03118; "
            "maxout: Goodfellow et al., arXiv:1302.4389."
        )
    controls.show_device(network)


def _read(network: Network, image: str, layer: str) -> PreActivations:
    from cnnviz.studies.backward.activations import pre_activations

    name = ("pre-activations", network.key, image, layer)
    return array_cache().get(name, lambda: pre_activations(network.model, shared.photo(image), layer))
