"""Train in the app: choose, start, pause, step, stop and fork; up to four runs beside each other while they learn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app import access
from app.components.motion.follow import follow
from app.components.picture import picture
from app.components.plots import plot
from app.markdown import as_literal, escape_markdown
from app.pickers import bar
from app.session.cache import picture_cache
from app.url import address
from app.views.training import filters, live_choices, live_runs, runs
from cnnviz.errors import CnnvizError
from cnnviz.figures.training.live import live_figure
from cnnviz.figures.training.probes import answers_picture
from cnnviz.models.runs.files import SNAPSHOTS, list_arrays
from cnnviz.models.runs.folder import runs_folder
from cnnviz.training.choices import TrainingChoices
from cnnviz.training.record.curves import collect_curves, count_epochs
from cnnviz.training.record.probes import read_probes
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.training.record.result import RecordedRun

KEY = "live"  # of the address: the runs that are shown
HEIGHT, ALONE = 330, 560  # pixels of the curves: above pictures, and alone on the page
SOON, AT_ONCE = 0.5, 0.2  # seconds between two looks; before the first step
NEWEST = -1  # in place of a step
_PROBLEM = "training_problem"  # in the session: why a run was not started


@dataclass(frozen=True, slots=True)
class LiveRun:
    """A run of this view. `state`: "running", "paused", "queued", "stopped" or "done"; `problem`: why it ended."""

    name: str
    choices: TrainingChoices
    state: str
    problem: str = ""
    record: RecordedRun | None = None

    @property
    def going(self) -> bool:
        """Whether more is to come."""
        return self.state in ("running", "paused", "queued")


def view(row: Any) -> None:
    """The choices, a row of buttons a run, the curves and what the networks are like now."""
    live_runs.warm_up()
    choices, ready = live_choices.pick(row)
    names = _pick_runs()
    with row:
        allowed = live_runs.may_train()
        label, busy = "Start", not ready or not allowed
        st.button(label, key="train_start", type="primary", disabled=busy, on_click=_start, args=(choices, names))
    if not allowed:
        bar.notices().info("In a class the lecturer trains; what is trained shows here while it runs.")
    bar.show_report(_PROBLEM, ":material/error:")
    found = [_look(name) for name in names]
    for place, run in zip(st.columns(max(len(found), 1)), found, strict=False):
        with place:
            _draw_buttons(run, choices, names, allowed)
    follow(partial(_draw, names, list(map(_sign, found)), choices.epochs), "follow_live")
    st.write(
        "Thick: test images; dotted: training images, mean of each epoch; pale: single steps. Below, of each run its "
        "first-layer filters now, and what it answers to one test image of each class. **Notice** where the two curves "
        "part: with 10 images a class the training images are learnt by heart, and the test shows it; augmentation "
        "beside it delays that."
    )
    with st.expander("Formula and source"):
        st.write(
            "Stochastic gradient descent with Nesterov momentum, the learning rate rising over the first epoch and "
            "then falling along a cosine. A fork begins with the weights of a moment of another run, and with the "
            "choices of the row. Every run lies in the folder of runs as `cnnviz.record` writes it, and goes on to the "
            "step where it was stopped, after a restart, too. After ConvNetJS (Karpathy 2014), TensorFlow Playground."
        )


def _pick_runs() -> list[str]:
    """The runs of the address, without a widget; the newest where nobody has chosen. One that was started stands in the
    address in any case: those who follow it see it begin."""
    address.prepare(KEY, [], lambda text: text.split(",") if text else None)
    names = [name for name in st.session_state[KEY] if live_runs.find_choices(name) is not None][-live_runs.MOST :]
    address.record(KEY, names, [])
    return names or live_runs.list_names()[:1]


def _start(choices: TrainingChoices, names: list[str]) -> None:
    try:
        new = live_runs.start(choices)
    except (CnnvizError, access.NotAllowed) as error:
        bar.report(_PROBLEM, str(error))
        return
    address.choose(KEY, [*_still_of_use(names), new][-live_runs.MOST :])


def _still_of_use(names: list[str]) -> list[str]:
    """The runs that stay beside a new one: those that are going on, and the newest of the others."""
    if len(names) < live_runs.MOST:
        return names
    ended = [name for name in names if not _look(name).going]
    return [name for name in names if name not in ended[:1]]


def _look(name: str) -> LiveRun:
    """A run as it is now."""
    choices = live_runs.find_choices(name) or TrainingChoices()
    try:
        record = runs.read(name)
    except CnnvizError:
        record = None
    job, control = live_runs.find_job(name), live_runs.find_control(name)
    if job is not None and job.running:
        state = "queued" if job.place else "paused" if control is not None and control.paused else "running"
        return LiveRun(name, choices, state, "", record)
    done = record is not None and len(record.epochs["step"]) >= choices.epochs and not record.running
    return LiveRun(name, choices, "done" if done else "stopped", job.problem if job is not None else "", record)


# --- one run's buttons ---------------------------------------------------------------------------------------


def _draw_buttons(run: LiveRun, choices: TrainingChoices, names: list[str], allowed: bool) -> None:
    """Outside the fragment, where no click is lost."""
    name = run.name
    words = run.choices.describe() or "the usual choices"
    st.markdown(f"**{as_literal(name)}** · {as_literal(words)}")
    with st.container(horizontal=True, gap="small"):
        if run.going:
            paused = run.state == "paused"
            icon = ":material/play_arrow:" if paused else ":material/pause:"
            label = "Go on" if paused else "Pause"
            st.button(
                label, key=f"pause_{name}", icon=icon, on_click=live_runs.pause, args=(name,), disabled=not allowed
            )
            st.button("Step", key=f"step_{name}", on_click=live_runs.step, args=(name,), disabled=not allowed)
            st.button("Stop", key=f"stop_{name}", on_click=live_runs.stop, args=(name,), disabled=not allowed)
        elif run.state == "stopped":
            st.button("Go on", key=f"goon_{name}", on_click=_go_on, args=(name,), disabled=not allowed)
        _offer_fork(run, choices, names, allowed)
        if len(names) > 1:
            st.button("Close", key=f"close_{name}", on_click=_close, args=(name, names), help="It stays in the folder.")
    if run.problem:
        st.error(escape_markdown(run.problem), icon=":material/error:")


def _go_on(name: str) -> None:
    try:
        live_runs.go_on(name)
    except (CnnvizError, access.NotAllowed) as error:
        bar.report(_PROBLEM, str(error))


def _close(name: str, names: list[str]) -> None:
    live_runs.stop(name)
    address.choose(KEY, [one for one in names if one != name])


def _offer_fork(run: LiveRun, choices: TrainingChoices, names: list[str], allowed: bool) -> None:
    """A new run from a moment of this one, on its network and images, with the choices of the row."""
    moments = _list_moments(run)
    if not moments:
        return
    with st.popover("Fork", width="content", disabled=not allowed):
        st.caption("A new run that begins with the weights of a moment of this one, and with the recipe of the row.")
        steps = [NEWEST, *sorted(moments, reverse=True)]
        words = moments | {NEWEST: "the newest moment"}
        chosen = st.selectbox("From", steps, format_func=lambda step: words[step], key=f"moment_{run.name}")
        forked = replace(choices, network=run.choices.network, data=run.choices.data)
        st.caption(as_literal(f"{forked.describe() or 'the usual choices'}".capitalize()))
        given = (forked, run.name, chosen, names)
        st.button("Fork here", key=f"fork_{run.name}", type="primary", on_click=_fork, args=given)


def _fork(choices: TrainingChoices, name: str, step: int, names: list[str]) -> None:
    kept = list_arrays(runs_folder() / name, SNAPSHOTS)
    step = max(kept, default=0) if step == NEWEST else step
    _start(replace(choices, start=f"run:{name}@step-{step}"), names)


def _list_moments(run: LiveRun) -> dict[int, str]:
    """{step: words} of the weights that are kept."""
    from cnnviz.models.runs.moment import describe_moment, list_moments

    kept = list_moments(runs_folder() / run.name) if run.record is not None else {}
    return {step: describe_moment(step, epoch) for step, epoch in kept.items()}


# --- what grows while it trains ------------------------------------------------------------------------------


def _sign(run: LiveRun) -> tuple[str, bool]:
    """What the buttons of a run depend on."""
    return run.state, run.record is not None and bool(run.record.snapshots)


def _draw(names: list[str], before: list[tuple[str, bool]], epochs: int) -> float | None:
    """The curves and pictures as they are now; returns when to look again. `epochs`: of the axis before the first."""
    found = [_look(name) for name in names]
    if list(map(_sign, found)) != before:
        address.rerun()  # the buttons are others now
    for place, run in zip(st.columns(max(len(found), 1)), found, strict=False):
        place.caption(f"{as_literal(run.name)}: {_tell(run)}")
    if not names:
        st.caption("Start trains a small network here, on this computer: the curves grow while it learns.")
    curves = [curve for run in found if run.record is not None for curve in collect_curves(run.record)]
    begun = {run.name: _find_beginning(run) for run in found}
    longest = max((begun[run.name] + run.choices.epochs for run in found), default=float(epochs))
    figure = live_figure(curves, {name: name for name in names}, longest, begun, HEIGHT if found else ALONE)
    alt = f"Loss and accuracy of {', '.join(names)}, while they are trained" if names else "No run yet"
    plot(figure, alt, "live_curves", "training")
    for place, run in zip(st.columns(max(len(found), 1)), found, strict=False):
        with place:
            _draw_pictures(run, beside=len(found) < 3)
    going = [run for run in found if run.going]
    begins = any(run.record is None or not len(run.record.steps["step"]) for run in going)
    return AT_ONCE if begins else SOON if going else None


def _find_beginning(run: LiveRun) -> float:
    """Epochs that the weights of a fork had been trained; 0 of any other run, and where the other run is gone."""
    name, _, step = run.choices.start.removeprefix("run:").rpartition("@step-")
    try:
        epochs = float(count_epochs(runs.read(name), np.array([float(step)]))[0]) if name else 0.0
    except (CnnvizError, ValueError):
        return 0.0
    return epochs if np.isfinite(epochs) else 0.0


def _tell(run: LiveRun) -> str:
    """A line on where a run stands."""
    if run.state == "queued":
        return "queued: four trainings run at once"
    job = live_runs.find_job(run.name)
    state = job.state if job is not None and job.running else None
    if state is not None:
        what = f"epoch {min(state.done + 1, state.total)} of {state.total}, step {state.step:,}"
        speed = "" if state.paused else f", {plural(f'{state.images_per_second:,.0f}', 'image')}/s"
        test = f", test {100 * state.finished[-1].test_accuracy:.1f} %" if state.finished else ""
        return f"{run.state}, {what}, training {100 * state.accuracy:.1f} %{test}{speed}"
    if run.state == "running":
        return "preparing"
    return f"{run.state}{_tell_end(run)}"


def _tell_end(run: LiveRun) -> str:
    if run.record is None or not len(run.record.epochs["step"]):
        return ""
    last = {name: values[-1] for name, values in run.record.epochs.items()}
    return (
        f", {plural(len(run.record.epochs['step']), 'epoch')}, training {100 * last['train_accuracy']:.1f} %, "
        f"test {100 * last['test_accuracy']:.1f} %"
    )


def _draw_pictures(run: LiveRun, beside: bool) -> None:
    """The first layer's filters now, and what the network answers to the probe images; `beside` each other."""
    if run.record is None:
        return
    left, right = st.columns([1, 2], gap="small") if beside else (st.container(), st.container())
    if run.record.filters:
        with left:
            filters.draw_latest(run.record)
    probes = read_probes(runs_folder() / run.name)
    if probes is None or not len(probes.epochs):
        return
    names = [str(name) for name in run.record.about.get("classes", [])]
    recipe = ("training probes", run.name, run.record.written, int(probes.epochs[-1]))
    small = picture_cache().get(recipe, lambda: answers_picture(probes.pixels, probes.labels, probes.logits[-1], names))
    alt = f"Answers of {run.name} to test images after epoch {probes.epochs[-1]}"
    with right:
        picture(small.png, small.size, alt, f"answers_{run.name}")
