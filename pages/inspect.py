"""Inspect your image: what the network answers, and what in the image the answer hangs on."""

import streamlit as st

from app.pickers import controls
from app.views.inspect import answer as inspect_answer
from app.views.inspect import attribution as inspect_attribution
from app.views.inspect import neighbours as inspect_neighbours
from app.views.inspect import occlusion as inspect_occlusion
from app.views.inspect import sanity as inspect_sanity
from app.views.inspect.results import Subject

PAGE = {"title": "Inspect your image", "address": "inspect", "icon": ":material/image_search:", "place": 10}

VIEWS = ["Answer", "Attribution", "Occlusion", "Sanity check", "Neighbours"]

title = controls.heading("Inspect your image")
network = controls.pick_network(title)
image = controls.pick_image(network)
row = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
with row:
    view = controls.bind_choice("View", "view", VIEWS)
subject, opacity = Subject(network, image), 1.0
if view != "Neighbours":
    subject = inspect_answer.pick_class(row, network, image)
    opacity = inspect_answer.pick_opacity(row)
if view == "Occlusion":
    square, unit = inspect_occlusion.pick_square(row, network), inspect_occlusion.pick_map(network, image)
elif view == "Attribution":
    others = inspect_attribution.pick_others(row, network, image)
elif view == "Sanity check":
    method = inspect_sanity.pick_method(row)
controls.show_device(network)

if view == "Answer":
    inspect_answer.view(subject, opacity)
elif view == "Attribution":
    inspect_attribution.view([subject, *(Subject(network, name, subject.label) for name in others)], opacity)
elif view == "Occlusion":
    inspect_occlusion.view(subject, square, unit, opacity)
elif view == "Sanity check":
    inspect_sanity.view(subject, method, opacity)
else:
    inspect_neighbours.view(subject)
