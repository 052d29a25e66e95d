"""Patch indexes on pages: where they lie, building them beside the page, and their pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app import access
from app.components.picture import picture
from app.jobs import background
from app.markdown import escape_markdown
from app.pickers.controls import Network
from app.pickers.corpus import OFFLINE, find_chosen_corpus
from app.pickers.index_file import AbsentCorpus
from app.session import shared, uploads
from app.url import address
from cnnviz.errors import BadImage, BadInput, CnnvizError
from cnnviz.figures.base.encode import rgb_png
from cnnviz.figures.base.overlay import to_rgb
from cnnviz.figures.patches.wall import crisp_side, reconstruction_rgb, three_by_three

AT_ONCE = 64  # pixels: reconstructions for inputs up to this size take no noticeable time

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus
    from cnnviz.index.records import Winner
    from cnnviz.index.result import PatchIndex


def index_path(network: Network, images: Corpus) -> Path:
    """Where the index of this network over these images lies; the same after a restart."""
    name = f"{network.model.fingerprint[:20]}-{images.fingerprint[:20]}.npz"
    return uploads.cache_folder("indexes") / name


@st.cache_resource(max_entries=6, show_spinner=False)
def _opened(path: str, stamp: int) -> PatchIndex:
    from cnnviz.index.result import PatchIndex

    return PatchIndex.load(path)


def saved_index(network: Network, images: Corpus) -> PatchIndex | None:
    """The index on disk, complete or partial; None if there is none or it cannot be read."""
    if isinstance(images, AbsentCorpus):
        return images.kept
    path = index_path(network, images)
    if not path.is_file():
        return None
    try:
        return _opened(str(path), path.stat().st_mtime_ns)
    except CnnvizError:
        path.unlink(missing_ok=True)
        return None


def build(network: Network, images: Corpus, watched: bool = True) -> background.Job:
    """Start (or continue) indexing all layers beside the page. `watched`: see jobs.start."""
    path = index_path(network, images)

    def work(report: Any) -> None:
        from cnnviz.index.search.build import index_patches
        from cnnviz.index.search.spatial import placed

        layers = placed(network.model, list(shared.layer_shapes(network.key, network.model)))
        try:
            index_patches(network.model, images, layers, out=path, progress=report)
        except BadInput:  # a partial index with other settings, left by another version: begin anew
            path.unlink(missing_ok=True)
            index_patches(network.model, images, layers, out=path, progress=report)

    return background.start(str(path), f"Indexing {escape_markdown(images.name)}", work, watched=watched)


def begun(network: Network, images: Corpus) -> background.Job | None:
    """`build`; None where this session may not start it, which the page says."""
    try:
        return build(network, images)
    except access.NotAllowed as error:
        st.info(escape_markdown(str(error)), icon=":material/school:")
        return None


def wants_start(images: Corpus, index: PatchIndex | None, job: background.Job | None) -> bool:
    """True for a small corpus whose index is missing or unfinished, unless somebody cancelled it, in whatever tab."""
    if not has_images(images) or images.name not in OFFLINE or (index is not None and index.complete):
        return False
    return job is None or not (job.running or job.problem or job.unwanted)


def watch(key: str, shown: bool) -> None:
    """Progress, time left and cancel of a running job. The button stands outside the fragment: a click on a
    fragment's button can be lost while the page itself is being drawn."""
    job = background.find(key)
    with st.container(horizontal=True, vertical_alignment="center"):
        _progress(key, shown)
        if job is not None:
            st.button("Cancel", on_click=job.cancel, key="cancel_index", disabled=job.cancelled)


