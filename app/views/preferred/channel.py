"""The preferred inputs of one channel: different images of it at once, from a random start."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app.components.wall import TileText, show_wall
from app.jobs import watch
from app.markdown import escape_markdown
from app.pickers import bar, comparison
from app.pickers.comparison import Side
from app.session.cache import picture_cache
from app.views.microscope.look import Look
from app.views.patches.indexing import IndexedLayer
from app.views.preferred import choices, results
from app.views.preferred.results import Making, SynthesisRequest
from cnnviz.figures.base.atlas import Atlas, cells_atlas
from cnnviz.figures.base.charts import value_text
from cnnviz.figures.synthesis.words import describe_making, describe_objective
from cnnviz.synthesis.result import PreferredInput

SMALL, FEW, MANY = 64, 4, 6  # pixels of an input up to which there are many images


def show(sides: list[Side], look: Look, layer: IndexedLayer | None) -> None:
    """Several images of the channel, of one network or of two side by side; `layer`: of the index over the corpus."""

    def draw(side: Side) -> None:
        request = ask(side, look)
        job = results.begin(side.key("preferred_copies"), request)
        _draw(side, request, None if side.second else layer)
        if job is not None:
            with bar.row():
                watch.cancel_button(side.key("preferred_copies"), job)

    comparison.show(sides, draw)


def ask(side: Side, look: Look) -> SynthesisRequest:
    """What is asked of one half: images of the channel that is looked at."""
    copies = MANY if max(side.network.input_size[1:]) <= SMALL else FEW
    words = f"Preferred inputs of {side.layer} · channel {look.unit}"
    return SynthesisRequest(side.network, side.layer, (((look.unit, 1.0),),), choices.settings_of(look, copies), words)


def _draw(side: Side, request: SynthesisRequest, layer: IndexedLayer | None) -> None:
    found = results.look(request)
    best = (
        results.find_best(layer.index, side.layer, request.channel) if layer is not None and choices.is_peak() else None
    )
    name = ("preferred copies", request.key, _steps(found), best)
    atlas, texts = picture_cache().get(name, lambda: _draw_copies(request, found.inputs, best))
    alt = side.alt(request.words + (", being computed" if found.going else ""))
    show_wall(atlas, texts, alt, side.key("copies_wall"), foot=_describe(found))
    if found.inputs is not None:
        for words in found.inputs[0].assumed:
            st.caption(escape_markdown(words))


def _steps(found: Making) -> int:
    return 0 if found.inputs is None else len(found.inputs[0].history)


def _describe(found: Making) -> str:
    if found.words or found.inputs is None:
        return found.words
    one = found.inputs[0]
    return f"Maximised: {describe_objective(one)}. {describe_making(one)}."


def _draw_copies(
    request: SynthesisRequest, inputs: list[PreferredInput] | None, best: float | None
) -> tuple[Atlas, list[TileText]]:
    if inputs is None:
        blank = results.blank_patch(request.network, request.layer)
        texts = [TileText(number, "being computed", f"image {number + 1}") for number in range(request.settings.copies)]
        return cells_atlas(np.stack([blank] * request.settings.copies)[:, None, None]), texts
    texts = []
    for number, one in enumerate(inputs):
        words = f"activation {value_text(one.activation)}"
        if best is not None and best > 0:
            words += f" · {one.activation / best:.3g} × the best patch"
        texts.append(TileText(number, words, f"image {number + 1}", words))
    return cells_atlas(np.stack([one.patch for one in inputs])[:, None, None]), texts
