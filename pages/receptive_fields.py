"""Receptive fields: what a unit can see and what it does see, how fields grow, and what a stack of kernels buys."""

import numpy as np

from app.pickers import bar, comparison, controls
from app.pickers.comparison import Side
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
    sides = comparison.pick_sides(network, image, layer) if view == VIEWS[0] else [Side(network, image, layer)]
    field = shared.receptive(network, layer)
    place = unit_place.pick_place(row, field)
    controls.show_device(network)
    looks = comparison.collect(sides, lambda side: unit_field.look_at(side, channel, place, field.shape))
    if view == "Growth":
        growth.view(row, looks[sides[0]])
    else:
        unit_field.view(row, list(looks.values()))
