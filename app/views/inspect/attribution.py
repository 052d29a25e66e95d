"""All attributions side by side, for one image or several."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from app import limits
from app.components.picture import labelled_picture
from app.jobs.batch import fill_results
from app.markdown import escape_markdown
from app.pickers import comparison, photo_cards
from app.pickers.comparison import Side
from app.session import shared, tabs, uploads
from app.session.cache import picture_cache
from app.session.networks import Network
from app.url import address
from app.views.inspect.answer import common_peaks, panel, say_problems, sources
from app.views.inspect.results import METHODS, AttributionMap, Subject, wanted
from cnnviz.errors import CnnvizError
from cnnviz.figures.attribution.answers import probability_text
from cnnviz.figures.attribution.panels import ImagePanel, compose_panels, photo_panel
from cnnviz.figures.attribution.words import NAMES, SHORT, completeness_sentence
from cnnviz.wording import plural

MOST = 4  # images
SMALL = 152  # pixels of a panel of two grids side by side
SIDES = {1: 224, 2: 136, 3: 128, 4: 112}  # pixels of a panel by the number of images
_KEY = "also"


class _Names(list):
    """Names of images, as they stand in the URL."""

    def __str__(self) -> str:
        return ",".join(self)


def pick_others(row: Any, network: Network, image: str) -> list[str]:
    """More images beside the chosen one: samples, digits, uploads."""
    options = photo_cards.list_uploads(_asked()) + shared.photo_names(network.one_channel)
    if isinstance(before := st.session_state.get(_KEY), list) and not set(before) <= set(options):
        st.session_state[_KEY] = _Names(n for n in before if n in options)  # an upload that has been removed

    def parse(text: str) -> list[str]:
        return _Names(n for n in text.split(",") if n in options)[: MOST - 1]

    address.prepare(_KEY, _Names(), parse)
    with row:
        chosen = st.multiselect(
            "Compare with",
            options,
            format_func=photo_cards.title_of,
            key=_KEY,
            max_selections=MOST - 1,
            width=230,
            placeholder="none",
            persist_state="session",
        )
    with row, st.popover("Upload several", icon=":material/upload:"):
        st.file_uploader(
            f"Up to {plural(MOST - 1, 'image')} beside it",
            key="inspect_uploads",
            accept_multiple_files=True,
            on_change=_take,
            type=["jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "avif"],
            max_upload_size=limits.PHOTO_MB,
        )
    for message in st.session_state.pop("inspect_upload_problems", []):
        st.error(escape_markdown(message), icon=":material/broken_image:")
    address.record(_KEY, _Names(chosen), [])
    return [name for name in chosen if name != image]


def _asked() -> list[str]:
    """The names in the link, and those chosen before the widget is drawn: an upload of a link is known from nowhere
    else."""
    chosen = st.session_state.get(_KEY)
    return [*(chosen if isinstance(chosen, list) else []), *address.view().get(_KEY, "").split(",")]


def _take() -> None:
    """Store the uploads and show them beside the image; a file that is no usable image is told and left out."""
    taken: dict[str, str] = {}
    problems = []
    for file in st.session_state.get("inspect_uploads") or []:
        try:
            tabs.check_room(file, limits.PHOTO_MB)
            taken[name := uploads.store_photo(file.getvalue(), file.name)] = uploads.clean_title(file.name)
            tabs.bring(name)
        except (CnnvizError, OSError) as error:
            problems.append(f"{file.name}: {error}")
    st.session_state.setdefault("uploads", {}).update(taken)
    st.session_state["inspect_upload_problems"] = problems
    if taken:
        address.choose(_KEY, list(taken)[: MOST - 1])


def view(halves: dict[Side, list[Subject]], opacity: float, common: bool) -> None:
    """The grid, or two side by side: a row for each image where there are several, else two rows for all methods.
    `common`: one scale for both."""
    place, waiting = st.container(), st.container()
    asked = [wanted(subject, method) for subjects in halves.values() for subject in subjects for method in METHODS]
    asked = sorted(asked, key=lambda one: not one.quick)  # the slow ones of all images come last
    found = dict(zip((one.recipe for one in asked), fill_results("attribution", asked, waiting), strict=True))
    rows = {
        side: [[found[wanted(subject, method).recipe] for method in METHODS] for subject in subjects]
        for side, subjects in halves.items()
    }
    pairs = [common_peaks(pair, METHODS) for pair in zip(*rows.values(), strict=False)] if common else []

    def draw(side: Side) -> None:
        _grid(side, halves[side], rows[side], opacity, pairs, comparison.group_of(halves))
        say_problems(METHODS, rows[side][0])

    with place:
        comparison.show(halves, draw)
    paths = [cells[METHODS.index("integrated_gradients")] for half in rows.values() for cells in half]
    if known := [(path.error, path.total) for path in paths if path is not None and math.isfinite(path.error)]:
        st.caption(completeness_sentence(known))
    st.write(
        "Six answers to the same question: what in the image speaks for the class? **Notice** how much depends on the "
        "method, and that Grad-CAM and occlusion answer with places, the gradients with edges. Choose another class: a "
        "map that stays the same does not explain the class."
    )
    sources()


def _grid(
    half: Side,
    subjects: list[Subject],
    rows: list[list[AttributionMap | None]],
    opacity: float,
    common: list[tuple[float | None, ...]],
    group: str,
) -> None:
    """`common`: for each row of both halves the magnitudes of full colour."""
    single, side = len(subjects) == 1, subjects[0].side(SMALL if group else SIDES[len(subjects)])
    peaks = [*common, *[(None,) * len(METHODS)] * (len(subjects) - len(common))]
    there = tuple(tuple(cell is not None for cell in cells) for cells in rows)
    keys = tuple((*subject.key[:2], subject.target) for subject in subjects)

    def draw() -> Any:
        panels: list[ImagePanel] = []
        for number, (subject, cells, full) in enumerate(zip(subjects, rows, peaks, strict=True)):
            panels.append(_photo(subject, side, single))
            titles = NAMES if single else SHORT if number == 0 else dict.fromkeys(METHODS, "")
            drawn = zip(METHODS, cells, full, strict=True)
            panels += [panel(subject, m, cell, opacity, side, titles[m], peak) for m, cell, peak in drawn]
        return compose_panels(panels, 4 if single else 1 + len(METHODS), side)

    shown = picture_cache().get(("attribution grid", keys, there, opacity, side, tuple(peaks)), draw)
    words = half.alt(f"Six attributions for {', '.join(subject.name for subject in subjects)}")
    labelled_picture(shown, words, half.key("inspect_grid"), group)


def _photo(subject: Subject, side: int, single: bool) -> ImagePanel:
    share = probability_text(float(subject.answer.probabilities[subject.target]))
    lines = (("", f"{subject.name}: {share}"),) if single else (("", subject.name),)
    return photo_panel(subject.received, "The image" if single else "", side, lines)
