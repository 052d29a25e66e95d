"""The panel of sharpness: how convex the slices are, and on demand how sharp the minimum is, with the caveat."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.components.plots import plot
from app.jobs import background, watch
from app.jobs.background import Report
from app.markdown import as_literal, escape_markdown
from app.session.cache import study_cache
from app.url import address
from app.views.landscape import data, point
from app.views.landscape.catalogue import ShownLandscape
from app.views.landscape.compute import pick_images
from app.views.landscape.views import BRIEF, caution, name_of, panels, pick_scale, saves, titles_of
from cnnviz.errors import BadInput, Cancelled, CnnvizError
from cnnviz.figures.landscape.plots import contours_figure
from cnnviz.figures.landscape.words import centre_note
from cnnviz.progress import Progress
from cnnviz.wording import plural

if TYPE_CHECKING:
    from app.session.networks import Network
    from cnnviz.data.corpus import Corpus
    from cnnviz.landscape.geometry.convexity import Nonconvexity
    from cnnviz.landscape.geometry.sharpness import Sharpness

CLIP = 10.0  # nats: points above are not counted
MOST = 1000  # images for the Hessian


def view(chosen: list[ShownLandscape], row: Any) -> None:
    """Where the slices curve downwards, and a table of measures."""
    with row:
        scale = pick_scale([one.surface for one in chosen])
    found = [_convexity(one) for one in chosen]
    dots = ""
    slices = [one for one in found if one is not None]
    if len(slices) == len(found):
        figure = contours_figure(panels(chosen), scale, BRIEF, None, [one.negative for one in slices])
        plot(figure, f"Non-convex points of {titles_of(chosen)}", "convexity", f"{name_of(chosen)}-convexity")
        saves(figure, chosen, f"{name_of(chosen)}-convexity")
        dots = (
            "Orange dots: the loss curves downwards along some direction of the plane, by more than its standard "
            "errors explain. **Notice** where they begin. "
        )
    measured = _measured(chosen)
    st.table(_table(chosen, found, measured))
    from cnnviz.landscape.geometry.sharpness import CAVEAT

    st.write(f"{dots}**Caveat.** {CAVEAT} **{caution(chosen)}**")
    with st.expander("What is measured, and sources"):
        st.write(
            f"Not convex: share of the grid's inner points with a loss up to {CLIP:g} nats whose 2×2 Hessian, by "
            "central differences over one grid step (two for surfaces computed in bfloat16), has a negative eigenvalue "
            "beyond two standard errors; convex up to: how far from the centre the nearest of them lies. ε-sharpness: "
            "Keskar et al., ICLR 2017 (arXiv:1609.04836), metric 2.1, the highest loss found with every weight w moved "
            "by at most ε (|w| + 1). Filter norms: the highest loss found with every filter moved by at most 0.2 % of "
            "its norm. "
            "Both are found by projected gradient ascent and are lower bounds. Eigenvalues of the Hessian: Lanczos "
            "with full reorthogonalisation; its trace: Hutchinson's estimate with its standard error."
        )


def _convexity(one: ShownLandscape) -> Nonconvexity | None:
    from cnnviz.landscape.geometry.convexity import nonconvexity

    if one.is_median:
        words = "a median of planes is no slice, and its curvature says nothing. Choose a seed."
        st.info(f"{as_literal(one.title)}: {words}")
        return None
    try:
        return nonconvexity(one.surface, clip=CLIP)
    except BadInput as error:
        st.info(escape_markdown(f"{one.title}: {error}"))
        return None


def _measured(chosen: list[ShownLandscape]) -> list[Sharpness | None]:
    """The sharpness of each network over chosen images, measured beside the page when asked."""
    networks: list[Network | None] = []
    for one in chosen:
        try:
            networks.append(point.network_of(one))
        except CnnvizError as error:
            st.info(escape_markdown(str(error)))
            networks.append(None)
    first = next((network for network in networks if network is not None), None)
    if first is None:
        return [None] * len(chosen)
    images, row, own, count = pick_images(first, st.container(), most=MOST)
    keys = [_key(network, images, count, own) if network else "" for network in networks]
    found = study_cache().find_all(keys)
    missing = [(n, k) for n, k, f in zip(networks, keys, found, strict=True) if n is not None and f is None]
    running = [job for _, key in missing if (job := background.find(key)) is not None and job.running]
    if missing and not running:
        with row:
            asked = st.button("Measure the sharpness", type="primary", key="measure")
        if asked:
            for network, key in missing:
                _start(network, images, count, own, key)
            address.rerun()
    for _, key in missing:
        if (job := background.find(key)) is not None and job.problem:
            st.error(escape_markdown(job.problem), icon=":material/error:")
    if running:
        watch.draw_jobs("sharpness", [key for _, key in missing])
    return found


def _key(network: Network, images: Corpus, count: int, own: bool) -> str:
    said = f"{network.model.fingerprint} {network.model.class_names} {images.fingerprint} {count} {own}"
    return "sharpness " + hashlib.sha256(said.encode()).hexdigest()[:20]


def _start(network: Network, images: Corpus, count: int, own: bool, key: str) -> None:
    results = study_cache()

    def work(report: Report) -> None:
        from cnnviz.landscape.geometry.sharpness import sharpness

        chosen = images.take(count)
        ready = data.read(network, chosen, own, lambda done, total: report(Progress(done, total, "images read")))
        if ready is None:
            return
        try:
            results.put(key, sharpness(network.model, *ready, progress=report))
        except Cancelled:
            return  # nothing of it can be kept

    background.start(key, network.model.name, work)


def _table(
    chosen: list[ShownLandscape], convexity: list[Nonconvexity | None], measured: list[Sharpness | None]
) -> dict[str, list[str]]:
    """One line a network."""
    unknown = "not measured"
    return {
        "network": [one.title for one in chosen],
        "at the centre": [centre_note(one.surface).removeprefix("centre: ") for one in chosen],
        "not convex": [f"{100 * c.share:.1f} % of {plural(c.counted, 'point')}" if c else "" for c in convexity],
        "convex up to": [_reach(c) for c in convexity],
        "ε-sharpness (ε = 0.001)": [f"{m.keskar:.3g} %" if m else unknown for m in measured],
        "rise within 0.2 % of filter norms": [f"{m.filter_rise:.3g} nats" if m else unknown for m in measured],
        "largest eigenvalues": [_eigenvalues(m) if m else unknown for m in measured],
        "trace": [f"{m.spectrum.trace:.3g} ± {m.spectrum.trace_error:.2g}" if m else unknown for m in measured],
    }


def _reach(convexity: Nonconvexity | None) -> str:
    """How far from the centre the first orange dot is, in filter norms for planes of random directions."""
    if convexity is None or not convexity.counted:
        return ""
    return f"{convexity.nearest:.2f} from the centre" if convexity.nearest < float("inf") else "as far as counted"


def _eigenvalues(measured: Sharpness) -> str:
    return ", ".join(f"{float(value):.3g}" for value in measured.spectrum.largest)
