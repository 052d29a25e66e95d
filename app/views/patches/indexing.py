"""Patch indexes on pages: opening, building beside the page, and the pictures of a layer's units, kept for all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app import access
from app.components.picture import picture
from app.jobs import background, watch
from app.markdown import as_literal, escape_markdown
from app.pickers import controls
from app.pickers.corpus import OFFLINE, find_chosen_corpus
from app.pickers.index_file import AbsentCorpus
from app.session import shared, uploads
from app.session.cache import picture_cache
from app.session.networks import Network
from app.url import address
from app.views.patches.deferred import Task
from cnnviz.errors import BadInput, CnnvizError
from cnnviz.figures.base.encode import rgb_png
from cnnviz.figures.base.overlay import to_rgb
from cnnviz.figures.patches.wall import crisp_side, reconstruction_rgb, three_by_three

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus
    from cnnviz.index.result import PatchIndex, UnitView
    from cnnviz.studies.channels.selectivity import Selectivity

AT_ONCE = 64  # pixels: reconstructions for inputs up to this size take no noticeable time
PATCHES = "patches"  # in place of a rule: the winners' patches themselves
Picture = tuple[bytes, tuple[int, int]]  # PNG, (width, height)


# --- an index and its layers ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class IndexedNetwork:
    """A network, images, and the index of one over the other, complete or partial. `stamp`: of the file it is from."""

    network: Network
    images: Corpus
    index: PatchIndex
    stamp: tuple[str, int]
    name: tuple = field(init=False)  # in caches

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", (self.network.key, self.images.fingerprint, self.index.meta.get("next")))

    @property
    def has_images(self) -> bool:
        """False for an index file that has come without its images: nothing can be projected down then."""
        return has_images(self.images)

    def holds(self, layer: str) -> bool:
        """Whether the layer is indexed."""
        return layer in self.index.tops


@dataclass(frozen=True, eq=False)
class IndexedLayer:
    """One layer of an index. Its pictures are made once for all sessions; what they are of is the library's
    `UnitView`."""

    indexed: IndexedNetwork
    layer: str

    @property
    def network(self) -> Network:
        return self.indexed.network

    @property
    def index(self) -> PatchIndex:
        return self.indexed.index

    @property
    def k(self) -> int:
        """How many winners a channel has at most."""
        return self.index.meta.get("k", 9)

    def name(self, channel: int, kind: str) -> tuple:
        """The name under which pictures of a channel are kept."""
        return (*self.indexed.name, self.layer, channel, kind)

    def unit(self, channel: int) -> UnitView:
        """One of its channels, as the library shows it."""
        return self.index.unit(self.layer, channel)

    def patches(self, channel: int) -> list[np.ndarray]:
        """The winners' patches, uint8 (h, w, 3), strongest first; where the images cannot be read any more, the small
        crops that the index holds. Empty if it holds none and has come without its images."""
        return picture_cache().get(self.name(channel, PATCHES), lambda: self._cut(channel))

    def _cut(self, channel: int) -> list[np.ndarray]:
        if not self.indexed.has_images and self.layer not in self.index.embedded:
            return []
        return [patch if patch.shape[2] == 3 else to_rgb(patch) for patch in self.unit(channel).patches()]

    def reconstructions(self, channel: int, rule: str) -> list[np.ndarray]:
        """The winners projected down, uint8 (h, w, 3), in the order of `patches`; empty without images."""
        return picture_cache().get(self.name(channel, rule), lambda: self._project(channel, rule))

    def _project(self, channel: int, rule: str) -> list[np.ndarray]:
        if not self.indexed.has_images:
            return []
        return [reconstruction_rgb(signal) for signal in self.unit(channel).reconstructions(rule)]

    def tile(self, channel: int, side: int, kind: str = PATCHES) -> np.ndarray:
        """Three by three patches, or reconstructions by the rule `kind`, as one picture, uint8 (h, w, 3)."""
        ((name, make),) = self.list_tiles([channel], side, kind)
        return picture_cache().get(name, make)

    def list_tiles(self, channels: list[int], side: int, kind: str = PATCHES) -> list[Task]:
        """How the tiles of these channels are kept and made, for a page that shows them later."""
        return [(self.name(c, f"{kind} at {side}"), partial(self._draw_tile, c, side, kind)) for c in channels]

    def _draw_tile(self, channel: int, side: int, kind: str) -> np.ndarray:
        parts = self.patches(channel) if kind == PATCHES else self.reconstructions(channel, kind)
        return three_by_three(parts, side)

    def tile_png(self, channel: int, side: int, kind: str = PATCHES) -> Picture:
        """The same as a file and its size."""
        name = self.name(channel, f"{kind} at {side}, PNG")
        return picture_cache().get(name, lambda: _encode(self.tile(channel, side, kind)))

    def draw_once(self, channel: int, rule: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """`patches` and `reconstructions` of one channel without a trace in the caches, for work beside the page."""
        if not self.indexed.has_images:
            return self._cut(channel), []
        index = self.index.attached(self.network.model, self.indexed.images)  # keeps what it reads for itself
        alone = IndexedLayer(replace(self.indexed, index=index), self.layer)
        return alone._cut(channel), alone._project(channel, rule)

    @property
    def selectivity(self) -> Selectivity | None:
        """Class selectivity of its channels; None where the images have no labels."""
        from cnnviz.studies.channels.selectivity import selectivity

        return picture_cache().get(self.name(-1, "selectivity"), lambda: selectivity(self.index, self.layer))

    def places(self, image: str) -> tuple[np.ndarray, bool]:
        """(C,) the place that the photograph would take in each channel, 0 = none; and whether it is one of the images
        searched."""
        return picture_cache().get(self.name(-1, f"places of {image}"), lambda: self._rank(image))

    def _rank(self, image: str) -> tuple[np.ndarray, bool]:
        from cnnviz.studies.channels.ranking import rank_image

        images = self.indexed.images
        own = images.index(image) if image in images.ids[:1000] else None
        return rank_image(self.index, self.layer, shared.maps(self.network, image, self.layer), own), own is not None


def _encode(pixels: np.ndarray) -> Picture:
    return rgb_png(pixels), (pixels.shape[1], pixels.shape[0])


def draw_empty(side: int) -> Picture:
    """Three by three pale squares, in place of pictures that are not there yet."""
    return picture_cache().get(("no patches", side), lambda: _encode(three_by_three(None, side)))


# --- opening and building ----------------------------------------------------------------------------------


def has_images(images: Corpus) -> bool:
    """False for an index file that has come without its images."""
    return not isinstance(images, AbsentCorpus)


def index_path(network: Network, images: Corpus) -> Path:
    """Where the index of this network over these images lies; the same after a restart."""
    name = f"{network.model.fingerprint[:20]}-{images.fingerprint[:20]}.npz"
    return uploads.cache_folder("indexes") / name


@st.cache_resource(max_entries=6, show_spinner=False)
def _load_index(path: str, stamp: int) -> PatchIndex:
    from cnnviz.index.result import PatchIndex

    return PatchIndex.load(path)


def find_index(network: Network, images: Corpus) -> IndexedNetwork | None:
    """The index on disk, complete or partial; None if there is none or it cannot be read."""
    before: IndexedNetwork | None = network.indexes.find(images)
    if isinstance(images, AbsentCorpus):
        return before or _keep(IndexedNetwork(network, images, images.kept, ("", 0)))
    path = Path(before.stamp[0]) if before is not None else index_path(network, images)
    try:
        stamp = str(path), path.stat().st_mtime_ns
    except OSError:
        return None
    if before is not None and before.stamp == stamp:
        return before
    try:
        index = _load_index(*stamp).attached(network.model, images, partial(_receive, network, images))
    except CnnvizError:
        path.unlink(missing_ok=True)
        return None
    return _keep(IndexedNetwork(network, images, index, stamp))


def _keep(indexed: IndexedNetwork) -> IndexedNetwork:
    indexed.network.indexes.put(indexed.images, indexed)
    return indexed


def _receive(network: Network, images: Corpus, places: Sequence[int]) -> list[np.ndarray]:
    """What the network received of some images of the corpus, uint8 (H, W, C) each."""
    name, read = (network.key, images.fingerprint, "received"), network.model.received_from
    return picture_cache().get_all([((*name, place), partial(read, images, place)) for place in places])


def build(network: Network, images: Corpus, watched: bool = True) -> background.Job:
    """Start (or continue) indexing all layers beside the page. `watched`: see background.start."""
    path = index_path(network, images)

    def work(report: Any) -> None:
        from cnnviz.index.search.build import index_patches
        from cnnviz.index.search.spatial import find_spatial

        layers = find_spatial(network.model, list(shared.layer_shapes(network)))
        try:
            index_patches(network.model, images, layers, out=path, progress=report)
        except BadInput:  # a partial index with other settings, left by another version: begin anew
            path.unlink(missing_ok=True)
            index_patches(network.model, images, layers, out=path, progress=report)

    return background.start(str(path), f"Indexing {images.name}", work, watched=watched)


def try_build(network: Network, images: Corpus) -> background.Job | None:
    """`build`; None where this session may not start it, which the page says."""
    try:
        return build(network, images)
    except access.NotAllowed as error:
        st.info(escape_markdown(str(error)), icon=":material/school:")
        return None


def wants_start(images: Corpus, index: IndexedNetwork | None, job: background.Job | None) -> bool:
    """True for a small corpus whose index is missing or unfinished, unless somebody cancelled it, in whatever tab."""
    if not has_images(images) or images.name not in OFFLINE or (index is not None and index.index.complete):
        return False
    return job is None or not (job.running or job.problem or job.unwanted)


def watch_build(key: str, shown: bool) -> None:
    """Progress of a running job; the page is drawn anew also when a first partial index can be `shown`."""
    watch.draw_jobs("index", [key], lambda: not shown and Path(key).is_file())


def require_layer(network: Network, images: Corpus, layer: str) -> IndexedLayer:
    """The layer's index, complete or partial; progress, a button, and what was left out are said above.

    Raises PageEnded while there is nothing to show of this layer."""
    key = str(index_path(network, images))
    indexed, job = find_index(network, images), background.find(key)
    refused = False
    if wants_start(images, indexed, job):
        job = try_build(network, images)
        refused = job is None
    index = None if indexed is None else indexed.index
    if job is not None and job.running:
        watch_build(key, index is not None)
    elif index is not None and not has_images(images):
        part = "" if index.complete else f" It is not complete: {index.meta['next']:,} images are searched."
        st.caption(
            f"An index of {index.meta['images']:,} images ({as_literal(images.name)}) without them: patches are small "
            f"crops, and nothing can be projected down.{part}"
        )
    elif not refused and (index is None or not index.complete):
        _offer_build(network, images, index)
    if job is not None and job.problem:
        st.error(escape_markdown(job.problem))
    if index is not None and index.meta.get("skipped"):
        with st.expander(f"{len(index.meta['skipped'])} images could not be read and were left out"):
            which, why = zip(*index.meta["skipped"], strict=True)
            st.table({"image": [as_literal(name) for name in which], "why": [escape_markdown(words) for words in why]})
    if index is not None and index.complete and layer not in index.tops:
        st.info(f"This index does not hold {layer}. It holds: {', '.join(index.layers)}.")
    if indexed is None or not indexed.holds(layer):
        raise shared.PageEnded
    return IndexedLayer(indexed, layer)


def _offer_build(network: Network, images: Corpus, index: PatchIndex | None) -> None:
    done = f" {index.meta['next']:,} are done." if index else ""
    name = as_literal(images.name)
    st.info(f"{len(images):,} images of {name} to index.{done} One pass serves every layer and channel.")
    asked = st.button("Continue" if index else "Build the index", type="primary")
    if asked and try_build(network, images) is not None:
        address.rerun()


# --- parts of other pages ------------------------------------------------------------------------------------


def unit_link(layer: str, channel: int, row: int | None = None, col: int | None = None) -> None:
    """The unit's name as the way to its page."""
    unit_links([(layer, channel, "")], small=False, row=row, col=col)


