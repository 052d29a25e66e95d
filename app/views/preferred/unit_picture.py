"""Beside the nine patches of a channel: the input that it prefers, coarse at first and refined while one looks."""

from __future__ import annotations

import streamlit as st

from app.components.picture import picture
from app.markdown import as_literal, escape_markdown
from app.session.cache import picture_cache
from app.url import address
from app.views.microscope.look import Look
from app.views.patches.indexing import IndexedLayer
from app.views.preferred import choices, results
from app.views.preferred.results import SynthesisRequest
from cnnviz.figures.base.overlay import input_picture
from cnnviz.figures.synthesis.words import compare_with_best, describe_making, describe_objective


def show(layer: IndexedLayer, look: Look) -> None:
    """The preferred input of the chosen channel, as a link to its page, with what it reaches."""
    settings = choices.settings_of(look)
    words = f"Preferred input of {look.layer} · channel {look.unit}"
    request = SynthesisRequest(layer.network, look.layer, (((look.unit, 1.0),),), settings, words)
    st.page_link("../pages/preferred_inputs.py", label="**Preferred input**", query_params=address.link())
    results.begin("preferred", request)
    found = results.look(request)
    if found.inputs is None:
        blank = results.blank_patch(request.network, look.layer)
        png, size = picture_cache().get(("neutral input", *blank.shape), lambda: input_picture(blank, False))
        picture(png, size, f"{request.words}: being computed", "preferred_picture", fill=True)
        if found.words:
            st.caption(escape_markdown(found.words))
        return
    (one,) = found.inputs
    name = ("preferred picture", request.key, len(one.history))
    png, size = picture_cache().get(name, lambda: input_picture(one.patch, False))
    picture(png, size, request.words, "preferred_picture", fill=True)
    best = results.find_best(layer.index, look.layer, look.unit) if choices.is_peak() else None
    reached = compare_with_best(one.activation, best, as_literal(layer.indexed.images.name))
    made = f"Made to maximise {describe_objective(one)}: {describe_making(one)}."
    st.caption(f"Activation **{reached}**. {found.words or made}")
