"""The runs that the page Training shows: which there are, what is chosen, and their files as they are now."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import unquote

import streamlit as st

from app import limits
from app.session import networks, run_weights
from app.session.cache import LruCache
from app.url import address
from cnnviz.errors import CnnvizError
from cnnviz.figures.training.words import describe_state
from cnnviz.training.record.result import RecordedRun, RunReader, find_run

MOST = 6  # runs on one axis
QUIET, GAPS = (
    60,
    8,
)  # a run is silent after so many seconds, or of its usual gaps between two lines where that is longer
EVERY, SELDOM = 1.5, 15.0  # seconds between two looks at a run that is written, and at one that is silent
DEGRADATION = tuple(f"bundled:{name}_cifar" for name in ("plain20", "plain56", "resnet20", "resnet56"))


@st.cache_resource(show_spinner=False)
def _readers() -> LruCache:
    return LruCache(lambda _group: limits.RUN_READERS, lambda: limits.RUN_READERS, lambda _reader: 1)


@st.cache_resource(show_spinner=False)
def _bundled() -> dict[str, RecordedRun]:
    from cnnviz.training.record.bundled_runs import bundled_runs

    return {run.name: run for run in bundled_runs()}


def list_names(key: str, looked_into: bool = False) -> list[str]:
    """Own runs, the newest first, then those that come with cnnviz; `looked_into`: of these such as kept looks into
    their layers. `key`: of the picker; what the address asks for by it may have begun just now."""
    asked = [unquote(name) for name in address.read(key).split(",") if name]
    kept = [name for name, run in _bundled().items() if not looked_into or len(run.looks["step"])]
    return [*run_weights.recorded_runs(*asked), *kept]


def read(name: str) -> RecordedRun:
    """A run as it is now; of its files only what is new is read. Raises CnnvizError where it is gone."""
    if name in _bundled():
        return _bundled()[name]
    folder = find_run(name)
    reader: RunReader = _readers().get((name, str(folder)), lambda: RunReader(folder, name))
    return reader.read()


def read_all(names: list[str]) -> tuple[list[RecordedRun], list[str]]:
    """The runs, and why others cannot be shown."""
    found, problems = [], []
    for name in names:
        try:
            found.append(read(name))
        except CnnvizError as error:
            problems.append(str(error))
    return found, problems


def state_of(run: RecordedRun) -> str:
    """ "running", "ended", …; "" of one that comes with cnnviz."""
    return "" if run.is_bundled else describe_state(run, time.time(), _quiet(run))


def _quiet(run: RecordedRun) -> float:
    return max(QUIET, GAPS * run.pace)


def next_look(runs: list[RecordedRun]) -> float | None:
    """Seconds until these should be read again; None where nothing more is to come."""
    going = [run for run in runs if run.running]
    if not going:
        return None
    return EVERY if any(state_of(run) == "running" for run in going) else SELDOM


def label(name: str) -> str:
    """How pickers and legends call a run."""
    if name in _bundled():
        architecture = _bundled()[name].architecture
        known = networks.summaries().get(architecture)
        return known.title if known else architecture
    return name


def _label_with_state(name: str) -> str:
    if name in _bundled():
        return f"{label(name)}, comes with cnnviz"
    try:
        state = state_of(read(name))
    except CnnvizError:
        state = "cannot be read"
    return f"{name} · {state}" if state != "ended" else name


def pick(row: Any) -> list[str]:
    """The runs of the view, at most MOST, and the button that chooses those that show degradation."""
    names, own = list_names("runs"), run_weights.recorded_runs()
    usual = [next(iter(own))] if own else [name for name in DEGRADATION if name in names] or names[:1]
    with row, st.popover("Runs", icon=":material/monitoring:", width="content"):
        chosen = address.bind_several(
            st.multiselect,
            f"Runs, {MOST} at most",
            "runs",
            usual,
            options=names,
            format_func=_label_with_state,
            max_selections=MOST,
            width=340,
        )
        if not own:
            st.caption("No recorded run is in the folder of runs yet; how to record one is told below the picture.")
    return chosen[:MOST]


def offer_degradation(row: Any) -> None:
    """The button that chooses the trainings of 20 and 56 layers, with and without shortcuts."""
    here = [name for name in DEGRADATION if name in _bundled()]
    if len(here) == len(DEGRADATION):
        with row:
            st.button("Degradation", key="degradation", on_click=_choose_degradation, args=(here,), help=_HELP)


_HELP = "The four trainings on CIFAR-10 that come with cnnviz: 20 and 56 layers, without and with shortcuts."


def _choose_degradation(names: list[str]) -> None:
    address.choose("runs", list(names))
    address.reset("axis")


def pick_one(place: Any, names: list[str]) -> str:
    """Of the chosen runs the one that is looked into."""
    if len(names) == 1:
        return names[0]
    with place:
        return address.bind(
            st.selectbox, "Look into", "run", names[0], options=names, format_func=label, width="stretch"
        )
