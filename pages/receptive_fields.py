"""Receptive fields: what a unit can see and what it does see, how fields grow, and what a stack of kernels buys."""

import numpy as np

from app.pickers import bar, controls
from app.session import shared
from app.views.receptive import growth, stacks, unit_field, unit_place

PAGE = {
    "title": "Receptive fields",
    "address": "receptive-fields",
    "icon": ":material/filter_center_focus:",
    "place": 90,
    "group": "Understand",
}

VIEWS = ["On the image", "Growth", "Stacks"]

title = controls.heading("Receptive fields")
row = bar.row()
with row:
    view = controls.bind_choice("View", "view", VIEWS)
if view == "Stacks":
    stacks.view(row)
else:
    network = controls.pick_network(title)
    image = controls.pick_image(network)
    layer = controls.pick_layer(network)
    maps = shared.maps(network, image, layer)
    channel = controls.pick_unit(len(maps), int(np.argmax(maps.max(axis=(1, 2)))))
    field = shared.receptive(network, layer)
    place = unit_place.pick_place(row, field)
    controls.show_device(network)
    look = unit_field.ViewedUnit(network, image, layer, channel, field, place)
    if view == "Growth":
        growth.view(row, look)
    else:
        unit_field.view(row, look)
