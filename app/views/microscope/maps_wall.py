"""The wall of feature maps: a layer's channels on the photograph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from app.components.wall import TileText, show_wall
from app.markdown import as_literal
from app.pickers import bar, comparison, controls
from app.pickers.comparison import Side
from app.session import shared
from app.session.cache import picture_cache
from app.session.networks import Network
from app.views.microscope.look import Look, choose_unit
from cnnviz.figures.base import charts
from cnnviz.figures.base.atlas import Atlas, find_peak, maps_atlas

SCALES = {"Common": "common", "Each map": "each"}
ORDERS = ["Strongest first", "By index"]


@dataclass(frozen=True, slots=True)
class MapsWall:
    """All chosen maps, what is told of each, the ends of the scale, and what the colours mean."""

    atlas: Atlas
    texts: list[TileText]
    ends: tuple[str, str]
    colours: str


def show(network: Network, look: Look) -> None:
    """The wall and its controls, or two walls side by side; a click chooses the channel, and the unit under the
    pointer."""
    sides = comparison.collect(comparison.pick_sides(network, look.image, look.layer), lambda side: side.maps)
    most = [n for n in (64, 256) if n < len(look.maps)] + [len(look.maps)]
    with bar.row():
        scale = SCALES[controls.bind_choice("Scale", "scale", list(SCALES))]
        order = controls.bind(st.selectbox, "Order", "order", ORDERS[0], options=ORDERS, width=168)
        count = int(controls.bind(st.selectbox, "Maps", "count", most[0], options=most, width=76))
    chosen, group = _rank(look.maps, order)[:count], comparison.group_of(sides)
    peak = max(map(find_peak, sides.values()))

    def draw(side: Side) -> None:
        maps, shown = sides[side], chosen
        if side.second:
            most = count if count < len(look.maps) else len(maps)
            shown = comparison.order_alike(chosen, _rank(maps, order), most)
        recipe = (side.network.key, side.image, side.layer, "wall", scale, peak, tuple(shown))
        wall = picture_cache().get(recipe, lambda: _draw(side, maps, shown, scale, peak))

        def pick(item: int, row: int | None, col: int | None) -> None:
            _choose_on(look, side, maps, item, row, col)

        place = comparison.same_place(look.row, look.col, look.maps.shape[1:], maps.shape[1:])
        words, key = side.alt(f"Feature maps of {side.layer}"), side.key("map_wall")
        show_wall(wall.atlas, wall.texts, words, key, look.unit, place, pick, wall.ends, wall.colours, group=group)
        if look.unit >= len(maps):
            st.caption(f"{as_literal(side.layer)} has no channel {look.unit}: its last is {len(maps) - 1}.")

    comparison.show(sides, draw)


def _choose_on(look: Look, side: Side, maps: np.ndarray, item: int, row: int | None, col: int | None) -> None:
    """A click on either wall; on the right one it means the unit over the same place in the left one's map."""
    if item >= len(look.maps):
        last = len(look.maps) - 1
        st.toast(f"{as_literal(look.layer)}, on the left, has no channel {item}: its last is {last}.")
        return
    if side.second and row is not None and col is not None:
        row, col = comparison.same_place(row, col, maps.shape[1:], look.maps.shape[1:])
    choose_unit(item, row, col)


def _rank(maps: np.ndarray, order: str) -> list[int]:
    strength = maps.max(axis=(1, 2))
    return (np.argsort(-strength, kind="stable") if order == ORDERS[0] else np.arange(len(maps))).tolist()


def _draw(side: Side, maps: np.ndarray, chosen: list[int], scale: str, peak: float) -> MapsWall:
    classes = shared.class_names(side.network, side.layer)
    top = "each map's maximum" if scale == "each" else charts.value_text(max(peak, 0))
    texts = [TileText(c, str(c), _name(c, classes), _describe(maps[c])) for c in chosen]
    return MapsWall(maps_atlas(maps, chosen, scale, peak), texts, ("0", top), charts.scale_sentence(maps))


def _name(channel: int, classes: list[str]) -> str:
    """What a map is called when it is pointed at; in the layer of the classes with its class."""
    return f"channel {channel}" + (f" · {classes[channel]}" if classes else "")


def _describe(values: np.ndarray) -> str:
    """The maximum of a map, or that it is silent."""
    words = f"maximum {charts.value_text(float(values.max()))}"
    return " · ".join(filter(None, [words, charts.describe_silence(values)]))