def unit_links(
    units: Iterable[tuple[str, int, str]], small: bool = True, row: int | None = None, col: int | None = None
) -> None:
    """The names of units, (layer, channel, note behind the name), as the way to their pages."""
    query, place = address.link(("row", "col")), {} if row is None else {"row": str(row), "col": str(col)}
    for layer, channel, note in units:
        name = f"{controls.unit_name(layer, channel, row, col)}{note}"
        st.page_link(
            "../pages/unit.py",
            label=f":small[{name}]" if small else name,
            query_params={**query, "layer": layer, "unit": str(channel), **place},
            icon=None if small else ":material/center_focus_strong:",
        )


def unit_patches(network: Network, layer: str, channel: int) -> None:
    """What drives this unit in general: its top-9 with reconstructions, small, and the way to the page."""
    st.markdown("**What drives it**")
    try:
        images = find_chosen_corpus(network)
        indexed = find_index(network, images)
    except CnnvizError as error:
        st.caption(escape_markdown(str(error)))
        return
    if indexed is not None and indexed.holds(layer) and indexed.index.tops[layer].images[channel, 0] >= 0:
        _show_unit(IndexedLayer(indexed, layer), channel)
    else:
        key = str(index_path(network, images))
        job = background.find(key)
        if wants_start(images, indexed, job):
            job = try_build(network, images)
        if job is not None and job.running:
            watch_build(key, indexed is not None)
        else:
            st.caption("The top-9 patches are not indexed for these images yet.")
    st.page_link(
        "../pages/top9.py",
        label="Open this unit's top-9",
        icon=":material/apps:",
        query_params=address.link(("row", "col"), layer=layer, unit=channel),
    )


