"""Loss landscapes: with and without shortcuts side by side, from every side, and computed for any network."""

import streamlit as st

from app.pickers import bar, controls
from app.views.landscape import catalogue, compute, point, sharpness, training, views

PAGE = {
    "title": "Loss landscape",
    "address": "landscape",
    "icon": ":material/landscape:",
    "place": 130,
    "group": "Learn",
}

VIEWS = ["3-D", "Contours", "Slices", "Sharpness", "Training", "Compute"]

title = controls.heading("Loss landscape")
row = bar.row()
bundled = bool(catalogue.list_bundled())  # without any the page opens on computing one
with row:
    view = controls.bind(
        st.segmented_control, "View", "view", "3-D" if bundled else "Compute", options=VIEWS, required=True
    )
if view == "Compute":
    network = controls.pick_network(title)
    compute.compute(network, row, at_once=not bundled)
    controls.show_device(network)
elif view == "Training":
    training.training(row)
elif not catalogue.names():
    st.info("No surfaces come with this copy of cnnviz. “Compute” makes one of any network.")
else:
    names = views.pick_pair()
    seed = views.pick_seed(names)
    chosen = [catalogue.load_landscape(name, seed) for name in names]
    if view == "3-D":
        views.surfaces(chosen, row)
    elif view == "Slices":
        views.slices(chosen, row)
    elif view == "Sharpness":
        sharpness.view(chosen, row)
    else:
        point.view(chosen, row)
    views.sources(chosen)
