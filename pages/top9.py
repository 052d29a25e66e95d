"""Top-9 patches: what drives each channel of a layer, as in Zeiler and Fergus, Figure 2."""

import streamlit as st

from app.components.picture import picture
from app.pickers import controls
from app.pickers.corpus import pick_corpus
from app.session import shared
from app.url.address import bind
from app.views.patches import indexing, wall
from app.views.patches.deferred import Deferred

RULES = ["deconvnet", "guided", "gradient"]

PAGE = {"title": "Top-9 patches", "address": "top-9", "icon": ":material/apps:", "place": 50}

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
columns, rows, side = wall.plan(indexed, channels, size == "true scale")
shown, following = wall.pick_page(row, chosen, unit, columns * rows)

later = Deferred()
own = later.get(indexed.name(unit, rule), lambda: indexed.reconstructions(unit, rule))
main, beside = st.columns([3.1, 1], gap="medium")
with main:
    page = wall.WallPage(indexed, shown, chosen, columns, side, rule, fill=size == "enlarged")
    wall.show(later, page, following, unit)
with beside:
    indexing.unit_link(layer, unit)
    large = indexing.small_side(indexed, 84)
    picture(*indexed.tile_png(unit, large), f"Top-9 patches of channel {unit}", "unit_large", fill=True)
    waiting = "Reconstructions are being computed" if own is None else "Reconstructions need the images themselves"
    words = f"Reconstructions of channel {unit}" if own else waiting
    low = indexing.draw_empty(large) if own is None else indexed.tile_png(unit, large, rule)
    picture(*low, words, "unit_low_large", fill=True)
    st.caption(wall.write_values(indexed, unit))

wall.ranking(indexed, image, chosen)
wall.offer_files(indexed, rule)
st.write(
    "Left of each block: the patches with the nine strongest activations, one an image. Right: the same units "
    "projected down to pixels. **Notice** what the nine have in common, and which part of the patch lights up."
)
with st.expander("Formula and source"):
    st.write(
        "Zeiler and Fergus, ECCV 2014, section 2.1 and Figure 2. All other activations are set to zero; the signal "
        "passes transposed filters, max-pooling switches and, under the deconvnet rule, a ReLU on the way down. "
        "Gradient masks by the forward input instead; guided does both. One winner an image. Selectivity: 1 − entropy "
        "of the winners' classes / log₂ of their number. Dead: no unit of any image above 0. True scale: patches of "
        "all layers of a network are drawn at one scale."
    )
later.work()
