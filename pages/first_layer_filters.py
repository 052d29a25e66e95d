"""First-layer filters: kernels as pictures, and what the chosen one answers to the photograph."""

from typing import TYPE_CHECKING

import streamlit as st

from app.components.picture import picture
from app.components.wall import TileText, show_wall
from app.markdown import as_literal
from app.pickers import bar, comparison, controls
from app.pickers.comparison import Side
from app.session import shared
from app.session.cache import picture_cache
from app.views.patches import indexing
from cnnviz.figures.base import charts, overlay
from cnnviz.figures.base.atlas import Atlas, filters_atlas
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.probes.filters import FirstLayerFilters

PAGE = {"title": "First-layer filters", "address": "filters", "icon": ":material/grid_on:", "place": 20, "group": "See"}

KINDS = ("random", "weights", "net")  # the filters see no image, and are those of one layer
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


def find_filters(side: Side, full: float | None = None) -> "FirstLayerFilters":
    """The filters of one half; `full`: the magnitude of full contrast. The other network may take fewer channels."""
    channel = None if shown == "All" or side.network.input_size[0] != channels else names.index(shown) - 1
    return shared.filters(side.network, contrast, channel, full)


sides = comparison.collect(comparison.pick_sides(network, image, kinds=KINDS), find_filters)
if contrast == "common" and len(sides) > 1:
    full = max(float(found.scale.max()) for found in sides.values())
    sides = {side: find_filters(side, full) for side in sides}
first, *others = sides
found = sides[first]
unit = controls.pick_unit(len(found.weights))
controls.show_device(network)


def choose(item: int, _row: int | None, _col: int | None) -> None:
    """A click on the wall chooses that filter."""
    if item < len(found.weights):
        st.session_state["unit"] = item
    else:
        st.toast(
            f"{as_literal(found.layer)}, on the left, has no channel {item}: its last is {len(found.weights) - 1}."
        )


def draw_wall(seen: "FirstLayerFilters") -> tuple[Atlas, list[TileText], tuple[str, str] | None]:
    """All filters with what is told of each, and the ends of the scale; colours of RGB filters have none."""
    lows, highs = seen.weights.min(axis=(1, 2, 3)), seen.weights.max(axis=(1, 2, 3))
    notes = [f"weights from {low:.3f} to {high:.3f}" for low, high in zip(lows, highs, strict=True)]
    texts = [TileText(f, str(f), f"channel {f}", note) for f, note in enumerate(notes)]
    top = f"{seen.scale.max():.3f}" if contrast == "common" else "each filter's maximum"
    return filters_atlas(seen.tiles, seen.scale), texts, (f"-{top}", top) if seen.tiles.shape[3] == 1 else None


def show_filters(side: Side) -> None:
    """The wall of one half."""
    seen, group = sides[side], comparison.group_of(sides)
    recipe = ("filters", side.network.key, contrast, shown, float(seen.scale.max()))
    wall, texts, ends = picture_cache().get(recipe, lambda: draw_wall(seen))
    words = side.alt(f"{plural(len(seen.weights), 'filter')} of {seen.layer}")
    show_wall(wall, texts, words, side.key("filter_wall"), unit, on_pick=choose, ends=ends, group=group)
    if unit >= len(seen.weights):
        st.caption(f"{as_literal(seen.layer)} has no channel {unit}: its last is {len(seen.weights) - 1}.")


if others:
    comparison.show(sides, show_filters)
    indexing.unit_link(found.layer, unit)
else:
    beside, main = st.container(key="cnnviz_reversed").columns([1, 2.3], gap="medium")
    with main:
        show_filters(first)
    with beside:
        indexing.unit_link(found.layer, unit)
        tile = picture_cache().get(
            ("filter card", network.key, contrast, shown, unit), lambda: overlay.filter_card(found, unit, 200)
        )
        picture(tile, (200, 200), "The chosen filter", "filter_card")
        weights = found.weights[unit]
        st.caption(charts.kernel_sentence(weights, float(found.scale[unit]), found.tiles.shape[3] == 3))
        response = shared.maps(network, image, found.layer)[unit]
        png, size = picture_cache().get(
            (network.key, image, "response", unit), lambda: overlay.signed_map(response, 260)
        )
        picture(png, size, "The filter's response to the photograph", "filter_response", fill=True)
        st.caption(charts.range_sentence("Its response to the photograph, blue below 0, red above", response))

st.write(
    "Each tile is the kernel of one channel: it responds most strongly to what looks like it. "
    "**Notice** oriented edges, colour opponents and blobs in a trained network, and noise in a random one."
)
with st.expander("Formula and source"):
    st.latex(r"y_f(i,j)=\sum_{c,u,v} w_f(c,u,v)\,x_c(s\,i+u-p,\;s\,j+v-p)+b_f")
    st.write("Krizhevsky, Sutskever, Hinton 2012, Figure 3. The tile shows w, scaled so that 0 is mid-gray.")
