"""One unit: its winners in context, how often it answers, what it really sees, and what feeds it."""

import streamlit as st

from app.pickers.corpus import pick_corpus
from app.views.microscope import unit_column, winners_wall
from app.views.microscope.view import open_view
from app.views.patches import indexing
from app.views.preferred import unit_picture
from cnnviz.figures.patches.charts import RULES

PAGE = {"title": "Unit", "address": "unit", "icon": ":material/center_focus_strong:", "place": 50, "group": "See"}

with open_view("Unit", "Unit") as view:
    unit = view.look.unit
    with view.columns["wall"]:
        images, _row = pick_corpus(view.network, indexes=True)
        indexed = indexing.require_layer(view.network, images, view.look.layer)
        if indexed.unit(unit).winners:
            winners_wall.show(view.later, indexed, unit, view.rule)
        else:
            st.info(unit_column.NO_WINNER)
    with view.columns["unit"]:
        unit_picture.show(indexed, view.look)
        if indexed.unit(unit).winners:
            unit_column.fields(view.later, indexed, unit)
            unit_column.show_sentences(indexed, unit, view.look.image)
            unit_column.histogram(indexed, unit)
        unit_column.links(view.later, indexed, unit)

st.write(
    "Each tile is one image: whole, with the unit's receptive field; the patch alone; the same unit projected back "
    "to pixels. **Notice** what changes between the three projections, and how small the effective field is."
)
st.caption(RULES[view.rule])
with st.expander("Formula and source"):
    st.write(
        "Projections: Zeiler and Fergus, ECCV 2014 (deconvnet); Simonyan, Vedaldi, Zisserman 2014 (gradient); "
        "Springenberg et al. 2015 (guided). Effective field: the mean over winners of |∂ unit / ∂ pixel|, summed over "
        "colours, after Luo, Li, Urtasun, Zemel, NeurIPS 2016. Links: the L2 norm of the kernel between two channels; "
        "norms, activations and pooling between two layers are passed over. Histogram: one entry an image, its "
        "strongest unit, in half octaves. Selectivity: 1 − entropy of the winners' classes / log₂ of their number."
    )
