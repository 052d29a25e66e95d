"""First-layer filters: kernels as pictures, and what the chosen one answers to the photograph."""

import streamlit as st

from app.components.picture import picture
from app.components.wall import TileText, show_wall
from app.pickers import bar, controls
from app.session import shared
from app.session.cache import picture_cache
from app.views.patches import indexing
from cnnviz.figures.base import charts, overlay
from cnnviz.figures.base.atlas import Atlas, filters_atlas
from cnnviz.wording import plural

PAGE = {"title": "First-layer filters", "address": "filters", "icon": ":material/grid_on:", "place": 20, "group": "See"}

CONTRASTS = {"Common scale": "common", "Each filter": "each"}

title = controls.heading("First-layer filters")
network = controls.pick_network(title)
image = controls.pick_image(network)

channels = network.input_size[0]
names = ["All", *(charts.channel_name(c, channels) for c in range(channels))]
with bar.row():
    contrast = CONTRASTS[controls.bind_choice("Contrast", "contrast", list(CONTRASTS))]
    shown = "All"
    if channels > 1:
        shown = controls.bind(st.selectbox, "Input channel", "input_channel", "All", options=names, width=170)
found = shared.filters(network, contrast, None if shown == "All" else names.index(shown) - 1)
unit = controls.pick_unit(len(found.weights))
controls.show_device(network)


def choose(item: int, _row: int | None, _col: int | None) -> None:
    """A click on the wall chooses that filter."""
    st.session_state["unit"] = item


def draw_wall() -> tuple[Atlas, list[TileText], tuple[str, str] | None]:
    """All filters with what is told of each, and the ends of the scale; colours of RGB filters have none."""
    lows, highs = found.weights.min(axis=(1, 2, 3)), found.weights.max(axis=(1, 2, 3))
    notes = [f"weights from {low:.3f} to {high:.3f}" for low, high in zip(lows, highs, strict=True)]
    texts = [TileText(f, str(f), f"channel {f}", note) for f, note in enumerate(notes)]
    top = f"{found.scale.max():.3f}" if contrast == "common" else "each filter's maximum"
    return filters_atlas(found.tiles, found.scale), texts, (f"-{top}", top) if found.tiles.shape[3] == 1 else None


recipe = ("filters", network.key, contrast, shown)
wall, texts, ends = picture_cache().get(recipe, draw_wall)
side, main = st.container(key="cnnviz_reversed").columns([1, 2.3], gap="medium")
with main:
    words = f"{plural(len(found.weights), 'filter')} of {found.layer}"
    show_wall(wall, texts, words, "filter_wall", unit, on_pick=choose, ends=ends)
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
