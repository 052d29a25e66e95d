"""What pages with a patch index share: getting the index, pictures that come after the first paint, links."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.jobs import background
from app.markdown import as_literal, escape_markdown
from app.pickers import controls
from app.pickers.controls import Network
from app.session import shared
from app.url import address
from app.views.patches import indexing

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus
    from cnnviz.index.result import PatchIndex
    from cnnviz.studies.channels.connectivity import Connectivity
    from cnnviz.studies.channels.selectivity import Selectivity

Where = tuple[Network, "Corpus", "PatchIndex", str]  # what is shown: network, images, their index, layer
SLICE = 0.7  # seconds of work between two paints
PAINT = 0.06  # seconds that a browser on the same cores has for the page before work begins


def ready_index(network: Network, images: Corpus, layer: str) -> PatchIndex:
    """The index, complete or partial; progress, a button, and what was left out are said above.

    Raises PageEnded while there is nothing to show of this layer."""
    key = str(indexing.index_path(network, images))
    index, job = indexing.saved_index(network, images), background.find(key)
    refused = False
    if indexing.wants_start(images, index, job):
        job = indexing.begun(network, images)
        refused = job is None
    here = indexing.has_images(images)
    if job is not None and job.running:
        indexing.watch(key, index is not None)
    elif index is not None and not here:
        part = "" if index.complete else f" It is not complete: {index.meta['next']:,} images are searched."
        st.caption(
            f"An index of {index.meta['images']:,} images ({as_literal(images.name)}) without them: patches are small "
            f"crops, and nothing can be projected down.{part}"
        )
    elif not refused and (index is None or not index.complete):
        done = f" {index.meta['next']:,} are done." if index else ""
        name = as_literal(images.name)
        st.info(f"{len(images):,} images of {name} to index.{done} One pass serves every layer and channel.")
        asked = st.button("Continue" if index else "Build the index", type="primary")
        if asked and indexing.begun(network, images) is not None:
            address.rerun()
    if job is not None and job.problem:
        st.error(escape_markdown(job.problem))
    if index is not None and index.meta.get("skipped"):
        with st.expander(f"{len(index.meta['skipped'])} images could not be read and were left out"):
            which, why = zip(*index.meta["skipped"], strict=True)
            st.table({"image": [as_literal(name) for name in which], "why": [escape_markdown(words) for words in why]})
    if index is not None and index.complete and layer not in index.layers:
        st.info(f"This index does not hold {layer}. It holds: {', '.join(index.layers)}.")
    if index is None or layer not in index.layers:
        raise shared.PageEnded
    return index


class Later:
    """Results that take a while: the page is painted without them, and again as they come. Those that `lead` are what
    the visitor looks at: where there is none yet, one of them comes first and is shown at once."""

    def __init__(self) -> None:
        self._waiting: list[tuple[tuple, Callable[[], Any]]] = []
        self._soon: list[tuple[tuple, Callable[[], Any]]] = []
        self._first: int | None = None  # of those that wait, the first that leads
        self._begun = False

    def get(self, recipe: tuple, make: Callable[[], Any], lead: bool = False) -> Any:
        """What `make()` returns if it is there already, else None, and it is made by `work`."""
        if shared.is_drawn(recipe):
            self._begun = self._begun or lead
            return shared.drawn(recipe, make)
        if lead and self._first is None:
            self._first = len(self._waiting)
        self._waiting.append((recipe, make))
        return None

    def ahead(self, recipe: tuple, make: Callable[[], Any]) -> None:
        """What the next click may ask for; made by `work` once nothing else is waiting."""
        self._soon.append((recipe, make))

    def work(self) -> None:
        """The last thing on a page: make what is missing for SLICE seconds, then draw the page anew."""
        started, place = time.monotonic(), st.empty()
        at_once = self._first is not None and not self._begun
        if at_once:
            time.sleep(PAINT)
            self._waiting.insert(0, self._waiting.pop(self._first))
        for recipe, make in self._waiting:
            place.empty()  # here Streamlit turns to a click that has come meanwhile
            shared.drawn(recipe, make)
            if at_once or time.monotonic() - started > SLICE:
                break
        if self._waiting:
            address.rerun()
        address.finish()
        for recipe, make in self._soon:
            if not shared.is_drawn(recipe):
                place.empty()
                shared.drawn(recipe, make)


def reconstructions(
    later: Later, network: Network, images: Corpus, index: PatchIndex, layer: str, channel: int, rule: str,
    lead: bool = False,
) -> list | None:  # fmt: skip
    """The reconstructions of a channel's winners; None while they are computed."""
    where = (network, images, index, layer, channel, rule)
    return later.get(indexing.recipe(*where), lambda: indexing.reconstructions(*where), lead)


@st.cache_resource(max_entries=64, show_spinner=False)
def _selectivity(key: str, _index: PatchIndex, layer: str) -> Selectivity | None:
    from cnnviz.studies.channels.selectivity import selectivity

    return selectivity(_index, layer)


def selective(network: Network, images: Corpus, index: PatchIndex, layer: str) -> Selectivity | None:
    """Class selectivity of a layer's channels; None where the images have no labels."""
    return _selectivity(f"{network.key} {images.fingerprint} {index.meta.get('next')}", index, layer)


def wired(later: Later, network: Network) -> Connectivity | None:
    """Which channels feed which; None while the graph is followed. Empty where it cannot be."""

    def make() -> Connectivity:
        from cnnviz.errors import CnnvizError
        from cnnviz.studies.channels.connectivity import Connectivity, trace_connectivity

        try:
            return trace_connectivity(network.model)
        except CnnvizError:
            return Connectivity({}, {})

    return later.get(("wiring", network.key), make)


def places(network: Network, images: Corpus, index: PatchIndex, layer: str, image: str) -> Any:
    """(C,) the place that the photograph would take in each channel of the layer, 0 = none; and whether it is one
    of the images searched."""
    from cnnviz.studies.channels.ranking import rank_image as found

    own = images.index(image) if image in images.ids[:1000] else None
    maps = shared.maps(network.key, image, layer, network.model)
    return found(index, layer, maps, own), own is not None


def unit_link(
    layer: str, channel: int, row: int | None = None, col: int | None = None, note: str = "", small: bool = False
) -> None:
    """The unit's name as the way to its page; `note` follows it."""
    name = f"{controls.unit_name(layer, channel, row, col)}{note}"
    place = {} if row is None else {"row": row, "col": col}
    st.page_link(
        "../pages/unit.py", label=f":small[{name}]" if small else name,
        query_params=address.link(("row", "col"), layer=layer, unit=channel, **place),
        icon=None if small else ":material/center_focus_strong:",
    )  # fmt: skip
