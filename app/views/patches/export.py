"""A whole layer for print: made beside the page, kept on disk, offered as PNG and PDF."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.jobs import background, watch
from app.jobs.background import Report
from app.markdown import escape_markdown
from app.session import uploads
from app.url import address
from app.views.patches import indexing
from app.views.patches.indexing import IndexedLayer
from cnnviz.figures.base.charts import value_text
from cnnviz.figures.patches.wall import fit_tile
from cnnviz.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

PREPARE: dict[str, Any] = dict(
    icon=":material/print:",
    key="prepare_sheet",
    help="PNG and PDF, A4 at 300 dpi: every unit with its patches and reconstructions.",
)


def offer(layer: IndexedLayer, rule: str) -> None:
    """A button that makes the files, progress while they are made, then one button for each."""
    files = _list_files(layer, rule)
    key, count = str(files[0]), len(layer.index.tops[layer.layer].values)
    job = background.find(key)
    if all(file.is_file() for file in files):
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            for file, kind in zip(files, ("application/pdf", "image/png"), strict=True):
                words, name = f"Whole layer, {file.suffix[1:].upper()}", _name_file(layer, file.suffix)
                options: dict[str, Any] = dict(key=f"sheet{file.suffix}", on_click="ignore", icon=":material/download:")
                st.download_button(words, file.read_bytes(), name, kind, **options)
    elif job is not None and job.running:
        watch.draw_jobs("sheet", [key])
    elif st.button(f"Prepare the whole layer for print ({count} units)", **PREPARE):
        background.start(key, f"Drawing {layer.layer}", partial(_make, layer, rule))
        address.rerun()
    if job is not None and job.problem:
        st.error(escape_markdown(job.problem))


def _list_files(layer: IndexedLayer, rule: str) -> tuple[Path, Path]:
    base = indexing.index_path(layer.network, layer.indexed.images).stem
    safe = layer.layer.replace("/", "_").replace(":", "_")
    name = f"{base}-{layer.index.meta.get('next')}-{safe}-{rule}"
    folder = uploads.cache_folder("sheets")
    return folder / f"{name}.pdf", folder / f"{name}.png"


def _name_file(layer: IndexedLayer, suffix: str) -> str:
    return f"{layer.network.model.name}-{layer.layer}-top9{suffix}".replace("/", "_").replace(":", "_")


def _make(layer: IndexedLayer, rule: str, report: Report) -> None:
    from cnnviz.figures.patches.sheet import choose_columns, layer_pages, patch_side, pdf_bytes, png_bytes
    from cnnviz.figures.patches.wall import Block
    from cnnviz.store import write_bytes_atomic

    index, images = layer.index, layer.indexed.images
    blocks, count = [], index.channels(layer.layer)
    columns = choose_columns(count)
    side = patch_side(columns)
    for channel in range(count):
        best = index.top(layer.layer, channel)
        reach = f": {value_text(best[0].value)} to {value_text(best[-1].value)}" if best else ""
        words = f"channel {channel}{reach}" if columns < 8 else f"{channel}{reach}"
        patches, low = ([_reduce(p, side) for p in part] for part in layer.draw_once(channel, rule))
        blocks.append(Block(channel, patches, low, words))
        if not report(Progress(channel + 1, count, "units")):
            return
    note = f"top-{layer.k} of {index.meta['images']:,} images of {images.name}; {rule}; drawn with cnnviz"
    pages = layer_pages(blocks, f"{layer.network.model.name} · {layer.layer}", note, columns)
    for file, data in zip(_list_files(layer, rule), (pdf_bytes, png_bytes), strict=True):
        write_bytes_atomic(file, data(pages))


def _reduce(patch: np.ndarray, side: int) -> np.ndarray:
    """A patch no larger than it is drawn: whole inputs of a thousand units would fill the memory."""
    return patch if max(patch.shape[:2]) <= side else fit_tile(patch, side)
