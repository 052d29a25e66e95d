"""Left of the wall: the photograph as the network receives it with the unit's receptive field, and what in this image
drives the unit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import streamlit as st

from app.components.notes import note_unjudged
from app.components.picture import Frame, Label, picture
from app.pickers import controls
from app.session import shared
from app.session.cache import picture_cache
from app.session.networks import Network
from app.views.microscope.look import Look, choose_unit
from app.views.patches import indexing
from app.views.patches.deferred import Deferred
from cnnviz.figures.base import charts, overlay
from cnnviz.figures.patches.charts import RULES
from cnnviz.figures.patches.wall import reconstruction_rgb

LETTERS = 7  # pixels that half a letter's width takes at most, to centre words


def show(later: Deferred, network: Network, look: Look) -> tuple[Look, str]:
    """Both pictures with their controls; returns what is looked at with the unit's place, and the rule of the
    projection."""
    name, photograph = st.empty(), st.container(gap=None)
    projected, choices = st.container(gap=None), st.container(key="unit_choices", horizontal=True, gap="xsmall")
    with choices:
        rule = controls.bind(st.selectbox, "Projection", "rule", _suggest_rule(network), options=list(RULES))
        place = st.container(key="unit_place", horizontal=True, gap="xsmall", wrap=False)
    row, col = controls.pick_position(place, look.map)
    look = replace(look, row=row, col=col)
    with name:
        indexing.unit_link(look.layer, look.unit, row, col)
    with photograph:
        _show_photograph(network, look)
    with projected:
        _show_projection(later, network, look, rule)
    return look, rule


def _suggest_rule(network: Network) -> str:
    from cnnviz.attribution.reconstruct import suggest_rule

    return picture_cache().get((network.key, "suggested rule"), lambda: suggest_rule(network.model))


def _show_photograph(network: Network, look: Look) -> None:
    seen, field = shared.received(network, look.image), shared.receptive(network, look.layer)
    png, size = _encode(network, look)

    def choose_pixel(x: float, y: float) -> None:
        """A click chooses the unit under it."""
        choose_unit(look.unit, *overlay.unit_at(x, y, look.map.shape, network.input_size[1:]))

    frame = Frame(*overlay.scale_box(field.box(look.row, look.col), seen.shape[:2], size))
    silence = charts.describe_silence(look.map)
    words = "The input with the receptive field"
    picture(png, size, words, "map_overlay", [frame], choose_pixel, fill=True, labels=_centre(silence, size))
    st.caption(charts.unit_sentence(look.value, field.size, field.stride[0], look.map.size))


def _encode(network: Network, look: Look) -> indexing.Picture:
    """What the network received, pale where the channel is silent everywhere."""
    seen, silent = shared.received(network, look.image), bool(charts.describe_silence(look.map))
    name = (network.key, look.image, "input", silent)
    return picture_cache().get(name, lambda: overlay.input_picture(seen, silent))


def _centre(words: str, size: tuple[int, int]) -> list[Label]:
    """In the middle of a picture; nothing for no words."""
    left = max(0.0, size[0] / 2 - LETTERS * len(words))
    return [Label(left, size[1] / 2 - 10, size[0] - left, words)] if words else []


def _show_projection(later: Deferred, network: Network, look: Look, rule: str) -> None:
    """The chosen unit projected back to the pixels of its receptive field on this image; elsewhere the signal is 0."""
    if silence := charts.describe_silence(look.map):
        st.caption(f"{silence.capitalize()}: nothing in this image drives channel {look.unit}.")
    else:
        _draw_projection(later, network, look, rule)
    key = (network.key, look.layer, "unjudged", rule == "gradient")
    note_unjudged(later.get(key, lambda: _find_unjudged(network, look.layer, rule)))


def _draw_projection(later: Deferred, network: Network, look: Look, rule: str) -> None:
    where = (network.key, look.image, look.layer, look.unit, look.row, look.col)
    found = later.get((*where, "projection", rule), lambda: _project(network, look, rule), lead=True)
    words = "What in this image drives the unit"
    if found is None:
        png, size = picture_cache().get(
            (network.key, look.image, "input", True),
            lambda: overlay.input_picture(shared.received(network, look.image), True),
        )
        picture(png, size, f"{words}: being computed", "projection", fill=True, labels=_centre("…", size))
    else:
        png, size = found
        picture(png, size, f"{words}, {rule}", "projection", fill=True)
    st.caption("What drives it in this frame" + ("." if look.value > 0 else "; the unit itself is not above 0."))


def _project(network: Network, look: Look, rule: str) -> indexing.Picture:
    from cnnviz.attribution.reconstruct import reconstruct

    photo = shared.photo(look.image)
    signal = reconstruct(network.model, photo, look.layer, look.unit, look.row, look.col, rule)
    top, left, bottom, right = shared.receptive(network, look.layer).box(look.row, look.col)
    if top < bottom and left < right:  # else the unit sees padding alone
        signal = signal[:, top:bottom, left:right]
    seen = np.ascontiguousarray(reconstruction_rgb(signal))
    return overlay.input_picture(seen, False)


def _find_unjudged(network: Network, layer: str, rule: str) -> tuple[str, ...]:
    from cnnviz.attribution.reconstruct import find_unjudged

    if rule == "gradient":
        return ()
    last = list(shared.layer_shapes(network))[
        -1
    ]  # where all are known on the way from the last layer, they are on every
    whole = picture_cache().get((network.key, "unjudged"), lambda: find_unjudged(network.model, last))
    return find_unjudged(network.model, layer) if whole else ()
