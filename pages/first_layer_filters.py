"""First-layer filters: kernels as pictures, and what the chosen one answers to the photograph."""

import streamlit as st

from app.components.picture import Frame, picture
from app.pickers import controls
from app.session import shared
from app.session.cache import picture_cache
from app.views.patches import indexing
from cnnviz.figures.base import charts, overlay
from cnnviz.figures.base.mosaic import tiles_mosaic
from cnnviz.wording import plural

PAGE = {"title": "First-layer filters", "address": "filters", "icon": ":material/grid_on:", "place": 30}

CONTRASTS = {"Common scale": "common", "Each filter": "each"}

title = controls.heading("First-layer filters")
network = controls.pick_network(title)
image = controls.pick_image(network)

channels = network.input_size[0]
names = ["All", *(charts.channel_name(c, channels) for c in range(channels))]
with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
    contrast = CONTRASTS[controls.bind_choice("Contrast", "contrast", list(CONTRASTS))]
    shown = "All"
    if channels > 1:
        shown = controls.bind(st.selectbox, "Input channel", "input_channel", "All", options=names, width=170)
found = shared.filters(network, contrast, None if shown == "All" else names.index(shown) - 1)
unit = controls.pick_unit(len(found.weights))
controls.show_device(network)


def choose(x: float, y: float) -> None:
    """A click on the wall chooses that filter."""
    if (item := wall.item_at(x, y)) is not None:
        st.session_state["unit"] = item


recipe = ("filters", network.key, contrast, shown)
wall = picture_cache().get(recipe, lambda: tiles_mosaic(charts.signed_tiles(found.tiles), width=700, height=600))
side, main = st.columns([1, 2.3], gap="medium")
with main:
    left, top, width, height = wall.box(unit)
    picture(
        wall.png,
        wall.size,
        f"{plural(len(found.weights), 'filter')} of {found.layer}",
        "filter_wall",
        [Frame(left - 1, top - 1, width + 2, height + 2)],
        choose,
    )
with side:
    indexing.unit_link(found.layer, unit)
    tile = picture_cache().get((*recipe, unit), lambda: overlay.filter_card(found, unit, 200))
    picture(tile, (200, 200), "The chosen filter", "filter_card")
    weights = found.weights[unit]
    st.caption(charts.kernel_sentence(weights, float(found.scale[unit]), found.tiles.shape[3] == 3))
    response = shared.maps(network, image, found.layer)[unit]
    png, size = picture_cache().get((network.key, image, "response", unit), lambda: overlay.signed_map(response, 260))
    picture(png, size, "The filter's response to the photograph", "filter_response", fill=True)
    st.caption(charts.range_sentence("Its response to the photograph, blue below 0, red above", response))

st.write(
    "Each tile is the kernel of one channel: it responds most strongly to what looks like it. "
    "**Notice** oriented edges, colour opponents and blobs in a trained network, and noise in a random one."
)
with st.expander("Formula and source"):
    st.latex(r"y_f(i,j)=\sum_{c,u,v} w_f(c,u,v)\,x_c(s\,i+u-p,\;s\,j+v-p)+b_f")
    st.write("Krizhevsky, Sutskever, Hinton 2012, Figure 3. The tile shows w, scaled so that 0 is mid-gray.")
