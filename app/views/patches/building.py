"""The file of a patch index, and the job that makes it beside the page."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import access
from app.jobs import background, watch
from app.markdown import as_literal, escape_markdown
from app.pickers.corpus import OFFLINE
from app.pickers.index_file import AbsentCorpus
from app.session import shared, uploads
from app.session.networks import Network
from app.url import address
from cnnviz.data.grouping import EACH
from cnnviz.errors import BadInput
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus
    from cnnviz.index.result import PatchIndex


def has_images(images: Corpus) -> bool:
    """False for an index file that has come without its images."""
    return not isinstance(images, AbsentCorpus)


def index_path(network: Network, images: Corpus) -> Path:
    """Where the index of this network over these images lies; the same after a restart."""
    group = "" if images.group == EACH else f"-{hashlib.sha256(images.group.encode()).hexdigest()[:8]}"
    name = f"{network.model.fingerprint[:20]}-{images.fingerprint[:20]}{group}.npz"
    return uploads.cache_folder("indexes") / name


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


def wants_start(images: Corpus, index: PatchIndex | None, job: background.Job | None) -> bool:
    """True for a small corpus whose index is missing or unfinished, unless somebody cancelled it, in whatever tab."""
    if not has_images(images) or images.name not in OFFLINE or (index is not None and index.complete):
        return False
    return job is None or not (job.running or job.problem or job.unwanted)


def watch_build(key: str, shown: bool) -> None:
    """Progress of a running job; the page is drawn anew also when a first partial index can be `shown`."""
    watch.draw_jobs("index", [key], lambda: not shown and Path(key).is_file())


def offer_build(network: Network, images: Corpus, index: PatchIndex | None) -> None:
    """Say how many images are to be indexed, and draw the button that starts it."""
    done = f" {index.meta['next']:,} are done." if index else ""
    name = as_literal(images.name)
    st.info(f"{plural(len(images), 'image')} of {name} to index.{done} One pass serves every layer and channel.")
    asked = st.button("Continue" if index else "Build the index", type="primary")
    if asked and try_build(network, images) is not None:
        address.rerun()
