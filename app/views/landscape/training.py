"""The view of a training: its surface epoch by epoch, and the way of its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app.components.motion.player import Motion, Reel, offer_motion
from app.components.plots import plot
from app.pickers import bar, controls
from app.session import networks
from app.url import address
from app.views.landscape import catalogue
from app.views.landscape.catalogue import ShownLandscape
from app.views.landscape.views import HEIGHT, pick_scale, saves
from cnnviz.errors import CnnvizError
from cnnviz.figures.landscape.training import training_figure
from cnnviz.figures.landscape.words import SLICE
from cnnviz.landscape.bundled import Landscapes
from cnnviz.landscape.bundled import landscapes as bundled

if TYPE_CHECKING:
    from cnnviz.landscape.results import Surface

EPOCH = 450  # milliseconds
_PAGES = {"first_layer_filters": "First-layer filters", "feature_maps": "Feature maps", "top9": "Top-9 patches"}


def trained() -> dict[str, Landscapes]:
    """{architecture: files} of those with surfaces over epochs or a trajectory."""
    return {name: found for name, found in bundled().items() if found.epochs or found.trajectory}


def training(row: Any) -> None:
    """One network's surface over the epochs, scrubbed in the browser, and its trajectory."""
    offered = trained()
    if not offered:
        st.info("No snapshots of a training come with this copy of cnnviz. `cnnviz train` keeps them.")
        return
    with bar.slot("network"):
        name = controls.bind(
            st.selectbox,
            "Network",
            "trained",
            next(iter(offered)),
            options=list(offered),
            format_func=catalogue.title,
            width=190,
        )
    files = offered[name]
    epochs = {number: catalogue.surface(path) for number, path in files.epochs.items()}
    path = catalogue.trajectory(files.trajectory) if files.trajectory else None
    plane = catalogue.surface(files.plane) if files.plane and path is not None else None
    with row:
        scale = pick_scale([*epochs.values(), *([plane] if plane else [])])
    epoch = _epoch(list(epochs)) if epochs else None
    figure = training_figure(catalogue.title(name), epochs, scale, epoch, path, plane, HEIGHT)
    buttons, figure.layout.updatemenus = figure.layout.updatemenus, ()  # of the saved page; here the motion plays
    plot(figure, f"Training of {catalogue.title(name)}", "training", f"{name}-training", on_frame=_scrubbed)
    figure.layout.updatemenus = buttons
    if epoch is not None:
        _offer_epochs(row, name, list(epochs), epoch)
    last = [ShownLandscape(name, name, "bundled", catalogue.title(name), epochs[epoch])] if epoch is not None else []
    saves(figure, last, f"{name}-training", path)
    if epoch is not None:
        _ways(name, epoch, epochs[epoch])
    residual = (
        f" {100 * path.residual[1:-1].mean():.0f} % of the way lies outside it on average."
        if path and len(path.epochs) > 2
        else ""
    )
    st.write(
        "Left: the loss around the weights of each snapshot of the run, always in the same two directions; drag "
        "the slider or press play. Right: the weights of the run, projected on the plane of their principal "
        f"components. **Notice** when the bowl appears, and how little of the way the plane shows.{residual} "
        f"**{SLICE}**"
    )
    with st.expander("Formula and source"):
        st.write(
            "Li et al. 2018 (arXiv:1712.09913), section 7: PCA of θᵢ − θₙ over the snapshots i of a run with n epochs. "
            "The loss shown for a snapshot is its own, not that of its projection. Low-dimensional paths are expected "
            "also of random walks (Antognini and Sohl-Dickstein 2018, arXiv:1806.08805)."
        )


def _offer_epochs(row: Any, name: str, epochs: list[int], epoch: int) -> None:
    """Let the epochs run: the frames are those of the slider."""
    motion = Motion("the training", [f"epoch {one} of {epochs[-1]}" for one in epochs], epochs.index(epoch), EPOCH)
    with row:
        offer_motion(
            motion,
            "motion",
            lambda place: address.choose("epoch", epochs[place]),
            (name,),
            lambda: Reel([{"training": {"frame": str(one)}} for one in epochs]),
            at_once=True,
        )


def _ways(name: str, epoch: int, surface: Surface) -> None:
    """Links to what the network saw after this epoch, where its weights are there and the surface is theirs."""
    if f"epoch-{epoch}" not in networks.snapshots(name):
        return
    if surface.meta.get("weights") != _fingerprint(name, epoch):
        return  # a surface of another training, or the file is gone
    then = address.link(("untrained",), net=name, weights=f"epoch-{epoch}")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"The network **{f'after epoch {epoch}' if epoch else 'before its training'}**:", width="content")
        for page, label in _PAGES.items():
            st.page_link(f"../pages/{page}.py", label=label, query_params=then)


@st.cache_data(show_spinner=False)
def _fingerprint(name: str, epoch: int) -> str:
    """Of the bundled snapshot; "" where it cannot be read. The network itself is not kept."""
    from cnnviz.models.load import load

    try:
        return load(name, f"epoch-{epoch}", "cpu").fingerprint
    except CnnvizError:
        return ""


def _epoch(offered: list[int]) -> int:
    address.prepare("epoch", offered[-1], _number, offered)
    epoch = st.session_state["epoch"]
    address.record("epoch", epoch, offered[-1])
    return epoch


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _scrubbed(label: str) -> None:
    if _number(str(label)) is not None:
        address.choose("epoch", int(label))
