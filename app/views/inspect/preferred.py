"""The input that a class's logit prefers, beside the image and what attributions mark in it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.components.picture import labelled_picture
from app.jobs.batch import fill_results
from app.markdown import as_literal, escape_markdown
from app.pickers import bar, comparison
from app.pickers.comparison import Side
from app.session.cache import picture_cache
from app.views.inspect.answer import panel, say_problems, sources
from app.views.inspect.results import QUICK, AttributionMap, Subject, wanted
from app.views.preferred import choices, results
from app.views.preferred.results import Making, SynthesisRequest
from cnnviz.figures.attribution.panels import ImagePanel, Strip, compose_panels, photo_panel
from cnnviz.figures.attribution.words import NAMES
from cnnviz.figures.base.charts import value_text
from cnnviz.figures.synthesis.words import describe_making

SIDE = 224  # pixels of a panel
OPACITY = 0.7  # of a map over the photograph


def view(subjects: dict[Side, Subject]) -> None:
    """The image, the preferred input of the class and quick attributions, of one subject or of two side by side."""
    with bar.row():
        choices.pick(objectives=())
    shown, waiting = st.container(), st.container()
    asked = [wanted(subject, method) for subject in subjects.values() for method in QUICK]
    found = fill_results("preferred", asked, waiting)
    cells = {side: found[n * len(QUICK) :][: len(QUICK)] for n, side in enumerate(subjects)}

    def draw(side: Side) -> None:
        subject = subjects[side]
        request = ask(subject)
        results.begin(side.key("preferred_class"), request)
        _draw(side, subject, request, cells[side])
        say_problems(QUICK, cells[side])

    with shown:
        comparison.show(subjects, draw)
    st.write(
        "First what was photographed, and what was made from noise so that the class's logit is as large as it can be; "
        "then which pixels of the photograph that logit depends on. **Notice** that the made image often has parts "
        "of the class several times and no whole object, and that its logit goes far beyond the photograph's."
    )
    st.caption(
        "Preferred input: x* = argmax over x of z(x), the class's logit before the softmax (Erhan et al. 2009; "
        "Simonyan, Vedaldi, Zisserman 2014, section 2), in a Fourier basis, with random views "
        "(Olah, Mordvintsev, Schubert 2017)."
    )
    sources(QUICK)


def ask(subject: Subject) -> SynthesisRequest:
    """What is asked of a network: the preferred input of the class."""
    words = f"Preferred input of {subject.name}"
    return SynthesisRequest(subject.network, None, (((subject.target, 1.0),),), choices.settings_of(None), words)


def _draw(half: Side, subject: Subject, request: SynthesisRequest, cells: list[AttributionMap | None]) -> None:
    found = results.look(request)
    steps = 0 if found.inputs is None else len(found.inputs[0].history)
    there = tuple(cell is not None for cell in cells)
    name = ("preferred class", *subject.key[:2], request.key, steps, there)
    shown = picture_cache().get(name, lambda: _compose(subject, found, cells))
    words = half.alt(f"The image, the preferred input of {subject.name}, and {len(QUICK)} attributions")
    labelled_picture(shown, words, half.key("preferred_strip"))
    made = f"Preferred input of {as_literal(subject.name)}: {describe_making(found.inputs[0])}." if found.inputs else ""
    st.caption(found.words or made)
    for said in found.inputs[0].assumed if found.inputs else ():
        st.caption(escape_markdown(said))


def _compose(subject: Subject, found: Making, cells: list[AttributionMap | None]) -> Strip:
    side = subject.side(SIDE)
    logit = value_text(float(subject.answer.logits[subject.target]))
    panels: list[Any] = [photo_panel(subject.received, f"The image: logit {logit}", side)]
    if found.inputs is None:
        panels.append(ImagePanel(None, "Preferred input"))
    else:
        (one,) = found.inputs
        panels.append(photo_panel(one.image, f"Preferred: logit {value_text(one.activation)}", side))
    panels += [panel(subject, m, cell, OPACITY, side, NAMES[m]) for m, cell in zip(QUICK, cells, strict=True)]
    return compose_panels(panels, 3, side)
