"""The first view: the image, what the network answers with its logits, the loss of a label, and quick attributions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.components.drawing import drawing
from app.components.notes import note_unjudged
from app.components.picture import labelled_picture, picture
from app.jobs.batch import fill_results
from app.markdown import as_literal, escape_markdown
from app.pickers import comparison, controls
from app.pickers.comparison import Side
from app.session.cache import picture_cache
from app.session.networks import Network
from app.views.inspect.results import METHODS, PREDICTED, QUICK, AttributionMap, Subject, wanted
from cnnviz.figures.attribution.answers import NARROW, WIDTH, ClassScore, answer_bars, probability_text
from cnnviz.figures.attribution.panels import (
    ImagePanel,
    compose_panels,
    find_peak,
    map_panel,
    photo_panel,
    veiled_panel,
)
from cnnviz.figures.attribution.words import NAMES, SOURCES, seconds_text
from cnnviz.figures.base.charts import value_text

SIDE = 224  # pixels of a panel
GRADIENTS = ("saliency", "guided_backprop", "deconvolution", "integrated_gradients")
NOTHING = (
    "0 everywhere: by the rule of this method no part of the image speaks for the class, since the ReLUs block every "
    "signal in the backward pass."
)


def pick_class(row: Any, network: Network, image: str) -> Subject:
    """The class asked about, in the row above the picture; the predicted one unless the link says otherwise."""
    likely = Subject(network, image)
    names, best = likely.answer.class_names, likely.target
    with row:
        label = controls.bind(
            st.selectbox,
            "Class",
            "class",
            PREDICTED,
            options=[PREDICTED, *range(len(names))],
            width=190,
            format_func=lambda c: f"predicted: {names[best]}" if c == PREDICTED else _called(c, names[c]),
            help="What the attributions explain, and the label whose cross-entropy is shown",
        )
    return Subject(network, image, int(label))


def _called(number: int, name: str) -> str:
    """ "281: tabby", and "7" for the class 7 of that name."""
    return name if name == str(number) else f"{number}: {name}"


def pick_opacity(row: Any) -> float:
    """0 … 1: how much of the map covers the photograph."""
    with row:
        share = controls.bind(
            st.slider, "Map's opacity [%]", "opacity", 70, min_value=0, max_value=100, step=5, width=125
        )
    return int(share) / 100


def view(subjects: dict[Side, Subject], opacity: float, common: bool) -> None:
    """Answer and four attributions, of one subject with the image beside them or of two side by side. `common`: one
    scale for both."""
    shown, waiting = st.container(), st.container()
    asked = [wanted(subject, method) for subject in subjects.values() for method in QUICK]
    found = fill_results("answer", asked, waiting)
    rows = [found[n * len(QUICK) :][: len(QUICK)] for n in range(len(subjects))]
    cells = dict(zip(subjects, rows, strict=True))
    peaks = common_peaks(rows, QUICK) if common else None

    def draw(side: Side) -> None:
        subject, group = subjects[side], comparison.group_of(subjects)
        key = side.key("inspect_quick")
        if group:
            controls.say_untrained(subject.network)
            _answer(subject, side.key("inspect_bars"))
            strip(subject, QUICK, cells[side], opacity, key, peaks, group=group)
        else:
            left, right = st.columns([1, 1.55], gap="medium")
            with left:
                _picture_and_answer(subject)
            with right:
                strip(subject, QUICK, cells[side], opacity, key, peaks, columns=2)
        say_problems(QUICK, cells[side])

    with shown:
        comparison.show(subjects, draw)
    st.write(
        "Left: the five highest logits z and the softmax of all of them. Right: which pixels the logit of the class "
        "depends on, by four methods that need one backward pass. **Notice** that they do not agree: see the view "
        "*Sanity check* for which of them depend on what was learned at all."
    )
    sources(QUICK)


def _picture_and_answer(subject: Subject) -> None:
    side = subject.side(SIDE)
    photo = photo_panel(subject.received, "", side)
    shown = picture_cache().get(("inspected", *subject.key[:2]), lambda: compose_panels([photo], 1, side))
    picture(shown.png, shown.size, "What the network sees of the image", "inspect_photo", fill=True)
    controls.say_untrained(subject.network)
    _answer(subject, "inspect_bars")


def _answer(subject: Subject, key: str) -> None:
    found, target = subject.answer, subject.target
    shown = found.top(5)
    shown += [] if target in shown else [target]
    rows = [
        ClassScore(
            found.class_names[c], float(found.logits[c]), float(found.probabilities[c]), found.rank(c), c == target
        )
        for c in shown
    ]
    wide, narrow = (answer_bars(rows, len(found.logits) == 1, width) for width in (WIDTH, NARROW))
    drawing([wide], ["The most probable classes"], key, most=1.15, narrow=[narrow])
    loss, share = found.cross_entropy(target), float(found.probabilities[target])
    st.markdown(
        f"Cross-entropy for the label **{as_literal(subject.name)}**: −ln p = **{value_text(loss)} nats**; "
        f"rank {found.rank(target)} of {len(found.logits)}, {probability_text(share)}."
    )


def panel(
    subject: Subject,
    method: str,
    cell: AttributionMap | None,
    opacity: float,
    side: int,
    title: str,
    peak: float | None = None,
) -> ImagePanel:
    """One attribution as a panel; without its map while it is computed or if there is none. `peak`: the magnitude of
    full colour; None: its own."""
    if cell is None:
        return ImagePanel(None, title)
    if cell.problem:
        return veiled_panel(subject.received, title, side, "not for this network")
    return map_panel(
        subject.received,
        cell.values,
        cell.signed,
        title,
        side,
        opacity,
        method in GRADIENTS,
        seconds_text(cell.seconds),
        peak,
    )


def common_peaks(
    cells: Sequence[Sequence[AttributionMap | None]], methods: tuple[str, ...]
) -> tuple[float | None, ...]:
    """For each method the magnitude of full colour that several subjects share: the largest of theirs."""

    def find(method: str, column: Sequence[AttributionMap | None]) -> float | None:
        known = [cell.values for cell in column if cell is not None and not cell.problem]
        return max((find_peak(values, method in GRADIENTS) for values in known), default=None)

    return tuple(find(method, column) for method, column in zip(methods, zip(*cells, strict=True), strict=True))


def strip(
    subject: Subject,
    methods: tuple[str, ...],
    cells: list[AttributionMap | None],
    opacity: float,
    key: str,
    peaks: tuple[float | None, ...] | None = None,
    columns: int = 0,
    group: str = "",
) -> None:
    """Attributions as one picture, `columns` in a row; 0: all of them. `peaks`: the magnitudes of full colour, see
    `common_peaks`."""
    there, side = tuple(cell is not None for cell in cells), subject.side(SIDE)
    peaks, columns = peaks or (None,) * len(methods), columns or len(methods)

    def draw() -> Any:
        drawn = zip(methods, cells, peaks, strict=True)
        return compose_panels([panel(subject, m, c, opacity, side, NAMES[m], p) for m, c, p in drawn], columns, side)

    recipe = ("attributions", *subject.key[:2], subject.target, methods, there, opacity, peaks, columns)
    words = f"{', '.join(NAMES[m] for m in methods)} for {subject.name}"
    labelled_picture(picture_cache().get(recipe, draw), words, key, group)


def say_problems(methods: tuple[str, ...], cells: list[AttributionMap | None]) -> None:
    """Why a method has no map, in its own words, or one that shows nothing; and what no rule of rectifiers reaches."""
    for method, cell in zip(methods, cells, strict=True):
        words = "" if cell is None else cell.problem or ("" if cell.values.any() else NOTHING)
        if words:
            st.info(escape_markdown(f"{NAMES[method]}: {words}"), icon=":material/info:")
    note_unjudged([name for cell in cells if cell is not None for name in cell.unjudged])


def sources(methods: tuple[str, ...] = METHODS) -> None:
    """Formulas and papers."""
    with st.expander("Formula and source"):
        lines = [f"**{NAMES[m]}**: {SOURCES[m]}" for m in methods]
        st.markdown("  \n".join(lines))
        st.caption(
            "z is the class's logit. Blue–white–red is symmetric about 0, viridis starts at 0; gradients get full "
            "colour at the 99.5th percentile of their magnitudes. The map covers a gray copy of the image."
        )
