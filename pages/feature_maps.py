"""Feature maps: a layer as one wall, the chosen map over the photograph, one pixel's receptive field."""

from typing import NamedTuple

import numpy as np
import streamlit as st

from app.components.picture import Frame, Label, picture
from app.pickers import controls
from app.session import shared
from app.session.cache import picture_cache
from app.views.patches import indexing
from cnnviz.figures.base import charts, overlay
from cnnviz.figures.base.mosaic import Mosaic, maps_mosaic


class ShownUnit(NamedTuple):
    """What the page shows of one unit: its map's frame in the wall, the map over the photograph with the frame of its
    receptive field, a sentence, and the map enlarged."""

    frames: list[Frame]
    overlay: indexing.Picture
    field: Frame
    sentence: str
    large: indexing.Picture


PAGE = {"title": "Feature maps", "address": "feature-maps", "icon": ":material/layers:", "place": 40}

SCALES = {"Common": "common", "Each map": "each"}

title = controls.heading("Feature maps")
network = controls.pick_network(title)
image = controls.pick_image(network)
layer = controls.pick_layer(network)
maps = shared.maps(network, image, layer)
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
    unit_row, unit_col = overlay.unit_at(x, y, maps.shape[1:], network.input_size[1:])
    st.session_state["row"], st.session_state["col"] = unit_row, unit_col


def draw_wall() -> tuple[Mosaic, str]:
    """All chosen maps, and what their colours mean."""
    return maps_mosaic(maps, chosen, scale, 590, 720), charts.scale_sentence(maps, scale)


def draw_unit() -> ShownUnit:
    """What belongs to the chosen unit; pictures of its channel serve all units of it."""
    seen, field, values = shared.received(network, image), shared.receptive(network, layer), maps[unit]
    png, size = picture_cache().get((*name, "overlay", unit), lambda: overlay.map_over_image(seen, values))
    box = wall.box(unit)
    return ShownUnit(
        [Frame(box[0] - 1, box[1] - 1, box[2] + 2, box[3] + 2)] if box else [],
        (png, size),
        Frame(*overlay.scale_box(field.box(row, col), seen.shape[:2], size)),
        charts.unit_sentence(values[row, col], field.size, field.stride[0], values.size),
        overlay.large_map(values, 240, (row, col)),
    )


name = (network.key, image, layer)
wall, colours = picture_cache().get((*name, "wall", scale, order, count), draw_wall)
shown = picture_cache().get((*name, "unit", scale, order, count, unit, row, col), draw_unit)
side, main, drives = st.columns([0.95, 2.5, 0.85], gap="medium")
with main:
    picture(wall.png, wall.size, f"Feature maps of {layer}", "map_wall", shown.frames, choose_map)
    st.caption(colours)
with side:
    indexing.unit_link(layer, unit, row, col)
    words = "The map over the network's input"
    png, size = shown.overlay
    labels = [] if (maps[unit] > 0).any() else [Label(size[0] / 2 - 50, size[1] / 2 - 10, size[0] / 2, overlay.ZERO)]
    picture(png, size, words, "map_overlay", [shown.field], choose_pixel, fill=True, labels=labels)
    st.caption(shown.sentence)
    png, size = shown.large
    picture(png, size, "The chosen map enlarged", "large_map", fill=True)
with drives:
    indexing.unit_patches(network, layer, unit)

st.write(
    "Each tile is one channel's response to the photograph; bright means strong. **Notice** how early layers keep the "
    "picture's outline, and deep ones respond in a few places only."
)
with st.expander("Formula and source"):
    st.write(
        "Values are the layer's own output, a convolution's before its ReLU; what is below 0 is drawn as 0. The "
        "receptive field is propagated through the network's graph (Araujo, Norris, Sim, Distill 2019)."
    )
