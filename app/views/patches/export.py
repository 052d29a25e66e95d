"""A whole layer for print: made beside the page, kept on disk, offered as PNG and PDF."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.jobs import background
from app.markdown import escape_markdown
from app.pickers.controls import Network
from app.session import uploads
from app.url import address
from app.views.patches import indexing
from cnnviz.figures.base.charts import value_text
from cnnviz.figures.patches.wall import fit_tile

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from cnnviz.data.corpus import Corpus
    from cnnviz.index.result import PatchIndex


@dataclass(frozen=True, slots=True)
class _Done:
    """Units drawn of how many."""

    done: int
    total: int


def offer(network: Network, images: Corpus, index: PatchIndex, layer: str, rule: str) -> None:
    """A button that makes the files, progress while they are made, then one button for each."""
    files = _files(network, images, index, layer, rule)
    key, count = str(files[0]), index.channels(layer)
    job = background.find(key)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if all(file.is_file() for file in files):
            for file, kind in zip(files, ("application/pdf", "image/png"), strict=True):
                st.download_button(
                    f"Whole layer, {file.suffix[1:].upper()}", file.read_bytes(), _name(network, layer, file.suffix),
                    kind, key=f"sheet{file.suffix}", on_click="ignore", icon=":material/download:",
                )  # fmt: skip
        elif job is not None and job.running:
            _progress(key)
            st.button("Cancel", key="cancel_sheet", on_click=job.cancel, disabled=job.cancelled)
        elif st.button(
            f"Prepare the whole layer for print ({count} units)", icon=":material/print:", key="prepare_sheet",
            help="PNG and PDF, A4 at 300 dpi: every unit with its patches and reconstructions.",
        ):  # fmt: skip
            background.start(key, f"Drawing {layer}", lambda report: _make(network, images, index, layer, rule, report))
            address.rerun()
    if job is not None and job.problem:
        st.error(escape_markdown(job.problem))


def _files(network: Network, images: Corpus, index: PatchIndex, layer: str, rule: str) -> tuple[Path, Path]:
    base = indexing.index_path(network, images).stem
    name = f"{base}-{index.meta.get('next')}-{layer.replace('/', '_').replace(':', '_')}-{rule}"
    folder = uploads.cache_folder("sheets")
    return folder / f"{name}.pdf", folder / f"{name}.png"


def _name(network: Network, layer: str, suffix: str) -> str:
    return f"{network.model.name}-{layer}-top9{suffix}".replace("/", "_").replace(":", "_")


def _make(network: Network, images: Corpus, index: PatchIndex, layer: str, rule: str, report: Any) -> None:
    from cnnviz.figures.patches.sheet import choose_columns, layer_pages, patch_side, pdf_bytes, png_bytes
    from cnnviz.figures.patches.wall import Block
    from cnnviz.store import write_bytes_atomic

    blocks, count = [], index.channels(layer)
    columns = choose_columns(count)
    side = patch_side(columns)
    for channel in range(count):
        best = index.top(layer, channel)
        reach = f": {value_text(best[0].value)} to {value_text(best[-1].value)}" if best else ""
        words = f"channel {channel}{reach}" if columns < 8 else f"{channel}{reach}"
        parts = indexing.pictures(network, images, index, layer, channel, rule)
        patches, low = ([_held(p, side) for p in part] for part in parts)
        blocks.append(Block(channel, patches, low, words))
        if not report(_Done(channel + 1, count)):
            return
    note = (
        f"top-{index.meta.get('k', 9)} of {index.meta['images']:,} images of {images.name}; {rule}; drawn with cnnviz"
    )
    pages = layer_pages(blocks, f"{network.model.name} · {layer}", note, columns)
    for file, data in zip(_files(network, images, index, layer, rule), (pdf_bytes, png_bytes), strict=True):
        write_bytes_atomic(file, data(pages))


def _held(patch: np.ndarray, side: int) -> np.ndarray:
    """A patch no larger than it is drawn: whole inputs of a thousand units would fill the memory."""
    return patch if max(patch.shape[:2]) <= side else fit_tile(patch, side)


@st.fragment(run_every=0.5)
def _progress(key: str) -> None:
    job = background.find(key)
    if job is None or not job.running:
        address.rerun()
    if job.place:
        st.progress(0.0, f"{job.name}: {job.waiting()}")
        return
    state = job.state or _Done(0, 1)
    st.progress(state.done / max(state.total, 1), f"{job.name}: {state.done} of {state.total} units")
