"""One unit: its winners in context, how often it answers, what it really sees, and what feeds it."""

import streamlit as st

from app.pickers import controls
from app.pickers.corpus import pick_corpus
from app.session import shared
from app.views.patches import indexing, unit_page
from app.views.patches.deferred import Deferred
from cnnviz.figures.patches.charts import RULES

PAGE = {"title": "Unit", "address": "unit", "icon": ":material/center_focus_strong:", "place": 50, "group": "See"}

title = controls.heading("Unit")
network = controls.pick_network(title)
image = controls.pick_image(network)
layer = controls.pick_layer(network)
unit = controls.pick_unit(shared.layer_shapes(network)[layer][0])
controls.show_device(network)

images, row = pick_corpus(network, indexes=True)
indexed = indexing.require_layer(network, images, layer)
with row:
    rule = controls.bind_choice("Projection", "rule", ["deconvnet", "guided", "gradient"])
    st.markdown(f"`{controls.unit_name(layer, unit)}`")

later = Deferred()
if indexed.unit(unit).winners:
    unit_page.winners(later, indexed, unit, rule)
    classes, place = unit_page.describe_classes(indexed, unit), unit_page.describe_place(indexed, unit, image)
    st.caption(f"{classes} {place} {RULES[rule]}")
    left, middle, *sides = st.columns([1.15, 0.95, 0.95, 0.95], gap="medium")
    with left:
        unit_page.histogram(indexed, unit)
    with middle:
        unit_page.fields(later, indexed, unit)
    unit_page.links(later, indexed, unit, (sides[0], sides[1]))
else:
    st.info("No image of this corpus gives this channel a value. Choose another channel or other images.")

st.write(
    "Each column is one image: whole, with the unit's receptive field; the patch alone; the same unit projected back "
    "to pixels. **Notice** what changes between the three projections, and how small the effective field is."
)
with st.expander("Formula and source"):
    st.write(
        "Projections: Zeiler and Fergus, ECCV 2014 (deconvnet); Simonyan, Vedaldi, Zisserman 2014 (gradient); "
        "Springenberg et al. 2015 (guided). Effective field: the mean over winners of |∂ unit / ∂ pixel|, summed over "
        "colours, after Luo, Li, Urtasun, Zemel, NeurIPS 2016. Links: the L2 norm of the kernel between two channels; "
        "norms, activations and pooling between two layers are passed over. Histogram: one entry an image, its "
        "strongest unit, in half octaves. Selectivity: 1 − entropy of the winners' classes / log₂ of their number."
    )
later.work()
