"""Top-9 patches: what drives each channel of a layer, as in Zeiler and Fergus, Figure 2."""

import streamlit as st

from app.components.picture import picture
from app.pickers import controls
from app.pickers.corpus import pick_corpus
from app.session import shared
from app.views.patches import deferred, indexing
from app.views.patches import export as exports
from app.views.patches import wall as wall_page
from cnnviz.figures.base import charts
from cnnviz.figures.base.encode import rgb_png
from cnnviz.figures.patches.wall import crisp_side, plan_wall, three_by_three

PAGE = {"title": "Top-9 patches", "address": "top-9", "icon": ":material/apps:", "place": 50}

title = controls.heading("Top-9 patches")
network = controls.pick_network(title)
image = controls.pick_image(network)
layer = controls.pick_layer(network)
channels = shared.layer_shapes(network.key, network.model)[layer][0]
unit = controls.pick_unit(channels)
controls.show_device(network)

images, row = pick_corpus(network, indexes=True)
index = deferred.ready_index(network, images, layer)
chosen = wall_page.choose(network, images, index, layer, image, row)
with row:
    rule = controls.bind(
        st.selectbox, "Projection", "rule", "deconvnet", options=["deconvnet", "guided", "gradient"], width=135
    )
if not chosen.channels:
    wall_page.nothing(chosen, layer)
    raise shared.PageEnded
field, input_size = shared.receptive(network.key, layer, network.model), network.model.input_size[1:]
with row:
    size = controls.bind(st.selectbox, "Patches", "size", "enlarged", options=["enlarged", "true scale"], width=135)
columns, rows, side_of = plan_wall(field.size, input_size, channels, size == "true scale")
shown, following = wall_page.leaf(row, chosen, unit, columns * rows)

later = deferred.Later()
where = (network, images, index, layer)
own = deferred.reconstructions(later, *where, unit, rule)
main, side = st.columns([3.1, 1], gap="medium")
with main:
    blocks = wall_page.blocks(later, where, shown, following, chosen, rule, side_of, unit)
    wall_page.show(where, blocks, unit, columns, rule, side_of, size == "enlarged")
with side:
    large_of = crisp_side(field.size, input_size, 84)
    deferred.unit_link(layer, unit)
    large = three_by_three(indexing.patches(*where, unit), large_of)
    picture(rgb_png(large), large.shape[1::-1], f"Top-9 patches of channel {unit}", "unit_large", fill=True)
    large = three_by_three(own, large_of)
    waiting = "Reconstructions are being computed" if own is None else "Reconstructions need the images themselves"
    words = f"Reconstructions of channel {unit}" if own else waiting
    picture(rgb_png(large), large.shape[1::-1], words, "unit_low_large", fill=True)
    st.caption(
        f"Receptive field {field.size[0]}×{field.size[1]} pixels. Values "
        + ", ".join(charts.value_text(w.value) for w in index.top(layer, unit)) + "."
    )  # fmt: skip

wall_page.ranking(index, layer, image, chosen)
exports.offer(network, images, index, layer, rule)
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
