"""A point of the plane that was clicked: the network that lies there beside the unmoved one, on one image."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.markdown import as_literal
from app.pickers import controls
from app.pickers.controls import choose_device
from app.pickers.photo_cards import title_of
from app.session import networks, shared
from app.session.cache import picture_cache
from app.session.networks import Choice, Network
from app.url import address
from app.views.landscape import views
from app.views.landscape.catalogue import ShownLandscape
from app.weights import owners
from cnnviz.errors import BadInput
from cnnviz.figures.base.charts import bars_png, value_text
from cnnviz.figures.base.colors import activation_rgb
from cnnviz.figures.base.mosaic import Mosaic, tiles_mosaic
from cnnviz.figures.landscape.words import point_text

if TYPE_CHECKING:
    from cnnviz.models.model import LoadedModel

MOST = 32  # maps shown
RECALIBRATED = (
    "The surface was measured with the statistics of batch normalisation recalibrated at each point. The network that "
    "answers here keeps its own statistics: away from the centre it can be worse than the surface says."
)


def view(chosen: list[ShownLandscape], row: Any) -> None:
    """The planes from above, and what the chosen point answers."""
    hit = chosen_point(len(chosen))

    def answers() -> None:
        if hit:
            show(chosen[hit[0]], *hit[1:])

    views.contours(chosen, row, hit[1:] if hit else None, choose, answers)


def chosen_point(panels: int) -> tuple[int, float, float] | None:
    """(panel, step along direction 1, along direction 2) of the URL; None where no point is chosen."""
    address.prepare("point", "", lambda text: text if _parsed(text, panels) else None)
    text = st.session_state["point"]
    address.record("point", text, "")
    return _parsed(text, panels)


def _parsed(text: str, panels: int) -> tuple[int, float, float] | None:
    parts = text.split(",")
    try:
        panel, alpha, beta = int(parts[0]), *map(float, parts[1:])
    except ValueError:
        return None
    inside = 0 <= panel < panels and np.isfinite([alpha, beta]).all() and max(abs(alpha), abs(beta)) <= 100
    return (panel, alpha, beta) if inside else None


def choose(hit: list[Any]) -> None:
    """A click on a plane: [x, y, name of its x axis]."""
    alpha, beta, axis = hit
    panel = int(str(axis)[1:] or 1) - 1
    address.choose("point", f"{panel},{float(alpha):.4g},{float(beta):.4g}")


def show(one: ShownLandscape, alpha: float, beta: float) -> None:
    """Answers and feature maps of the network at a point, beside the unmoved network's."""
    meta = one.surface.meta
    if meta.get("seed") is None:
        st.info("A median of planes, or a plane of imported directions, has no network at its points. Choose a seed.")
        return
    network = network_of(one)
    image = controls.pick_image(network)
    layer = controls.pick_layer(network)
    moved = _move(network, int(meta["seed"]), alpha, beta)
    place = point_text(alpha, beta)
    head, forget = st.columns([5, 1], vertical_alignment="center")
    head.markdown(
        f"**{as_literal(one.title)} at {place}** on {as_literal(title_of(image))}: answers, and feature maps of "
        f"{as_literal(layer)} on one scale"
    )
    forget.button("Clear the point", key="forget_point", on_click=address.choose, args=("point", ""))
    if meta.get("statistics", "frozen") != "frozen":
        st.caption(RECALIBRATED)
    before, after = shared.maps(network, image, layer), shared.maps(moved, image, layer)
    shown = [int(c) for c in np.argsort(-before.max(axis=(1, 2)), kind="stable")[:MOST]]
    peak = max(float(before.max()), float(np.nan_to_num(after, posinf=0).max()))
    sides = ((network, before, "The network itself"), (moved, after, f"At {place}"))
    for column, (one_side, maps, words) in zip(st.columns(2, gap="large"), sides, strict=True):
        with column:
            st.markdown(words)
            answers, walls = st.columns([1, 1.6], gap="small")
            answers.image(bars_png(shared.top5(one_side, image), 560), output_format="PNG", alt=f"Answers: {words}")
            name = ("landscape maps", one_side.key, image, layer, peak)
            wall = picture_cache().get(name, partial(_draw_wall, maps, shown, peak))
            walls.image(wall.png, output_format="PNG", alt=f"Feature maps: {words}")
            walls.caption(f"Maximum {value_text(float(np.nanmax(maps)))}")


def _draw_wall(maps: np.ndarray, channels: list[int], peak: float) -> Mosaic:
    """Maps in viridis from 0 to `peak`, which the two walls share."""
    tiles = np.stack([activation_rgb(np.nan_to_num(maps[channel], posinf=peak), peak) for channel in channels])
    return tiles_mosaic(tiles, channels, 420, 200)


def network_of(one: ShownLandscape) -> Network:
    """The network that a surface belongs to. Raises CnnvizError where its weights are not here, or are other
    ones."""
    weights = one.weights or "bundled"
    if weights == "bundled" and "bundled" not in networks.weights_options(one.architecture):
        return _find_brought(one)
    own = owners.find(weights) if weights.startswith("file-") else None
    choice = Choice(one.architecture, weights, choose_device(), one.untrained, own.version if own else "")
    network = networks.load(choice)
    if one.surface.meta.get("weights", network.model.fingerprint) != network.model.fingerprint:
        raise BadInput(f"The surface of {one.title} was computed from other weights than those that are here.")
    return network


def _find_brought(one: ShownLandscape) -> Network:
    """The network of a file that was brought and holds the very weights of a surface, whatever its images are
    prepared by. Raises BadInput where there is none."""
    from cnnviz.models.fingerprint import hash_tensors

    wanted = one.surface.meta.get("tensors")
    for own in owners.list_own() if wanted else []:
        if own.architecture == one.architecture:
            network = networks.load(Choice(one.architecture, own.name, choose_device(), False, own.version))
            if hash_tensors(network.model.module) == wanted:
                return network
    raise BadInput(
        f"The weights of {one.title} do not come with cnnviz, so that the points of its surface cannot answer. If you "
        "have their file, add it as weights of your own: then they do."
    )


def _move(network: Network, seed: int, alpha: float, beta: float) -> Network:
    """The network at a point of the plane."""
    from cnnviz.landscape.evaluate.moved_model import perturb
    from cnnviz.landscape.plane.directions import plane_directions

    def make() -> LoadedModel:
        return perturb(network.model, plane_directions(network.model, seed), alpha, beta)

    return networks.derive(network, f"moved {seed} {alpha!r} {beta!r}", make)
