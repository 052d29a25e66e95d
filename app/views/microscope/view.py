"""The microscope: one view of a unit at four densities, feature maps, patches, preferred inputs and the unit itself,
with the same choices and the same columns left and right of the wall; and the ways between them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import streamlit as st

from app.pickers import bar, controls
from app.session import shared
from app.session.networks import Network
from app.url import address
from app.views.microscope import image_column
from app.views.microscope.look import Look
from app.views.patches.deferred import Deferred

DENSITIES = {  # {name: file of its page}
    "Maps": "feature_maps",
    "Patches": "top9",
    "Preferred": "preferred_inputs",
    "Unit": "unit",
}
COLUMNS = ("image", "wall", "unit")


@dataclass(frozen=True, slots=True)
class MicroscopeView:
    """What the page shows, and where. `network`, `look`: the choices of the bar; `columns`: {name: container}, see
    COLUMNS; `later`: what comes after the first paint."""

    network: Network
    look: Look
    rule: str
    columns: dict[str, Any] = field(repr=False)
    later: Deferred = field(repr=False)


@contextmanager
def open_view(title: str, density: str) -> Iterator[MicroscopeView]:
    """The view of one density: pickers, the ways to the others, the column of the image; then the page fills the wall
    and the column of the unit, and what is missing is made, also where the page has ended early."""
    heading = controls.heading(title)
    with bar.row():
        switch = st.container(key="densities", width="content").empty()
    network = controls.pick_network(heading)
    image = controls.pick_image(network)
    layer = controls.pick_layer(network)
    maps = shared.maps(network, image, layer)
    unit = controls.pick_unit(len(maps), int(np.argmax(maps.max(axis=(1, 2)))))
    controls.show_device(network)
    _draw_switch(switch, density)
    with st.container(key="microscope"):
        columns = {name: st.container(key=f"microscope_{name}", gap="small") for name in COLUMNS}
    later = Deferred()
    with columns["image"]:
        look, rule = image_column.show(later, network, Look(image, layer, unit, maps))
    before = address.link()
    try:
        yield MicroscopeView(network, look, rule, columns, later)
    except shared.PageEnded:
        pass
    if address.link() != before:
        _draw_switch(switch, density)
    later.work()


def _draw_switch(place: Any, chosen: str) -> None:
    """The densities as links, which take the choices along."""
    with place.container(horizontal=True, gap=None, wrap=False, width="content"):
        for name, page in DENSITIES.items():
            label = f"**{name}**" if name == chosen else name
            st.page_link(f"../pages/{page}.py", label=label, query_params=address.link(), width="content")
