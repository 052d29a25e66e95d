"""Normalisation: batch norm in training and evaluation, its axes and memory, local response, and preprocessing."""

import streamlit as st

from app.pickers import bar, controls
from app.views.normalisation import axes, channel, company, memory, preprocessing, response

PAGE = {
    "title": "Normalisation",
    "address": "normalisation",
    "icon": ":material/equalizer:",
    "place": 126,
    "group": "Learn",
}

COMPANY, CHANNEL, AXES, MEMORY = "Training and evaluation", "A channel", "Axes", "Memory"
RESPONSE, MEANS, SCALING = "Local response", "Preprocessing", "Feature scaling"
TELLING = "resnet20_cifar"  # the network that the page opens on: with batch norms, and bundled

title = controls.heading("Normalisation")
row = bar.row()
with row:
    view = controls.bind(
        st.selectbox,
        "View",
        "view",
        COMPANY,
        options=[COMPANY, CHANNEL, AXES, MEMORY, RESPONSE, MEANS, SCALING],
        width=225,
    )
if view == SCALING:
    preprocessing.scaling_view(row)
else:
    network = controls.pick_network(title, TELLING)
    image = controls.pick_image(network)
    if view == COMPANY:
        company.view(network, image, row)
    elif view == CHANNEL:
        channel.view(network, image, row)
    elif view == AXES:
        axes.view(network, image, row)
    elif view == MEMORY:
        memory.view(network, image, row)
    elif view == RESPONSE:
        response.view(network, image, row)
    else:
        preprocessing.means_view(network, image)
    controls.show_device(network)
