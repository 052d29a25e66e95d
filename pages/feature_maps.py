"""Feature maps: a layer as one wall, the chosen map over the photograph, one pixel's receptive field."""

import numpy as np
import streamlit as st

from app.components.picture import Frame, picture
from app.pickers import controls
from app.session import shared
from app.views.patches import deferred, indexing
from cnnviz.figures.base import charts, overlay
from cnnviz.figures.base.mosaic import maps_mosaic

PAGE = {"title": "Feature maps", "address": "feature-maps", "icon": ":material/layers:", "place": 40}

SCALES = {"Common": "common", "Each map": "each"}

title = controls.heading("Feature maps")
network = controls.pick_network(title)
image = controls.pick_image(network)
layer = controls.pick_layer(network)
key, model = network.key, network.model
maps = shared.maps(key, image, layer, model)
strength = maps.max(axis=(1, 2))
unit = controls.pick_unit(len(maps), int(np.argmax(strength)))
row, col = controls.pick_position(maps[unit])
controls.show_device(network)

most = [n for n in (64, 256) if n < len(maps)] + [len(maps)]
with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
    scale = SCALES[controls.bind_choice("Scale", "scale", list(SCALES))]
    order = controls.bind_choice("Order", "order", ["Strongest first", "By index"])
    count = controls.bind(st.selectbox, "Maps", "count", most[0], options=most, width=110)

ranked = np.argsort(-strength, kind="stable") if order == "Strongest first" else np.arange(len(maps))
chosen = [int(c) for c in ranked[: int(count)]]


def choose_map(x: float, y: float) -> None:
    """A click on the wall chooses that channel."""
    if (item := wall.item_at(x, y)) is not None:
        st.session_state["unit"] = item
        st.session_state.pop("row", None)
        st.session_state.pop("col", None)


def choose_pixel(x: float, y: float) -> None:
    """A click on the overlay chooses the unit under it."""
    unit_row, unit_col = overlay.unit_at(x, y, maps.shape[1:], model.input_size[1:])
    st.session_state["row"], st.session_state["col"] = unit_row, unit_col


recipe = (key, image, layer)
wall = shared.drawn((*recipe, "wall", scale, order, count), lambda: maps_mosaic(maps, chosen, scale, 590, 720))
side, main, drives = st.columns([0.95, 2.5, 0.85], gap="medium")
with main:
    frames = [Frame(left - 1, top - 1, w + 2, h + 2) for left, top, w, h in [wall.box(unit)]] if unit in chosen else []
    picture(wall.png, wall.size, f"Feature maps of {layer}", "map_wall", frames, choose_map)
    st.caption(charts.scale_sentence(maps, scale))
with side:
    deferred.unit_link(layer, unit, row, col)
    seen = shared.received(key, image, model)
    png, size = shared.drawn((*recipe, "overlay", unit), lambda: overlay.map_over_image(seen, maps[unit]))
    field = shared.receptive(key, layer, model)
    frame = overlay.scale_box(field.box(row, col), seen.shape[:2], size)
    picture(png, size, "The map over the network's input", "map_overlay", [Frame(*frame)], choose_pixel, fill=True)
    st.caption(charts.unit_sentence(maps[unit, row, col], field.size, field.stride[0], maps[unit].size))
    png, size = shared.drawn((*recipe, "map", unit), lambda: overlay.large_map(maps[unit], 240, (row, col)))
    picture(png, size, "The chosen map enlarged", "large_map", fill=True)
with drives:
    indexing.unit_patches(network, layer, unit)

st.write(
    "Each tile is one channel's answer to the photograph; bright means strong. **Notice** how early layers keep the "
    "picture's outline, and deep ones answer in a few places only."
)
with st.expander("Formula and source"):
    st.write(
        "Values are the layer's own output, a convolution's before its ReLU; what is below 0 is drawn as 0. The "
        "receptive field is propagated through the network's graph (Araujo, Norris, Sim, Distill 2019)."
    )
