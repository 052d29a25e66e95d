"""Patch indexes on pages: opening, building beside the page, and the pictures of a layer's units, kept for all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from app.jobs import background
from app.markdown import as_literal, escape_markdown
from app.pickers import controls
from app.pickers.index_file import AbsentCorpus
from app.session import shared
from app.session.cache import picture_cache
from app.session.networks import Network
from app.url import address
from app.views.patches import building
from app.views.patches.deferred import Task
from cnnviz.errors import CnnvizError
from cnnviz.figures.base.encode import rgb_png
from cnnviz.figures.base.overlay import to_rgb
from cnnviz.figures.patches.wall import crisp_side, fit_nine, reconstruction_rgb, three_by_three
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus
    from cnnviz.index.result import PatchIndex, UnitView
    from cnnviz.studies.channels.selectivity import Selectivity

PATCHES = "patches"  # in place of a rule: the winners' patches themselves
Picture = tuple[bytes, tuple[int, int]]  # PNG, (width, height)


# --- an index and its layers ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class IndexedNetwork:
    """A network, images, and the index of one over the other, complete or partial. `stamp`: of the file it is from.
    `name`: in caches. `whole`: nothing is missing and nothing was left out."""

    network: Network
    images: Corpus
    index: PatchIndex
    stamp: tuple[str, int]
    name: tuple = field(init=False)
    whole: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", (self.network.key, self.images.fingerprint, self.index.meta.get("next")))
        object.__setattr__(
            self, "whole", self.has_images and self.index.complete and not self.index.meta.get("skipped")
        )

    @property
    def has_images(self) -> bool:
        """False for an index file that has come without its images: nothing can be projected back then."""
        return building.has_images(self.images)

    def holds(self, layer: str) -> bool:
        """Whether the layer is indexed."""
        return layer in self.index.tops


@dataclass(frozen=True, eq=False)
class IndexedLayer:
    """One layer of an index. Its pictures are made once for all sessions; what they are of is the library's
    `UnitView`. `key`: of the layer in caches."""

    indexed: IndexedNetwork
    layer: str
    key: tuple = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", (*self.indexed.name, self.layer))

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
        return (*self.key, channel, kind)

    def unit(self, channel: int) -> UnitView:
        """One of its channels, as the library shows it."""
        return self.index.unit(self.layer, channel)

    def patches(self, channel: int) -> list[np.ndarray]:
        """The winners' patches, uint8 (h, w, 3), strongest first; where the images can no longer be read, the small
        crops that the index holds. Empty if it holds none and has come without its images."""
        return picture_cache().get(self.name(channel, PATCHES), lambda: self._cut(channel))

    def _cut(self, channel: int) -> list[np.ndarray]:
        if not self.indexed.has_images and self.layer not in self.index.embedded:
            return []
        return [patch if patch.shape[2] == 3 else to_rgb(patch) for patch in self.unit(channel).patches()]

    def reconstructions(self, channel: int, rule: str) -> list[np.ndarray]:
        """The winners projected back to pixels, uint8 (h, w, 3), in the order of `patches`; empty without images."""
        return picture_cache().get(self.name(channel, rule), lambda: self._project(channel, rule))

    def _project(self, channel: int, rule: str) -> list[np.ndarray]:
        if not self.indexed.has_images:
            return []
        return [reconstruction_rgb(signal) for signal in self.unit(channel).reconstructions(rule)]

    def tile(self, channel: int, side: int, kind: str = PATCHES) -> np.ndarray:
        """Three by three patches, or reconstructions by the rule `kind`, as one picture, uint8 (h, w, 3)."""
        name = self.name(channel, f"{kind} at {side}")
        return picture_cache().get(name, lambda: three_by_three(self._list_parts(channel, kind), side))

    def list_cells(self, channels: list[int], side: int, kind: str = PATCHES) -> list[Task]:
        """How the nine patches or reconstructions of these channels, (9, side, side, 3) each, are kept and made, for a
        page that shows them later."""
        return [(self.name(c, f"{kind}, cells of {side}"), partial(self._fit_cells, c, side, kind)) for c in channels]

    def _fit_cells(self, channel: int, side: int, kind: str) -> np.ndarray:
        return fit_nine(self._list_parts(channel, kind), side)

    def _list_parts(self, channel: int, kind: str) -> list[np.ndarray]:
        return self.patches(channel) if kind == PATCHES else self.reconstructions(channel, kind)

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
        own = image if image in images.ids[:1000] else None
        return rank_image(self.index, self.layer, shared.maps(self.network, image, self.layer), own), own is not None


def _encode(pixels: np.ndarray) -> Picture:
    return rgb_png(pixels), (pixels.shape[1], pixels.shape[0])


def draw_empty(side: int) -> Picture:
    """Three by three pale squares, in place of pictures that are not there yet."""
    return picture_cache().get(("no patches", side), lambda: _encode(three_by_three(None, side)))


# --- opening and building ----------------------------------------------------------------------------------


@st.cache_resource(max_entries=6, show_spinner=False)
def _load_index(path: str, stamp: int) -> PatchIndex:
    from cnnviz.index.result import PatchIndex

    return PatchIndex.load(path)


def find_index(network: Network, images: Corpus) -> IndexedNetwork | None:
    """The index on disk, complete or partial; None if there is none or it cannot be read."""
    before: IndexedNetwork | None = network.indexes.find(images)
    if isinstance(images, AbsentCorpus):
        return before or _keep(IndexedNetwork(network, images, images.kept, ("", 0)))
    path = Path(before.stamp[0]) if before is not None else building.index_path(network, images)
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


def find_layer(network: Network, images: Corpus, layer: str) -> IndexedLayer | None:
    """The layer's index, complete or partial; None while there is none, which is said, and where a small corpus is
    searched by itself."""
    indexed = find_index(network, images)
    if indexed is not None and indexed.holds(layer):
        return IndexedLayer(indexed, layer)
    key = str(building.index_path(network, images))
    job = background.find(key)
    if building.wants_start(images, None if indexed is None else indexed.index, job):
        job = building.try_build(network, images)
    if job is not None and job.running:
        building.watch_build(key, indexed is not None)
    else:
        st.caption("The top-9 patches are not indexed for these images yet.")
    return None


def require_layer(network: Network, images: Corpus, layer: str) -> IndexedLayer:
    """The layer's index, complete or partial; progress, a button, and what was left out are said above.

    Raises PageEnded while there is nothing to show of this layer."""
    indexed = find_index(network, images)
    if indexed is not None and indexed.whole and layer in indexed.index.tops:
        return IndexedLayer(indexed, layer)
    key = str(building.index_path(network, images))
    job = background.find(key)
    refused = False
    if building.wants_start(images, None if indexed is None else indexed.index, job):
        job = building.try_build(network, images)
        refused = job is None
    index = None if indexed is None else indexed.index
    if job is not None and job.running:
        building.watch_build(key, index is not None)
    elif index is not None and not building.has_images(images):
        part = "" if index.complete else f" It is not complete: {plural(index.meta['next'], 'image')} searched so far."
        st.caption(
            f"An index of {plural(index.meta['images'], 'image')} ({as_literal(images.name)}) without them: "
            "patches are small "
            f"crops, and nothing can be projected back.{part}"
        )
    elif not refused and (index is None or not index.complete):
        building.offer_build(network, images, index)
    if job is not None and job.problem:
        st.error(escape_markdown(job.problem))
    if index is not None and index.meta.get("skipped"):
        with st.expander(f"{plural(len(index.meta['skipped']), 'image')} could not be read and were left out"):
            which, why = zip(*index.meta["skipped"], strict=True)
            st.table({"image": [as_literal(name) for name in which], "why": [escape_markdown(words) for words in why]})
    if index is not None and index.complete and layer not in index.tops:
        st.info(as_literal(f"This index does not hold {layer}. It holds: {', '.join(index.layers)}."))
    if indexed is None or not indexed.holds(layer):
        raise shared.PageEnded
    return IndexedLayer(indexed, layer)


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
        name = as_literal(f"{controls.unit_name(layer, channel, row, col)}{note}")
        st.page_link(
            "../pages/unit.py",
            label=f":small[{name}]" if small else name,
            query_params={**query, "layer": layer, "unit": str(channel), **place},
            icon=None if small else ":material/center_focus_strong:",
        )


def small_side(layer: IndexedLayer, wanted: int) -> int:
    """Pixels of a tile's side, near `wanted`, that show a patch of the layer at a whole multiple."""
    return picture_cache().get(
        ("side", layer.network.key, layer.layer, wanted),
        lambda: crisp_side(shared.receptive(layer.network, layer.layer).size, layer.network.input_size[1:], wanted),
    )
