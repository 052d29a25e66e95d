"""Studies of shifts that take more than a moment: beside the page, with progress, each result kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import streamlit as st

from app import address, jobs, limits
from app.kept import Kept
from app.plain import plain
from cnnviz.errors import Cancelled

Make = Callable[[Callable[[Any], bool]], Any]


@st.cache_resource(show_spinner=False)
def _results() -> Kept:
    return Kept(lambda: limits.RESULTS)


def name_of(recipe: tuple) -> str:
    """The key of a job and its result; `recipe` names everything the result depends on."""
    return "equivariance " + hashlib.sha256(repr(recipe).encode()).hexdigest()[:20]


def kept(recipe: tuple) -> Any | None:
    """The result that is there already, or None."""
    return _results().find(name_of(recipe))


def result(slot: str, recipe: tuple, words: str, make: Make, at_once: bool = True) -> Any | None:
    """What `make(progress)` returns; None while it is computed, with its progress on the page.

    `slot`: where on the page; what this tab was waiting for there before is given up. `at_once`: begin without
    being asked, else behind a button. A failure is said in words and not tried again by itself."""
    key = name_of(recipe)
    _give_up_other(slot, key)
    if (found := _results().find(key)) is not None:
        return found
    job = jobs.find(key)
    going = job is not None and job.running
    if not going and job is not None and job.problem:
        st.error(plain(job.problem), icon=":material/error:")
        return None
    try:
        return _begin_or_wait(slot, key, words, make, going, at_once and job is None)
    except jobs.NotAllowed as error:
        st.info(plain(str(error)), icon=":material/school:")
        return None


def _begin_or_wait(slot: str, key: str, words: str, make: Make, going: bool, at_once: bool) -> None:
    """The button that starts the work, or its progress."""
    if not going and not at_once:
        if not st.button(words, key=f"start_{slot}", type="primary"):
            return
        jobs.start(key, words, lambda report: _work(key, make, report))
        address.rerun()
    if not going:
        jobs.start(key, words, lambda report: _work(key, make, report), lane=limits.SHORT)
    st.button("Cancel", key=f"cancel_{slot}", on_click=jobs.find(key).cancel)
    st.fragment(_progress, run_every=0.5)(key, words)


def _work(key: str, make: Make, report: Callable[[Any], bool]) -> None:
    try:
        _results().put(key, make(report))
    except Cancelled:
        return  # nothing of it can be kept


def _give_up_other(slot: str, key: str) -> None:
    """Cancel what only this tab was waiting for in the same place."""
    place = f"equivariance_{slot}"
    before = st.session_state.get(place)
    st.session_state[place] = key
    if before and before != key and (job := jobs.find(before)) is not None and len(job.watchers) <= 1:
        job.cancel()


def _progress(key: str, words: str) -> None:
    """How far a job is; draws the page anew when it has ended."""
    job = jobs.find(key)
    if job is None or not job.running:
        address.rerun()
    state = job.state
    if state is None:
        st.progress(0.0, f"{words}: {job.waiting()}")
        return
    left = f", {state.seconds_left:.0f} s left" if state.done else ""
    far = f"{words}: {state.done} of {state.total} {state.what}{left}"
    st.progress(min(state.done / max(state.total, 1), 1.0), far)
