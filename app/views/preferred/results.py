"""Preferred inputs for pages: made in a job beside the page, coarse first, then kept in memory and on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from app import access, limits
from app.jobs import background, watch
from app.jobs.background import Job, Report
from app.session import shared, uploads
from app.session.cache import study_cache
from app.session.networks import Network
from cnnviz.errors import BadInput, Cancelled
from cnnviz.progress import Progress
from cnnviz.synthesis.result import Mixture, PreferredInput
from cnnviz.synthesis.settings import SynthesisSettings

if TYPE_CHECKING:
    from cnnviz.index.result import PatchIndex

NEUTRAL = 128  # gray, of what is not made
LONGEST = 120.0  # seconds for all of a request's images
FOLDER = "preferred"  # below the cache folder
NOT_YET = "Not made yet; in this class the lecturer starts it."


@dataclass(frozen=True, slots=True)
class SynthesisRequest:
    """What is to be made: an image for each of the `mixtures` of channels of a layer, and of each so many copies.
    `layer`: None of the classes. `words`: what the work is called."""

    network: Network
    layer: str | None
    mixtures: tuple[Mixture, ...]
    settings: SynthesisSettings
    words: str
    key: str = field(init=False)

    def __post_init__(self) -> None:
        from cnnviz.synthesis.kept import name_inputs

        key = name_inputs(self.network.model.fingerprint, self.layer, self.mixtures, self.settings)
        object.__setattr__(self, "key", key)

    @property
    def channel(self) -> int:
        """The first, or only one."""
        return self.mixtures[0][0][0]


@dataclass(frozen=True, slots=True)
class Making:
    """`inputs`: what there is, None before the first; `going`: it gets better; `words`: how far it is, "" once it is
    done."""

    inputs: list[PreferredInput] | None
    going: bool = False
    words: str = ""


def begin(slot: str, request: SynthesisRequest) -> Job | None:
    """Make what is missing beside the page, which is drawn anew as it gets better; the job while it runs. Why it does
    not run is said.

    `slot`: where on the page; what this tab was waiting for there before is given up."""
    watch.follow(slot, request.key)
    if _recall(request) is not None:
        return None
    job = background.find(request.key)
    if (job is None or not job.running) and not access.may_start():
        st.caption(NOT_YET)
        return None
    job = watch.start_or_offer(slot, request.key, request.words, partial(_work, request), "Compute", patient=True)
    if job is not None:
        seen = job.partial
        watch.expect(lambda: job.partial is not seen or not job.running)
    return job


def look(request: SynthesisRequest) -> Making:
    """What there is of it now."""
    job = background.find(request.key)
    if (done := study_cache().find(request.key)) is not None:
        return Making(done)
    if job is None:
        return Making(None)
    state = job.state
    if not job.running:
        return Making(job.partial, words=f"Stopped: {state.describe()}." if state is not None and job.unwanted else "")
    how_far = state.describe() if state is not None and state.done else job.describe_wait("from noise")
    return Making(job.partial, True, f"Still being computed: {how_far}.")


def show_progress(slot: str, job: Job) -> None:
    """How far a job is, and a button that cancels it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        watch.draw_progress(job)
        watch.cancel_button(slot, job)


def find_best(index: PatchIndex, layer: str, channel: int) -> float | None:
    """The largest activation of a channel over the images that are indexed."""
    found = index.top(layer, channel)
    return found[0].value if found else None


def blank_patch(network: Network, layer: str | None) -> np.ndarray:
    """Gray, uint8 (h, w, 3), as large as a unit sees at most: in place of an image that is not there yet."""
    most = network.input_size[1:]
    field = most if layer is None else shared.receptive(network, layer).size
    high, wide = (max(1, min(one, other)) for one, other in zip(field, most, strict=True))
    return np.full((high, wide, 3), NEUTRAL, np.uint8)


def _recall(request: SynthesisRequest) -> list[PreferredInput] | None:
    """From memory, or from the disk."""
    from cnnviz.synthesis.kept import load_inputs

    if (found := study_cache().find(request.key)) is not None:
        return found
    path = _path(request)
    if not path.is_file():
        return None
    try:
        found = load_inputs(path)
    except BadInput:  # written by another version: made anew
        path.unlink(missing_ok=True)
        return None
    uploads.use(path)
    study_cache().put(request.key, found)
    return found


def _path(request: SynthesisRequest) -> Path:
    return uploads.cache_folder(FOLDER) / request.key


def _work(request: SynthesisRequest, report: Report) -> None:
    from cnnviz.synthesis.kept import save_inputs
    from cnnviz.synthesis.maximize import refine_activations

    latest: list[PreferredInput] | None = None
    channels = [dict(mixture) or None for mixture in request.mixtures]

    def tell(progress: Progress) -> bool:
        return report(progress, latest)

    if not report(Progress(0, request.settings.steps, "steps")):
        return
    model, settings = request.network.model, request.settings
    try:
        for better in refine_activations(model, request.layer, channels, settings, seconds=LONGEST, progress=tell):
            latest = better
    except Cancelled:
        return  # what was on its way stays with the job
    if latest is not None:
        study_cache().put(request.key, latest)
        if any(one.stopped for one in latest):
            return  # a computer with more time makes a better one
        save_inputs(_path(request), latest)
        uploads.keep_newest(uploads.cache_folder(FOLDER), "inputs-*.npz", limits.STORED_INPUTS)
