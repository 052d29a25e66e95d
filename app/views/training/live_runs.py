"""Trainings that the app runs: started, paused, stopped and gone on with, each a job beside the page."""

from __future__ import annotations

import atexit
import re
import threading
from functools import partial
from pathlib import Path

import streamlit as st

from app import access, limits
from app.jobs import background
from app.jobs.background import Job, Report
from cnnviz.errors import Cancelled
from cnnviz.models.runs.folder import runs_folder
from cnnviz.training.choices import TrainingChoices, make_run, read_choices, train_choices
from cnnviz.training.control import TrainingControl

MOST = 4  # runs beside each other
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")


@st.cache_resource(show_spinner=False)
def warm_up() -> threading.Thread:
    """Import what a training needs while the choices are read, so that the first curve comes soon after the click."""

    def work() -> None:
        import cnnviz.training.loop  # noqa: F401

    thread = threading.Thread(target=work, name="warm-up of training", daemon=True)
    thread.start()
    atexit.register(thread.join, 30)  # an import cut off at shutdown would abort the interpreter
    return thread


@st.cache_resource(show_spinner=False)
def _controls() -> dict[str, TrainingControl]:
    """{run: what steers it} of those that are running or queued."""
    return {}


def may_train() -> bool:
    """Whether this session may start and steer trainings: in a class the lecturer's."""
    return not access.is_class() or access.is_lecturer()


def find_choices(name: str) -> TrainingChoices | None:
    """How a run was started here; None of any other, and where it is gone."""
    return read_choices(runs_folder() / name) if _NAME.fullmatch(name) else None


def list_names() -> list[str]:
    """The runs that were started here, the newest first."""
    kept = [path.parent for path in runs_folder().glob("*/choices.json") if _NAME.fullmatch(path.parent.name)]
    return [path.name for path in sorted(kept, key=_written, reverse=True)]


def _written(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def start(choices: TrainingChoices) -> str:
    """Begin a training in a folder of its own; returns its name. Raises access.NotAllowed, and CnnvizError for choices
    that cannot be trained."""
    check_may_train()
    name = make_run(runs_folder(), choices.settle())
    go_on(name)
    return name


def check_may_train() -> None:
    """Raise access.NotAllowed in a class for whoever is not its lecturer."""
    if not may_train():
        raise access.NotAllowed("In a class the lecturer trains; what is trained shows here while it runs.")


def go_on(name: str) -> None:
    """Begin, or go on where it was stopped. Raises access.NotAllowed."""
    check_may_train()
    control = _controls().setdefault(name, TrainingControl())
    if control.stopped:
        control = _controls()[name] = TrainingControl()
    work = partial(_work, name, control)
    background.start(_key(name), f"Training {name}", work, lane=limits.TRAIN, patient=True)


def _work(name: str, control: TrainingControl, report: Report) -> None:
    try:
        train_choices(runs_folder() / name, control, report)
    except Cancelled:
        return  # what was done is kept
    finally:
        if _controls().get(name) is control:
            del _controls()[name]


def _key(name: str) -> str:
    return f"training {name}"


def find_job(name: str) -> Job | None:
    """The job of a run, which ends with the last tab that has looked at it, whatever pages it shows meanwhile; None
    where it was not started since the app was."""
    return background.find(_key(name))


def find_control(name: str) -> TrainingControl | None:
    """What steers a run that is running or queued."""
    return _controls().get(name)


def pause(name: str) -> None:
    """Pause or go on, in a callback."""
    if (control := find_control(name)) is not None and may_train():
        (control.resume if control.paused else control.pause)()


def step(name: str) -> None:
    """Make one step and pause, in a callback."""
    if (control := find_control(name)) is not None and may_train():
        control.step()


def stop(name: str) -> None:
    """Stop, in a callback: what is done is kept."""
    if (control := find_control(name)) is not None and may_train():
        control.stop()
        if (job := background.find(_key(name))) is not None and job.place:
            job.stop()  # it is queued and hears no control
