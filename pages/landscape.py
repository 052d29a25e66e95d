"""Loss landscapes: with and without shortcuts side by side, from every side, and computed for any network."""

import streamlit as st

from app.pickers import controls
from app.views.landscape import catalogue as landscapes
from app.views.landscape import compute as landscape_compute
from app.views.landscape import point as landscape_point
from app.views.landscape import sharpness as landscape_sharpness
from app.views.landscape import training as landscape_training
from app.views.landscape import views as landscape_views

PAGE = {"title": "Loss landscape", "address": "landscape", "icon": ":material/landscape:", "place": 80}

VIEWS = ["3-D", "Contours", "Slices", "Sharpness", "Training", "Compute"]

title = controls.heading("Loss landscape")
row = st.container(horizontal=True, vertical_alignment="bottom", gap="medium")
bundled = bool(landscapes.kept())  # without any the page opens on computing one
with row:
    view = controls.bind(
        st.segmented_control, "View", "view", "3-D" if bundled else "Compute", options=VIEWS, required=True
    )
if view == "Compute":
    network = controls.pick_network(title)
    landscape_compute.compute(network, row, at_once=not bundled)
    controls.show_device(network)
elif view == "Training":
    landscape_training.training(row)
elif not landscapes.names():
    st.info("No surfaces come with this copy of cnnviz. “Compute” makes one of any network.")
else:
    names = landscape_views.pick_pair()
    seed = landscape_views.pick_seed(names)
    chosen = [landscapes.shown(name, seed) for name in names]
    if view == "3-D":
        landscape_views.surfaces(chosen, row)
    elif view == "Slices":
        landscape_views.slices(chosen, row)
    elif view == "Sharpness":
        landscape_sharpness.view(chosen, row)
    else:
        landscape_point.view(chosen, row)
    landscape_views.sources(chosen)
