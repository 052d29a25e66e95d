"""The preferred inputs of a whole layer as a wall: a job beside the page whose file another visit goes on from."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from app import access, limits
from app.components.wall import TileText, show_wall
from app.jobs import background, watch
from app.jobs.background import Report
from app.pickers import comparison
from app.pickers.comparison import Side
from app.session import shared, uploads
from app.session.cache import picture_cache, study_cache
from app.session.networks import Network
from app.views.microscope.look import Look, choose_unit
from app.views.preferred import choices, results
from cnnviz.errors import BadInput, Cancelled
from cnnviz.figures.base.atlas import Atlas, cells_atlas
from cnnviz.figures.base.charts import value_text
from cnnviz.figures.patches.wall import EMPTY
from cnnviz.progress import Progress
from cnnviz.synthesis.settings import SynthesisSettings
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.synthesis.wall import PreferredWall

SMALL = 64  # pixels of an input up to which a layer begins by itself


def show(sides: list[Side], look: Look) -> None:
    """The wall of one network, or of two side by side; a click chooses the channel."""

    def draw(side: Side) -> None:
        settings = choices.settings_of(look, objectives=choices.OF_ALL)
        slot, path = side.key("preferred_layer"), _path(side, settings)
        words = f"Preferred inputs of {side.layer}"
        watch.follow(slot, str(path))
        wall, channels = _read(path), shared.layer_shapes(side.network)[side.layer][0]
        if wall is None or not wall.done.all():
            wall = _make(slot, path, side, settings, words) or wall
        done = 0 if wall is None else int(wall.done.sum())
        name = ("preferred wall", str(path), done)
        atlas, texts = picture_cache().get(name, lambda: _draw(side.network, side.layer, wall, channels))
        alt, foot = side.alt(f"{words}, {done} of {plural(channels, 'channel')}"), _describe(done, channels)
        group = comparison.group_of(sides)
        show_wall(atlas, texts, alt, side.key("layer_wall"), look.unit, None, _choose, foot=foot, group=group)

    comparison.show(sides, draw)


def _choose(channel: int, _row: int | None, _col: int | None) -> None:
    choose_unit(channel)


def _describe(done: int, channels: int) -> str:
    return "" if done in (0, channels) else f"{done} of {plural(channels, 'channel')} made."


def _path(side: Side, settings: SynthesisSettings) -> Path:
    from cnnviz.synthesis.wall import name_wall

    return uploads.cache_folder(results.FOLDER) / name_wall(side.network.model, side.layer, settings)


def _read(path: Path) -> PreferredWall | None:
    """What was kept of it, whole or in part."""
    from cnnviz.synthesis.wall import PreferredWall

    try:
        stamp = path.stat().st_mtime_ns
    except OSError:
        return None
    try:
        uploads.use(path)
        return study_cache().get(("preferred wall", str(path), stamp), lambda: PreferredWall.load(path))
    except BadInput:  # written by another version: made anew
        path.unlink(missing_ok=True)
        return None


def _make(slot: str, path: Path, side: Side, settings: SynthesisSettings, words: str) -> PreferredWall | None:
    """Go on with it, or offer that; what there is of it so far."""
    job, channels = background.find(str(path)), shared.layer_shapes(side.network)[side.layer][0]
    if (job is None or not job.running) and not access.may_start():
        st.caption(results.NOT_YET)
        return None
    begun = path.is_file()
    offer = f"{'Continue' if begun else 'Make'}: {plural(channels, 'preferred input')} of {side.layer}"
    at_once = max(side.network.input_size[1:]) <= SMALL
    work = partial(_work, side.network, side.layer, settings, path)
    job = watch.start_or_offer(slot, str(path), words, work, offer, at_once, patient=True)
    if job is None:
        return None
    made = _count(job.partial)
    watch.expect(lambda: _count(job.partial) > made or not job.running)
    results.show_progress(slot, job)
    return job.partial


def _count(wall: PreferredWall | None) -> int:
    return 0 if wall is None else int(wall.done.sum())


def _work(network: Network, layer: str, settings: SynthesisSettings, path: Path, report: Report) -> None:
    from cnnviz.synthesis.wall import maximize_layer

    latest: PreferredWall | None = None

    def keep(wall: PreferredWall) -> None:
        nonlocal latest
        latest = wall

    def tell(progress: Progress) -> bool:
        return report(progress, latest)

    try:
        maximize_layer(network.model, layer, settings=settings, out=path, progress=tell, show=keep)
    except Cancelled:
        return  # what was made is in the file
    uploads.keep_newest(path.parent, "preferred-*.npz", limits.STORED_WALLS)


def _draw(network: Network, layer: str, wall: PreferredWall | None, channels: int) -> tuple[Atlas, list[TileText]]:
    classes = shared.class_names(network, layer)
    if wall is None:
        blank = np.full_like(results.blank_patch(network, layer), EMPTY)
        patches, made = np.stack([blank] * channels), np.full(channels, np.nan)
    else:
        patches, made = wall.patches.copy(), wall.activations.copy()
        patches[np.isnan(made)] = EMPTY
    texts = []
    for channel, value in enumerate(made):
        short = f"{channel}" if not classes else classes[channel]
        named = f"channel {channel}" + (f" · {classes[channel]}" if classes else "")
        if np.isnan(value):
            texts.append(TileText(channel, short, named, "not made yet"))
        else:
            reached = value_text(float(value))
            texts.append(TileText(channel, f"{short} · {reached}", named, f"activation {reached}"))
    return cells_atlas(patches[:, None, None]), texts
