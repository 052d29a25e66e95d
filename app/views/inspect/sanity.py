"""The view of the sanity check: each attribution from trained and from random weights, and the cascade between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app.components.picture import labelled_picture
from app.components.plots import plot
from app.jobs import studies
from app.jobs.batch import fill_results
from app.pickers import controls
from app.session import shared
from app.session.cache import picture_cache
from app.views.inspect.answer import GRADIENTS, say_problems
from app.views.inspect.results import METHODS, AttributionMap, Subject, wanted, wanted_random
from cnnviz.figures.attribution.panels import ImagePanel, compose_panels, map_panel, photo_panel, veiled_panel
from cnnviz.figures.attribution.sanity import cascade_figure
from cnnviz.figures.attribution.words import NAMES, SHORT, correlation_text

if TYPE_CHECKING:
    from cnnviz.studies.attribution.sanity import Cascade

CHECKED = METHODS[:-1]  # occlusion asks for answers, which random weights do not have
SIDE = 160  # pixels of a panel


def pick_method(row: Any) -> str:
    """The method whose cascade is shown."""
    with row:
        return controls.bind(
            st.selectbox,
            "Cascade of",
            "method",
            "guided_backprop",
            options=list(CHECKED),
            format_func=NAMES.get,
            width=190,
        )


def view(subject: Subject, method: str, opacity: float) -> None:
    """Two rows of maps with their rank correlations, then the curve."""
    if subject.network.untrained:
        st.info("This network has random weights already: load trained ones to check what depends on them.")
    place, waiting = st.empty(), st.container()
    first, second = ([make(subject, m) for m in CHECKED] for make in (wanted, wanted_random))
    quick = len(CHECKED) - 1  # integrated gradients come last
    asked = [*first[:quick], *second[:quick], first[quick], second[quick]]
    cells = fill_results("sanity", asked, waiting)
    found = dict(zip((one.recipe for one in asked), cells, strict=True))
    trained, random = ([found[one.recipe] for one in part] for part in (first, second))
    with place:
        _grid(subject, trained, random, opacity)
    say_problems(CHECKED, trained)
    if all(cell is not None for cell in cells):
        _cascade(subject, method)
    st.write(
        "Above: attributions by the trained network. Below: by the same network with random weights, for the same "
        "class. **Notice** which maps hardly change: they show the image's edges, whatever was learned."
    )
    with st.expander("Formula and source"):
        st.write(
            "ρ is Spearman's rank correlation of the magnitudes of both maps: 1 if the same pixels come first, 0 for "
            "unrelated maps. Random weights: kernels from N(0, 2 / fan-in), biases 0, norms as before training. In the "
            "cascade, layers get random weights one after another from the classifier down. Adebayo et al., NeurIPS "
            "2018 (arXiv:1810.03292), section 3."
        )


def _grid(
    subject: Subject, trained: list[AttributionMap | None], random: list[AttributionMap | None], opacity: float
) -> None:
    there, side = tuple(cell is not None for cell in (*trained, *random)), subject.side(SIDE)

    def draw() -> Any:
        rows = [photo_panel(subject.received, "Trained", side)]
        rows += [_panel(subject, m, cell, opacity, SHORT[m]) for m, cell in zip(CHECKED, trained, strict=True)]
        rows.append(photo_panel(subject.received, "Random weights", side))
        for m, cell in zip(CHECKED, random, strict=True):
            text = "" if cell is None or cell.problem else correlation_text(cell.absolute)
            rows.append(_panel(subject, m, cell, opacity, text))
        return compose_panels(rows, 1 + len(CHECKED), side)

    shown = picture_cache().get(("sanity", *subject.key[:2], subject.target, there, opacity), draw)
    labelled_picture(shown, f"Attributions for {subject.name}: trained above, random weights below", "inspect_sanity")


def _panel(subject: Subject, method: str, cell: AttributionMap | None, opacity: float, title: str) -> ImagePanel:
    side = subject.side(SIDE)
    if cell is None:
        return ImagePanel(None, title)
    if cell.problem:
        return veiled_panel(subject.received, title, side, "not for this network")
    return map_panel(subject.received, cell.values, cell.signed, title, side, opacity, method in GRADIENTS)


def _cascade(subject: Subject, method: str) -> None:
    model, image, target = subject.network.model, subject.image, subject.target

    def make(progress: Any) -> Cascade:
        from cnnviz.studies.attribution.sanity import cascade

        return cascade(model, shared.photo(image), method, target, progress=progress)

    found: Cascade | None = studies.result(
        "cascade",
        ("cascade", *subject.key[:2], target, method),
        f"Cascade of {NAMES[method]}",
        make,
        at_once=max(model.input_size[1:]) <= 64,
    )
    if found is None:
        return
    figure = cascade_figure(found.layers, found.correlation, found.absolute)
    plot(figure, "Rank correlation over the depth of randomisation", "cascade", f"{model.name}-{method}-cascade")
    st.caption(f"{NAMES[method]}: rank correlation with the trained map, random weights from the classifier down to …")
