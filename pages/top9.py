"""Top-9 patches: what drives each channel of a layer, as in Zeiler and Fergus, Figure 2."""

import streamlit as st

from app.pickers import controls
from app.pickers.corpus import pick_corpus
from app.session import shared
from app.url.address import bind
from app.views.patches import indexing, wall
from app.views.patches.deferred import Deferred
from cnnviz.data.grouping import describe_grouping

RULES = ["deconvnet", "guided", "gradient"]

PAGE = {"title": "Top-9 patches", "address": "top-9", "icon": ":material/apps:", "place": 40, "group": "See"}

title = controls.heading("Top-9 patches")
network = controls.pick_network(title)
image = controls.pick_image(network)
layer = controls.pick_layer(network)
channels = shared.layer_shapes(network)[layer][0]
unit = controls.pick_unit(channels)
controls.show_device(network)

images, row = pick_corpus(network, indexes=True)
indexed = indexing.require_layer(network, images, layer)
chosen = wall.choose(indexed, image, row)
with row:
    rule = bind(st.selectbox, "Projection", "rule", "deconvnet", options=["deconvnet", "guided", "gradient"], width=135)
if not chosen.channels:
    wall.explain_empty(chosen, layer)
    raise shared.PageEnded
with row:
    size = bind(st.selectbox, "Patches", "size", "enlarged", options=["enlarged", "true scale"], width=135)
page, following = wall.pick_page(row, indexed, chosen, unit, rule, size == "true scale")

later = Deferred()
main, beside = st.columns([3.1, 1], gap="medium")
with beside:
    indexing.draw_unit(later, indexed, unit, rule)
with main:
    wall.show(later, page, following, unit)

winners = describe_grouping(images.group)
wall.ranking(indexed, image, chosen)
wall.offer_files(indexed, rule)
st.write(
    f"Left of each block: the patches with the nine strongest activations, {winners}. Right: the same units "
    "projected back to pixels. **Notice** what the nine have in common, and which part of the patch lights up."
)
with st.expander("Formula and source"):
    st.write(
        "Zeiler and Fergus, ECCV 2014, section 2.1 and Figure 2. All other activations are set to zero; the signal "
        "passes transposed filters, max-pooling switches and, under the deconvnet rule, a ReLU in the backward pass. "
        f"Gradient masks by the forward input instead; guided does both. Winners: {winners}. Selectivity: 1 − entropy "
        "of the winners' classes / log₂ of their number. Dead: no unit of any image above 0. True scale: patches of "
        "all layers of a network are drawn at one scale."
    )
later.work()
