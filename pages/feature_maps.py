"""Feature maps: a layer as one wall, the photograph with a unit's receptive field, and what drives that unit."""

import streamlit as st

from app.views.microscope import maps_wall, unit_column
from app.views.microscope.view import open_view

PAGE = {"title": "Feature maps", "address": "feature-maps", "icon": ":material/layers:", "place": 30, "group": "See"}

with open_view("Feature maps", "Maps") as view:
    look = view.look
    with view.columns["wall"]:
        maps_wall.show(view.network, look)
    with view.columns["unit"]:
        indexed = unit_column.find_layer(view.network, look.layer)
        if indexed is not None:
            unit_column.show_winners(view.later, indexed, look.unit, view.rule)
            unit_column.show_sentences(indexed, look.unit, look.image)
            unit_column.links(view.later, indexed, look.unit)

st.write(
    "Each tile is one channel's response to the photograph; bright means strong. **Notice** how early layers keep the "
    "picture's outline, and deep ones respond in a few places only."
)
with st.expander("Formula and source"):
    st.write(
        "Values are the layer's own output, a convolution's before its ReLU; what is below 0 is drawn as 0. The "
        "receptive field is propagated through the network's graph (Araujo, Norris, Sim, Distill 2019). What in this "
        "image drives the unit: Zeiler and Fergus, ECCV 2014, from this one unit down to the pixels."
    )
