"""Pooling invariance: on real networks, by hand, learned across channels, and what global pooling does to location."""

import streamlit as st

from app import controls, pooling_hand, pooling_learned, pooling_location, pooling_network
from app.network_picker import DEFAULT_NETWORK

IN_NETWORK, HAND, LEARNED, LOCATION = "In a network", "By hand", "Learned", "Location"
TELLING = {IN_NETWORK: "lenet5", LOCATION: DEFAULT_NETWORK}  # networks that the views open on

title = controls.heading("Pooling invariance")
row = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
with row:
    view = controls.bound_choice("View", "view", [IN_NETWORK, HAND, LEARNED, LOCATION])
if view == HAND:
    pooling_hand.view(row)
elif view == LEARNED:
    pooling_learned.view(row)
else:
    network = controls.pick_network(title, TELLING[view])
    image = controls.pick_image(network)
    if view == IN_NETWORK:
        pooling_network.view(network, image, row)
    else:
        pooling_location.view(network, image, row)
    controls.show_device(network)
