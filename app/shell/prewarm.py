"""Work done ahead of a tour: its networks are loaded and what its stops show is computed, beside the page."""

from __future__ import annotations

from functools import partial

import streamlit as st

from app import limits
from app.jobs import background
from app.jobs.background import Report
from app.pickers import controls
from app.pickers.corpus import OFFLINE, default_corpus
from app.session import networks, shared
from app.session.networks import Choice, Network
from app.views.patches import building, indexing
from cnnviz.errors import CnnvizError
from cnnviz.progress import Progress
from cnnviz.tours import Stop, Tour

NEEDS_NONE = frozenset(
    {"playground", "anatomy", "training", "landscape"}
)  # pages that open without a network's weights
WITH_MAPS = frozenset(
    {"feature-maps", "top-9", "preferred-inputs", "unit", "equivariance", "pooling", "receptive-fields"}
)


def start(tour: Tour) -> None:
    """Begin once a session; what another session has made already is there at once."""
    if st.session_state.get("prewarmed") == tour.name:
        return
    st.session_state["prewarmed"] = tour.name
    words = f"Preparing the tour {tour.name}"
    background.start(f"tour {tour.name}", words, partial(visit_stops, tour), lane=limits.SHORT, patient=True)


def visit_stops(tour: Tour, report: Report) -> None:
    """Visit the stops in their order. What fails here is said when its page is opened."""
    for number, stop in enumerate(tour.stops):
        if not report(Progress(number, len(tour.stops), "stops", note=stop.title)):
            return
        if stop.page in NEEDS_NONE:
            continue
        try:
            _visit(stop, _network(stop.query))
        except (CnnvizError, ValueError):  # a photograph or layer that does not exist
            continue


def _network(query: dict[str, str]) -> Network:
    """The network that this view will show."""
    name = query.get("net", networks.default_network())
    weights = query.get("weights", networks.weights_options(name)[0])
    return networks.load(Choice(name, weights, untrained=query.get("untrained", "").lower() in ("true", "1")))


def _visit(stop: Stop, network: Network) -> None:
    image = stop.query.get("image", "digit-3" if network.one_channel else controls.DEFAULT_PHOTO)
    layer = stop.query.get("layer") or controls.default_layer(network)
    if stop.page in ("", "inspect"):
        shared.received(network, image)
        shared.top5(network, image)
    elif stop.page == "filters":
        found = shared.filters(network, "common", None)
        shared.maps(network, image, found.layer)
    elif stop.page in ("top-9", "preferred-inputs", "unit"):
        _index(network)
    if stop.page in WITH_MAPS:
        shared.layer_shapes(network)
        shared.receptive(network, layer)
        shared.maps(network, image, layer)


def _index(network: Network) -> None:
    """Begin the index of the small corpus that the page opens on."""
    images = shared.corpus(default_corpus(network))
    indexed = indexing.find_index(network, images)
    if images.name in OFFLINE and (indexed is None or not indexed.index.complete):
        building.build(network, images, watched=False)
