"""The first-layer filters of a run at each moment that it keeps, on one scale: a wall, or a small picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app.components.motion.player import Reel
from app.components.picture import picture, picture_data
from app.components.wall import TileText, show_wall, wall_data
from app.markdown import escape_markdown
from app.pickers import bar
from app.session.cache import picture_cache
from app.views.training import moment as moments
from app.views.training import runs
from app.views.training.moment import Moment
from cnnviz.errors import CnnvizError
from cnnviz.figures.base.atlas import Atlas, filters_atlas
from cnnviz.figures.base.charts import signed_tiles
from cnnviz.figures.base.mosaic import Mosaic, tiles_mosaic
from cnnviz.training.record.result import RecordedRun
from cnnviz.wording import plural

WALL, SMALL = "training_filters", "moment_filters"  # keys of the components
_SIDE = 212  # pixels of the small picture


def view(row: Any) -> None:
    """The wall of filters, which follows the slider."""
    names = runs.pick(row)
    moment = moments.draw_panel(names)
    if moment is None or not moment.run.filters:
        st.info(
            "This run keeps no filters of a first layer (yet): its network has no convolution, or nothing is written."
        )
        return
    try:
        kernels, full = _load(moment.run, moment.step), _find_full(moment.run)
    except CnnvizError as error:
        st.info(escape_markdown(str(error)))
        return
    atlas = _atlas(moment.run, moment.step)
    texts = [
        TileText(n, str(n), f"channel {n}", f"weights from {one.min():.3f} to {one.max():.3f}")
        for n, one in enumerate(kernels)
    ]
    ends = (f"-{full:.3f}", f"{full:.3f}") if atlas.code == "signed" else None
    words = f"{plural(len(kernels), 'filter')} of the first layer, {_describe(moment)}"
    moments.offer_play(moment, row, ("filters",), lambda: _make_reel(moment.run))
    show_wall(atlas, texts, words, WALL, ends=ends)
    with bar.panel():
        moments.tell_moment(moment)
        moments.offer_network(moment)
    st.write(
        f"{_describe(moment).capitalize()}: each tile is the kernel of one channel of the first layer, all moments on "
        "one scale. **Notice** how noise becomes edges, colours and blobs, and after how little of the training most "
        "of them stay."
    )


def draw_small(moment: Moment) -> None:
    """The filters of the moment in the panel beside the curves."""
    if not moment.run.filters:
        return
    try:
        small = _mosaic(moment.run, moment.step)
    except CnnvizError:
        return  # the view of the filters says why
    picture(small.png, small.size, f"First-layer filters, {_describe(moment)}", SMALL, fill=True)


def small_frame(run: RecordedRun, step: int) -> dict[str, Any]:
    """What the browser draws of them at another moment."""
    small = _mosaic(run, step)
    return picture_data(small.png, small.size)


def _describe(moment: Moment) -> str:
    """The moment of the filters that are shown: the nearest that are kept."""
    kept = moments.nearest_filters(moment.run, moment.step)
    return moment.words if kept is None else moments.describe(moment.run, kept)


def _make_reel(run: RecordedRun) -> Reel:
    return Reel([{WALL: wall_data(_atlas(run, step))} for step in moments.list_steps(run)])


def _recipe(run: RecordedRun, step: int) -> tuple:
    kept = moments.nearest_filters(run, step)
    stamp = run.filters[kept].stat().st_mtime_ns if kept is not None else 0
    return run.name, kept, stamp, _find_full(run)


def _load(run: RecordedRun, step: int) -> np.ndarray:
    kept = moments.nearest_filters(run, step)
    assert kept is not None
    return np.nan_to_num(run.load_filters(kept), posinf=0.0, neginf=0.0)


def _find_full(run: RecordedRun) -> float:
    """The largest weight at the first and at the last moment: full contrast at all of them."""
    ends = [min(run.filters), max(run.filters)]
    return picture_cache().get(
        ("training full", run.name, tuple(str(run.filters[end]) for end in ends), run.written),
        lambda: max(float(np.abs(_load(run, end)).max()) for end in ends),
    )


def _atlas(run: RecordedRun, step: int) -> Atlas:
    def make() -> Atlas:
        from cnnviz.probes.filters import tile_kernels

        return filters_atlas(*tile_kernels(_load(run, step), full=_find_full(run)))

    return _cached("training atlas", run, step, make)


def _mosaic(run: RecordedRun, step: int) -> Mosaic:
    def make() -> Mosaic:
        from cnnviz.probes.filters import tile_kernels

        tiles, _scale = tile_kernels(_load(run, step), full=_find_full(run))
        return tiles_mosaic(signed_tiles(tiles), None, _SIDE, _SIDE, captions=False)

    return _cached("training mosaic", run, step, make)


def _cached(what: str, run: RecordedRun, step: int, make: Any) -> Any:
    """Raises BadInput where the files are gone or damaged."""
    try:
        return picture_cache().get((what, *_recipe(run, step)), make)
    except OSError as error:
        from cnnviz.errors import BadInput

        raise BadInput(f"The filters of this moment of {run.name} are no longer there.") from error