def _show_unit(layer: IndexedLayer, channel: int) -> None:
    input_size = layer.network.input_size[1:]
    side = small_side(layer, 62)
    png, size = layer.tile_png(channel, side)
    picture(png, size, f"Top-9 patches of channel {channel}", "unit_patches", fill=True)
    soon = layer.name(channel, "deconvnet") in picture_cache() or max(input_size) <= AT_ONCE
    st.fragment(_unit_low, run_every=None if soon else 0.3)(layer, channel, side, soon)


def small_side(layer: IndexedLayer, wanted: int) -> int:
    """Pixels of a tile's side, near `wanted`, that show a patch of the layer at a whole multiple."""
    return picture_cache().get(
        ("side", layer.network.key, layer.layer, wanted),
        lambda: crisp_side(shared.receptive(layer.network, layer.layer).size, layer.network.input_size[1:], wanted),
    )


def _unit_low(layer: IndexedLayer, channel: int, side: int, soon: bool) -> None:
    """The winners' reconstructions. What takes long is left to the fragment's own run, so that the page is
    painted first."""
    asked = (layer.network.key, layer.layer, channel)
    if not soon and st.session_state.get("asked_low") == asked:
        layer.reconstructions(channel, "deconvnet")
        address.rerun()
    st.session_state["asked_low"] = None if soon else asked
    png, size = layer.tile_png(channel, side, "deconvnet") if soon else draw_empty(side)
    words = f"Their reconstructions, channel {channel}" if soon else "Reconstructions are being computed"
    picture(png, size, words, "unit_low", fill=True)
