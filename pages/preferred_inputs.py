"""Preferred inputs: images synthesised to activate a channel, of one channel, of a whole layer, and between two."""

import streamlit as st

from app.pickers import bar, comparison, controls
from app.views.microscope import unit_column
from app.views.microscope.view import open_view
from app.views.preferred import between, channel, choices, layer_wall

PAGE = {
    "title": "Preferred inputs",
    "address": "preferred-inputs",
    "icon": ":material/auto_awesome:",
    "place": 45,
    "group": "See",
}

KINDS = ("random", "weights", "net", "layer")  # the photograph has no part in it
VIEWS = ["Channel", "Layer", "Between"]

with open_view("Preferred inputs", "Preferred") as view:
    look = view.look
    with bar.row():
        shown = controls.bind_choice("View", "view", VIEWS)
        objectives = choices.OF_ALL if shown == "Layer" else choices.OBJECTIVES
        choices.pick(objectives, seed_alone=shown == "Between")
    indexed = None
    with view.columns["unit"]:
        indexed = unit_column.find_layer(view.network, look.layer)
    with view.columns["wall"]:
        if shown == "Between":
            between.show(view.network, look)
        else:
            sides = comparison.pick_sides(view.network, look.image, look.layer, KINDS)
            if shown == "Channel":
                channel.show(sides, look, indexed)
            else:
                layer_wall.show(sides, look)
    if indexed is not None:
        with view.columns["unit"]:
            unit_column.show_winners(view.later, indexed, look.unit, view.rule)
            unit_column.show_sentences(indexed, look.unit, look.image)
            unit_column.links(view.later, indexed, look.unit)

st.write(
    "Synthesised, not photographed: starting from noise, each image was changed step by step so that the channel "
    "responds as strongly as it can. **Notice** what they have in common with the nine patches, and how far the "
    "activation goes beyond that of the best of them."
)
with st.expander("Formula and source"):
    st.markdown(
        "x* = argmax over x of a(x), by Adam on the gradient ∂a/∂x, with the weights fixed (Erhan, Bengio, Courville, "
        "Vincent 2009, *Visualizing higher-layer features of a deep network*); a is the layer's own output, "
        "a convolution's before its ReLU.  \n"
        "**Maximised**: the unit in the middle of the map, the one at the row and column chosen, or the mean of the "
        "whole map.  \n"
        "**Amplitudes, free**: x is a sigmoid of Fourier coefficients times 1/f, in decorrelated colours. Every step "
        "sees x shifted, turned and zoomed a little, so that no fine pattern serves that a shift would destroy (Olah, "
        "Mordvintsev, Schubert, *Feature visualization*, Distill 2017, *Preconditioning and parameterization*).  \n"
        "**Amplitudes, natural**: the amplitude of each frequency is the mean over photographs, and the phases alone "
        "are optimised (Fel et al., NeurIPS 2023, arXiv:2306.06805, section 3).  \n"
        "**Several images**: each also gives up activation for being unlike the others, by the cosine between the Gram "
        "matrices of their maps (Olah et al. 2017, *Diversity*).  \n"
        "The activation is that of the image as shown, rounded to 8 bits, in the plain network. Only the pixels of "
        "the unit's receptive field are made; all others are gray. A large activation does not say that the channel "
        "detects what a person sees in the image."
    )