@st.fragment(run_every=0.5)
def _progress(key: str, shown: bool) -> None:
    """Draws the page anew when the job has ended, and when a first partial index can be `shown`."""
    job = background.find(key)
    if job is None or not job.running or (not shown and Path(key).is_file()):
        address.rerun()
    state = job.state
    if state is None:
        st.progress(0.0, f"{job.name}: {job.waiting()}" if job.place else f"{job.name} …")
        return
    st.progress(
        min(state.done / max(state.total, 1), 1.0),
        f"{job.name}: {state.done:,} of {state.total:,} images, {state.images_per_second:.0f} images/s, "
        f"{_duration(state.seconds_left)} left",
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


# --- pictures -------------------------------------------------------------------------------------------


def has_images(images: Corpus) -> bool:
    """False for an index file that has come without its images: nothing can be projected down then."""
    return not isinstance(images, AbsentCorpus)


def patches(network: Network, images: Corpus, index: PatchIndex, layer: str, channel: int) -> list[np.ndarray]:
    """The winners' patches, uint8 (h, w, 3), cut from what the network received, strongest first; where that cannot
    be read any more, the small crops that the index holds. Empty if it holds none and has come without its images."""
    where = (network, images, index, layer, channel)
    return shared.drawn(recipe(*where, "patches"), lambda: _cut(*where))


def _cut(network: Network, images: Corpus, index: PatchIndex, layer: str, channel: int) -> list[np.ndarray]:
    from cnnviz.index.crops.cut import cut, window

    size = network.model.input_size[1:]
    try:
        return [
            cut(to_rgb(received(network, images, winner)), window(winner.full_box, size))
            for winner in index.top(layer, channel)
        ]
    except BadImage:
        crops = index.crops(layer, channel)
        if crops is None and has_images(images):
            raise
        return [to_rgb(crop) for crop in crops or []]


def received(network: Network, images: Corpus, winner: Winner) -> np.ndarray:
    """What the network received of a winner's image, uint8 (H, W, C)."""
    return shared.drawn(
        (network.key, images.fingerprint, winner.image, "received"),
        lambda: network.model.received_from(images, winner.image),
    )


def reconstructions(
    network: Network, images: Corpus, index: PatchIndex, layer: str, channel: int, rule: str
) -> list[np.ndarray]:
    """The winners projected down, uint8 (h, w, 3), in the order of `patches`."""
    return shared.drawn(
        recipe(network, images, index, layer, channel, rule),
        lambda: _projected(network, images, index, layer, channel, rule),
    )


def is_reconstructed(network: Network, images: Corpus, index: PatchIndex, layer: str, channel: int, rule: str) -> bool:
    """True if `reconstructions` would answer at once."""
    return shared.is_drawn(recipe(network, images, index, layer, channel, rule))


def recipe(network: Network, images: Corpus, index: PatchIndex, layer: str, channel: int, kind: str) -> tuple:
    """The name under which pictures of a channel's winners are remembered."""
    return (network.key, images.fingerprint, index.meta.get("next"), layer, channel, kind)


def _projected(
    network: Network, images: Corpus, index: PatchIndex, layer: str, channel: int, rule: str
) -> list[np.ndarray]:
    if not has_images(images):
        return []
    pixels = [received(network, images, w) for w in index.top(layer, channel)]
    return _projections(network, pixels, index, layer, channel, rule)


def _projections(
    network: Network, pixels: list[np.ndarray], index: PatchIndex, layer: str, channel: int, rule: str
) -> list[np.ndarray]:
    import torch

    from cnnviz.attribution.reconstruct import reconstruct_batch
    from cnnviz.index.crops.cut import cut, window

    model, winners = network.model, index.top(layer, channel)
    units = [(channel, w.row, w.col) for w in winners]
    batch = model.preprocessing.normalise(torch.from_numpy(np.stack(pixels)))
    signals = reconstruct_batch(model, batch, layer, units, rule)
    size = model.input_size[1:]
    return [
        reconstruction_rgb(cut(s.transpose(1, 2, 0), window(w.full_box, size), 0).transpose(2, 0, 1))
        for s, w in zip(signals, winners, strict=True)
    ]


def pictures(
    network: Network, images: Corpus, index: PatchIndex, layer: str, channel: int, rule: str
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """`patches` and `reconstructions` of one channel without any cache, for threads beside the page."""
    from cnnviz.index.crops.cut import cut, window

    best, size = index.top(layer, channel), network.model.input_size[1:]
    if not best or not has_images(images):
        return patches(network, images, index, layer, channel), []
    pixels = [network.model.received_from(images, w.image) for w in best]
    cuts = [cut(to_rgb(p), window(w.full_box, size)) for p, w in zip(pixels, best, strict=True)]
    return cuts, _projections(network, pixels, index, layer, channel, rule)


def _unit_low(
    network: Network, images: Corpus, index: PatchIndex, layer: str, channel: int, side: int, soon: bool
) -> None:
    """The winners' reconstructions. What takes long is left to the fragment's own run, so that the page is
    painted first."""
    asked = (network.key, layer, channel)
    if not soon and st.session_state.get("asked_low") == asked:
        reconstructions(network, images, index, layer, channel, "deconvnet")
        address.rerun()
    st.session_state["asked_low"] = None if soon else asked
    low = reconstructions(network, images, index, layer, channel, "deconvnet") if soon else None
    tile = three_by_three(low, side)
    words = f"Their reconstructions, channel {channel}" if soon else "Reconstructions are being computed"
    picture(rgb_png(tile), tile.shape[1::-1], words, "unit_low", fill=True)


def unit_patches(network: Network, layer: str, channel: int) -> None:
    """What drives this unit in general: its top-9 with reconstructions, small, and the way to the page."""
    st.markdown("**What drives it**")
    try:
        images = find_chosen_corpus(network)
        index = saved_index(network, images)
    except CnnvizError as error:
        st.caption(escape_markdown(str(error)))
        return
    if index is None or layer not in index.layers or not index.top(layer, channel):
        job = background.find(str(index_path(network, images)))
        if wants_start(images, index, job):
            job = begun(network, images)
        if job is not None and job.running:
            watch(str(index_path(network, images)), index is not None)
        else:
            st.caption("The top-9 patches are not indexed for these images yet.")
    else:
        side = crisp_side(shared.receptive(network.key, layer, network.model).size, network.model.input_size[1:], 62)
        shown = three_by_three(patches(network, images, index, layer, channel), side)
        picture(rgb_png(shown), shown.shape[1::-1], f"Top-9 patches of channel {channel}", "unit_patches", fill=True)
        soon = (
            is_reconstructed(network, images, index, layer, channel, "deconvnet")
            or max(network.model.input_size[1:]) <= AT_ONCE
        )
        st.fragment(_unit_low, run_every=None if soon else 0.3)(network, images, index, layer, channel, side, soon)
    st.page_link(
        "../pages/top9.py", label="Open this unit's top-9", icon=":material/apps:",
        query_params=address.link(("row", "col"), layer=layer, unit=channel),
    )  # fmt: skip
