"""Pooling invariance: on real networks, learned across channels, global pooling and location, adaptive bins."""

import streamlit as st

from app.pickers import bar, controls
from app.url import address
from app.views.playground import pooling
from app.views.pooling import adaptive, learned, location, pool_layers

PAGE = {
    "title": "Pooling invariance",
    "address": "pooling",
    "icon": ":material/grid_view:",
    "place": 80,
    "group": "Understand",
}

IN_NETWORK, LEARNED, LOCATION, BINS = "In a network", "Learned", "Location", "Adaptive bins"
HAND = "By hand"  # is the view "Pooling" of the playground; links of earlier versions still open it here
TELLING = {IN_NETWORK: "lenet5", LOCATION: "resnet20_cifar", BINS: "resnet20_cifar"}  # networks that the views open on

title = controls.heading("Pooling invariance")
row = bar.row()
with row:
    view = controls.bind_choice(
        "View", "view", [IN_NETWORK, LEARNED, LOCATION, BINS, *([HAND] if address.read("view") == HAND else [])]
    )
    by_hand = address.link(view="Pooling")
    st.page_link("../pages/playground.py", label=HAND, icon=":material/calculate:", query_params=by_hand)
if view == HAND:
    pooling.view(row)
elif view == LEARNED:
    learned.view(row)
else:
    network = controls.pick_network(title, TELLING[view])
    image = controls.pick_image(network)
    if view == IN_NETWORK:
        pool_layers.view(network, image, row)
    elif view == BINS:
        adaptive.view(network, image, row)
    else:
        location.view(network, image, row)
    controls.show_device(network)
