"""Feature maps: a layer as one wall, the chosen map over the photograph, one pixel's receptive field."""

from typing import NamedTuple

import numpy as np
import streamlit as st

from app.components.picture import Frame, Label, picture
from app.components.wall import TileText, show_wall
from app.pickers import bar, comparison, controls
from app.pickers.comparison import Side
from app.session import shared
from app.session.cache import picture_cache
from app.views.patches import indexing
from cnnviz.figures.base import charts, overlay
from cnnviz.figures.base.atlas import Atlas, find_peak, maps_atlas


class ShownUnit(NamedTuple):
    """What the page shows of one unit: its map over the photograph with the frame of its receptive field, a sentence,
    and the map enlarged."""

    overlay: indexing.Picture
    field: Frame
    sentence: str
    large: indexing.Picture


PAGE = {"title": "Feature maps", "address": "feature-maps", "icon": ":material/layers:", "place": 30, "group": "See"}

SCALES = {"Common": "common", "Each map": "each"}

title = controls.heading("Feature maps")
network = controls.pick_network(title)
image = controls.pick_image(network)
layer = controls.pick_layer(network)
maps = shared.maps(network, image, layer)
strength = maps.max(axis=(1, 2))
unit = controls.pick_unit(len(maps), int(np.argmax(strength)))
sides = comparison.collect(comparison.pick_sides(network, image, layer), lambda side: side.maps)
controls.show_device(network)

most = [n for n in (64, 256) if n < len(maps)] + [len(maps)]
with bar.row():
    scale = SCALES[controls.bind_choice("Scale", "scale", list(SCALES))]
    order = controls.bind_choice("Order", "order", ["Strongest first", "By index"])
    count = controls.bind(st.selectbox, "Maps", "count", most[0], options=most, width=110)
row, col = controls.pick_position(bar.row(), maps[unit])

ranked = np.argsort(-strength, kind="stable") if order == "Strongest first" else np.arange(len(maps))
chosen = [int(c) for c in ranked[: int(count)]]


def choose_unit(item: int, unit_row: int | None, unit_col: int | None) -> None:
    """A click on the wall chooses that channel, and the unit under the pointer."""
    st.session_state["unit"] = item
    for key, value in (("row", unit_row), ("col", unit_col)):
        if value is None:
            st.session_state.pop(key, None)
        else:
            st.session_state[key] = value


def choose_pixel(x: float, y: float) -> None:
    """A click on the overlay chooses the unit under it."""
    unit_row, unit_col = overlay.unit_at(x, y, maps.shape[1:], network.input_size[1:])
    st.session_state["row"], st.session_state["col"] = unit_row, unit_col


peak = max(map(find_peak, sides.values()))


def draw_wall(side: Side) -> tuple[Atlas, list[TileText], tuple[str, str], str]:
    """All chosen maps with what is told of each, the ends of the scale, and what the colours mean."""
    values, classes = sides[side], shared.class_names(side.network, side.layer)
    top = "each map's maximum" if scale == "each" else charts.value_text(peak)
    shown, strengths = chosen, values.max(axis=(1, 2))
    if side.second:
        ranks = np.argsort(-strengths, kind="stable") if order == "Strongest first" else np.arange(len(values))
        shown = comparison.order_alike(chosen, ranks.tolist(), int(count) if int(count) < len(maps) else len(values))
    texts = [TileText(c, str(c), name_map(c, classes), f"maximum {charts.value_text(strengths[c])}") for c in shown]
    return maps_atlas(values, shown, scale, peak), texts, ("0", top), charts.scale_sentence(values)


def name_map(channel: int, classes: list[str]) -> str:
    """What a map is called when it is pointed at; in the layer of the classes with its class."""
    return f"channel {channel}" + (f" · {classes[channel]}" if classes else "")


def draw_unit() -> ShownUnit:
    """What belongs to the chosen unit; pictures of its channel serve all units of it."""
    seen, field, values = shared.received(network, image), shared.receptive(network, layer), maps[unit]
    png, size = picture_cache().get(
        (network.key, image, layer, "overlay", unit), lambda: overlay.map_over_image(seen, values)
    )
    return ShownUnit(
        (png, size),
        Frame(*overlay.scale_box(field.box(row, col), seen.shape[:2], size)),
        charts.unit_sentence(values[row, col], field.size, field.stride[0], values.size),
        overlay.large_map(values, 240, (row, col)),
    )


def show_maps(side: Side) -> None:
    """The wall of one half. A click on the right one means the unit over the same place in the left one's map."""
    values = sides[side]
    recipe = (side.network.key, side.image, side.layer, "wall", scale, order, count, peak, tuple(chosen))
    wall, texts, ends, colours = picture_cache().get(recipe, lambda: draw_wall(side))

    def pick(item: int, at_row: int | None, at_col: int | None) -> None:
        if item >= len(maps):
            st.toast(f"{layer}, on the left, has no channel {item}: its last is {len(maps) - 1}.")
            return
        if at_row is not None and at_col is not None:
            at_row, at_col = comparison.same_place(at_row, at_col, values.shape[1:], maps.shape[1:])
        choose_unit(item, at_row, at_col)

    place = comparison.same_place(row, col, maps.shape[1:], values.shape[1:])
    words, key, group = side.alt(f"Feature maps of {side.layer}"), side.key("map_wall"), comparison.group_of(sides)
    show_wall(wall, texts, words, key, unit, place, pick, ends, "" if group else colours, group=group)
    if group:  # below, so that both walls have the same room
        st.caption(colours)
    if unit >= len(values):
        st.caption(f"{side.layer} has no channel {unit}: its last is {len(values) - 1}.")


first, *others = sides
if others:
    comparison.show(sides, show_maps)
    indexing.unit_link(layer, unit, row, col)
else:
    shown = picture_cache().get((network.key, image, layer, "unit", unit, row, col), draw_unit)
    beside, main, drives = st.columns([0.95, 2.5, 0.85], gap="medium")
    with main:
        show_maps(first)
    with beside:
        indexing.unit_link(layer, unit, row, col)
        words = "The map over the network's input"
        png, size = shown.overlay
        labels = (
            [] if (maps[unit] > 0).any() else [Label(size[0] / 2 - 50, size[1] / 2 - 10, size[0] / 2, overlay.ZERO)]
        )
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
