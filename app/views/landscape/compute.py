"""The view that computes: any network, any labelled images; a coarse picture at once that sharpens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.components.plots import plot
from app.jobs import background, watch
from app.markdown import escape_markdown
from app.pickers import controls
from app.pickers.corpus import default_corpus, pick_corpus
from app.session import shared
from app.url import address
from app.views.landscape import catalogue, jobs
from app.views.landscape.catalogue import ShownLandscape
from app.views.landscape.data import ANSWERS, LABELS
from app.views.landscape.jobs import SurfaceSetting
from app.views.landscape.views import HEIGHT, camera, pick_heights, saves, sources, turned
from cnnviz import device
from cnnviz.figures.landscape.plots import SurfacePanel
from cnnviz.figures.landscape.scale import common_scale
from cnnviz.figures.landscape.single import empty_figure, single_figure
from cnnviz.figures.landscape.words import SLICE, centre_note
from cnnviz.wording import plural

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from app.session.networks import Network
    from cnnviz.data.corpus import Corpus
    from cnnviz.landscape.results import Surface

COUNTS, STEPS = [100, 250, 1000, 2500, 10000], [13, 25, 51]
SPANS = ["1", "0.25", "0.5", "2"]
STATISTICS, PRECISIONS = ["frozen", "recalibrated"], ["auto", "float32", "bfloat16"]
_STOPPED = "landscape_stopped"  # in the session: keys of the jobs that this tab has cancelled


def compute(network: Network, row: Any, at_once: bool) -> None:
    """Choose, start, watch, see. `at_once`: a surface of bundled images is begun without a click."""
    style = _pick_style(row)
    images, setting, place = _choose(network, st.container(), at_once)
    path = jobs.path_of(network, images, setting)
    key, found = str(path), jobs.saved(path)
    job = background.find(key)
    going = job is not None and job.running
    whole = found is not None and found.complete
    if at_once and not whole and job is None and key not in st.session_state.get(_STOPPED, set()):
        job, going = jobs.build(network, images, setting), True
    with place:
        _buttons(network, images, setting, job if going else None, found)
    if job is not None and job.problem and not going:
        st.error(escape_markdown(job.problem), icon=":material/error:")
    # One fragment for all states, so that the browser draws on the same figure instead of a new one.
    draw = st.fragment(_draw, run_every=watch.EVERY if going else None)
    draw(key, going, found or _partial(job), network, setting, style)


@dataclass(frozen=True, slots=True)
class SurfaceStyle:
    """How the surface is drawn: see `pick_heights` and `camera`."""

    log: bool
    cut: float | None
    eye: tuple[float, ...]


def _pick_style(row: Any) -> SurfaceStyle:
    with row:
        log, cut = pick_heights()
    return SurfaceStyle(log, cut, camera())


def pick_images(network: Network, place: Any, usual: int = 250, most: int = 10_000) -> tuple[Corpus, Any, bool, int]:
    """Images with something to measure against. `usual`, `most`: how many unless the link says otherwise, and at
    most. Returns (corpus, its row of controls, whether the network's own answers
    serve as labels, how many images)."""
    here = [name for name in ("cifar10-test", "cifar10") if shared.is_here(name)]
    cifar = network.model.name.endswith(("_cifar", "_cifar10")) and network.input_size[1:] == (32, 32)
    with place:
        images, row = pick_corpus(network, "Images", here[0] if cifar and here else default_corpus(network))
    against_usual = ANSWERS if images.name == "samples" else LABELS
    with row:
        against = controls.bind(
            st.selectbox,
            "Measured against",
            "against",
            against_usual,
            options=[LABELS, ANSWERS],
            width=175,
            help="Without labels, the answers of the unmoved network serve: the loss tells how far it is from itself.",
        )
        counts = [count for count in COUNTS if count <= most]
        count = controls.bind(st.selectbox, "Number", "images", usual, options=counts, width=95)
    return images, row, against == ANSWERS, int(count)


def _choose(network: Network, place: Any, coarse: bool) -> tuple[Corpus, SurfaceSetting, Any]:
    """The controls in the row above the picture, and that row. `coarse`: the choices of a fresh view take seconds."""
    images, row, own, count = pick_images(network, place, COUNTS[0] if coarse else COUNTS[1])
    with row:
        steps = controls.bind(
            st.selectbox,
            "Grid",
            "steps",
            STEPS[0] if coarse else STEPS[1],
            options=STEPS,
            width=120,
            format_func=lambda steps: f"{steps}×{steps}",
        )
        span = controls.bind(st.selectbox, "Span ±", "span", SPANS[0], options=SPANS, width=85)
        seed = controls.bind(
            st.number_input,
            "Seed",
            "roll",
            0,
            min_value=0,
            max_value=9999,
            step=1,
            width=115,
            help="Of the two random directions. The plus draws new ones.",
        )
    with row, st.popover("More", icon=":material/tune:"):
        statistics = controls.bind(
            st.selectbox,
            "Batch statistics",
            "statistics",
            STATISTICS[0],
            options=STATISTICS,
            help="Frozen: those of the unmoved network, as in the paper. Recalibrated: re-estimated at each point.",
        )
        slow = device.usable_precision("bfloat16", str(network.model.device)) != "bfloat16"
        precision = controls.bind(
            st.selectbox,
            "Precision",
            "precision",
            PRECISIONS[0],
            options=PRECISIONS,
            help="This processor is slow in bfloat16: float32 is computed in its place." if slow else None,
        )
    return images, SurfaceSetting(count, int(steps), float(span), int(seed), statistics, precision, own), row


def _buttons(
    network: Network, images: Corpus, setting: SurfaceSetting, job: background.Job | None, found: Surface | None
) -> None:
    """Cancel where a `job` is running; else start or continue, with what it will cost."""
    path = jobs.path_of(network, images, setting)
    if job is not None:
        st.button("Cancel", key="cancel_landscape", on_click=_stop, args=(job, str(path)), disabled=job.cancelled)
        return
    if found is not None and found.complete:
        return
    begun = found is not None or jobs.is_begun(path)
    points, count = setting.steps**2, min(setting.count, len(images))
    cost = (
        f"{plural(points, 'point')} of {plural(count, 'image')}: {plural(points * count, 'forward pass')} of one image."
    )
    if st.button("Continue" if begun else "Compute", type="primary", key="start_landscape", help=cost):
        st.session_state.get(_STOPPED, set()).discard(str(path))
        jobs.build(network, images, setting)
        address.rerun()


def _stop(job: background.Job, key: str) -> None:
    job.cancel()
    st.session_state.setdefault(_STOPPED, set()).add(key)


def _partial(job: background.Job | None) -> Surface | None:
    return job.partial if job is not None else None


def _draw(
    key: str, going: bool, found: Surface | None, network: Network, setting: SurfaceSetting, style: SurfaceStyle
) -> None:
    """What is there, or the axes; while the job is `going`, its progress and picture so far. Draws the page anew when
    the job has ended."""
    bar, job = st.empty(), background.find(key) if going else None
    if going and (job is None or not job.running):
        address.rerun()
    if job is not None:
        watch.draw_progress(job, place=bar)
        found = _partial(job)
    if found is not None and found.done:
        _draw_surface(found, network, style, final=not going)
    else:
        _draw_axes(network, setting, style)


def _draw_axes(network: Network, setting: SurfaceSetting, style: SurfaceStyle) -> None:
    """The axes alone: with them the browser has its tools ready when the first points come."""
    from cnnviz.landscape.results import Surface

    scale, title = common_scale([], style.log, style.cut), catalogue.network_title(network)
    ends = np.array([-setting.span, setting.span])
    low = np.full((2, 2), scale.low)
    flat = Surface(ends, ends, low, low, low, low, {})
    panel = SurfacePanel(title, flat, "“Compute” draws the loss around its weights")
    _plot(empty_figure(panel, scale, HEIGHT - 100, style.eye), f"Axes for the loss around {title}", network)


def _plot(figure: Figure, alt: str, network: Network) -> None:
    plot(figure, alt, "computed", f"{network.model.name}-landscape", on_camera=turned)


def _draw_surface(found: Surface, network: Network, style: SurfaceStyle, final: bool) -> None:
    """The surface in 3-D beside its plane from above."""
    scale = common_scale([found.loss], style.log, style.cut)
    panel = SurfacePanel(catalogue.network_title(network), found, centre_note(found))
    figure = single_figure(panel, scale, HEIGHT - 100, style.eye, numbers=final)
    _plot(figure, f"Loss surface of {panel.title}", network)
    if final:
        name, choice = network.model.name, network.choice
        one = ShownLandscape(name, name, choice.weights, panel.title, found, untrained=choice.untrained)
        saves(figure, [one], f"{network.model.name}-landscape")
        st.write(
            "Left the surface, right the same plane from above, around the network's own weights. **Notice** that "
            f"another seed gives another slice, but the same kind of valley. {scale.sentence()} **{SLICE}**"
        )
        sources([one])
