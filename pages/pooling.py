"""Pooling invariance: on real networks, by hand, learned across channels, and what global pooling does to location."""

from app.pickers import bar, controls
from app.pickers.controls import DEFAULT_NETWORK
from app.views.pooling import hand, learned, location, pool_layers

PAGE = {
    "title": "Pooling invariance",
    "address": "pooling",
    "icon": ":material/grid_view:",
    "place": 80,
    "group": "Understand",
}

IN_NETWORK, HAND, LEARNED, LOCATION = "In a network", "By hand", "Learned", "Location"
TELLING = {IN_NETWORK: "lenet5", LOCATION: DEFAULT_NETWORK}  # networks that the views open on

title = controls.heading("Pooling invariance")
row = bar.row()
with row:
    view = controls.bind_choice("View", "view", [IN_NETWORK, HAND, LEARNED, LOCATION])
if view == HAND:
    hand.view(row)
elif view == LEARNED:
    learned.view(row)
else:
    network = controls.pick_network(title, TELLING[view])
    image = controls.pick_image(network)
    if view == IN_NETWORK:
        pool_layers.view(network, image, row)
    else:
        location.view(network, image, row)
    controls.show_device(network)
