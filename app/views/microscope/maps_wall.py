"""The wall of feature maps: a layer's channels on the photograph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from app.components.wall import TileText, show_wall
from app.pickers import bar, controls
from app.session import shared
from app.session.cache import picture_cache
from app.session.networks import Network
from app.views.microscope.look import Look, choose_unit
from cnnviz.figures.base import charts
from cnnviz.figures.base.atlas import Atlas, maps_atlas

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
    """The wall and its controls; a click chooses the channel, and the unit under the pointer."""
    most = [n for n in (64, 256) if n < len(look.maps)] + [len(look.maps)]
    with bar.row():
        scale = SCALES[controls.bind_choice("Scale", "scale", list(SCALES))]
        order = controls.bind(st.selectbox, "Order", "order", ORDERS[0], options=ORDERS, width=140)
        count = int(controls.bind(st.selectbox, "Maps", "count", most[0], options=most, width=76))
    wall = picture_cache().get(
        (network.key, look.image, look.layer, "wall", scale, order, count),
        lambda: _draw(network, look, scale, order, count),
    )
    words = f"Feature maps of {look.layer}"
    place = (look.row, look.col)
    show_wall(wall.atlas, wall.texts, words, "map_wall", look.unit, place, choose_unit, wall.ends, wall.colours)


def _draw(network: Network, look: Look, scale: str, order: str, count: int) -> MapsWall:
    maps, classes = look.maps, shared.class_names(network, look.layer)
    strength = maps.max(axis=(1, 2))
    ranked = np.argsort(-strength, kind="stable") if order == ORDERS[0] else np.arange(len(maps))
    chosen = [int(c) for c in ranked[:count]]
    top = "each map's maximum" if scale == "each" else charts.value_text(max(float(maps.max()), 0))
    texts = [TileText(c, str(c), _name(c, classes), _describe(maps[c])) for c in chosen]
    return MapsWall(maps_atlas(maps, chosen, scale), texts, ("0", top), charts.scale_sentence(maps))


def _name(channel: int, classes: list[str]) -> str:
    """What a map is called when it is pointed at; in the layer of the classes with its class."""
    return f"channel {channel}" + (f" · {classes[channel]}" if classes else "")


def _describe(values: np.ndarray) -> str:
    """The maximum of a map, or that it is silent."""
    words = f"maximum {charts.value_text(float(values.max()))}"
    return " · ".join(filter(None, [words, charts.describe_silence(values)]))
