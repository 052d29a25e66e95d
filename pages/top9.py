"""Top-9 patches: what drives each channel of a layer, as in Zeiler and Fergus, Figure 2."""

from functools import partial

import streamlit as st

from app.pickers import comparison
from app.pickers.corpus import pick_corpus
from app.session import shared
from app.url.address import bind
from app.views.microscope import patches_wall, unit_column
from app.views.microscope.view import open_view
from app.views.patches import indexing
from app.views.preferred import unit_picture
from cnnviz.data.grouping import describe_grouping

PAGE = {"title": "Top-9 patches", "address": "top-9", "icon": ":material/apps:", "place": 40, "group": "See"}

KINDS = ("random", "weights", "net", "layer")  # the photograph only stands beside the images that are searched

with open_view("Top-9 patches", "Patches") as view:
    look = view.look
    with view.columns["wall"]:
        sides = comparison.pick_sides(view.network, look.image, look.layer, KINDS)
        images, row = pick_corpus(view.network, indexes=True)
        indexed = indexing.require_layer(view.network, images, look.layer)
        chosen = patches_wall.choose(indexed, look.image, row)
        if not chosen.channels:
            patches_wall.explain_empty(chosen, look.layer)
            raise shared.PageEnded
        with row:
            size = bind(st.selectbox, "Patches", "size", "enlarged", options=["enlarged", "true scale"], width=123)
        page, following = patches_wall.pick_page(row, indexed, chosen, look.unit, view.rule, size == "true scale")
        patches_wall.show(view.later, sides, page, following, look.unit)
    with view.columns["unit"]:
        preferred = partial(unit_picture.show, indexed, look)
        unit_column.show_winners(view.later, indexed, look.unit, view.rule, preferred)
        unit_column.show_sentences(indexed, look.unit, look.image)
        unit_column.links(view.later, indexed, look.unit)
    winners = describe_grouping(images.group)
    patches_wall.ranking(indexed, look.image, chosen)
    patches_wall.offer_files(indexed, view.rule)
    st.write(
        f"Left of each block: the patches with the nine strongest activations, {winners}. Right: the same units "
        "projected back to pixels. **Notice** what the nine have in common, and which part of the patch lights up."
    )
    with st.expander("Formula and source"):
        st.write(
            "Zeiler and Fergus, ECCV 2014, section 2.1 and Figure 2. All other activations are set to zero; the signal "
            "passes transposed filters, max-pooling switches and, under the deconvnet rule, a ReLU in the backward "
            "pass. Gradient masks by the forward input instead; guided does both. Winners: "
            f"{winners}. Selectivity: 1 − entropy of the winners' classes / log₂ of their number. Dead: no unit of any "
            "image above 0. True scale: patches of all layers of a network are drawn at one scale."
        )
