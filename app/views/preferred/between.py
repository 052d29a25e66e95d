"""From one channel to another: the preferred inputs of their mixtures, dragged through or played."""

from __future__ import annotations

import streamlit as st

from app.components.motion.player import Motion, Reel, offer_motion
from app.components.picture import labelled_data, labelled_picture
from app.pickers import bar, controls
from app.session.cache import picture_cache
from app.session.networks import Network
from app.url import address
from app.views.microscope.look import Look
from app.views.preferred import choices, results
from app.views.preferred.results import Making, SynthesisRequest
from cnnviz.figures.attribution.panels import Strip
from cnnviz.figures.synthesis.between import mixture_picture
from cnnviz.synthesis.result import Mixture
from cnnviz.synthesis.settings import SynthesisSettings

STEPS = 8  # parts of the way
PACE = 350  # milliseconds a mixture
KEY = "preferred_between"


def show(network: Network, look: Look) -> None:
    """The image of one mixture between those of the two channels, with a slider for its place."""
    last = len(look.maps) - 1
    if not last:
        st.info(f"{look.layer} has one channel: there is no other to go to. Choose another layer.")
        return
    with bar.row():
        first = look.unit + 1 if look.unit < last else look.unit - 1
        other = controls.bind(
            st.number_input, "To channel", "to", first, min_value=0, max_value=last, step=1, width=116
        )
        at = controls.bind(
            st.slider, f"Way [1/{STEPS}]", "way", STEPS // 2, min_value=0, max_value=STEPS, step=1, width=140
        )
    words = f"From channel {look.unit} to channel {other} of {look.layer}"
    mixtures = tuple(mix(look.unit, int(other), place) for place in range(STEPS + 1))
    request = SynthesisRequest(
        network, look.layer, mixtures, SynthesisSettings(choices.read_steps(), choices.read_seed()), words
    )
    place, row = st.container(), bar.row()
    job = results.begin(KEY, request)
    found = results.look(request)
    with place:
        labelled_picture(_draw(request, found, int(at)), words, KEY)
    st.caption("Every image was made by itself, from the same noise, for its own mixture of the two.")
    if job is not None:
        results.show_progress(KEY, job)
    elif found.inputs is not None:
        motion = Motion(
            "the mixture", [_name(request, n) for n in range(STEPS + 1)], int(at), PACE, first=0, stale=("way",)
        )
        with row:
            offer_motion(motion, "motion", _choose, (request.key, _count(found)), lambda: _cut_reel(request, found))


def mix(one: int, other: int, place: int) -> Mixture:
    """So many parts of the way from a channel to another, as weights that sum to 1."""
    share = place / STEPS
    weights = {one: 1 - share}
    weights[other] = weights.get(other, 0.0) + share
    return tuple(sorted((channel, weight) for channel, weight in weights.items() if weight))


def _choose(place: int) -> None:
    address.choose("way", place)


def _count(found: Making) -> int:
    return 0 if found.inputs is None else len(found.inputs[0].history)


def _name(request: SynthesisRequest, place: int) -> str:
    parts = request.mixtures[place]
    return " + ".join(f"channel {c}" if weight == 1 else f"{weight:g} × channel {c}" for c, weight in parts)


def _draw(request: SynthesisRequest, found: Making, at: int) -> Strip:
    names = [_name(request, place) for place in range(STEPS + 1)]
    blank = [results.blank_patch(request.network, request.layer)] * len(names)
    images = blank if found.inputs is None else [one.patch for one in found.inputs]
    values = None if found.inputs is None else [one.activation for one in found.inputs]
    name = ("between", request.key, _count(found), at)
    return picture_cache().get(name, lambda: mixture_picture(images, names, values, at))


def _cut_reel(request: SynthesisRequest, found: Making) -> Reel:
    return Reel([{KEY: labelled_data(_draw(request, found, at))} for at in range(STEPS + 1)])
