"""Studies of shifts that take more than a moment: beside the page, with progress, each result kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import streamlit as st

from app import limits
from app.jobs import background, slots
from app.session.cache import Kept
from app.url import address
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
    being asked, else behind a button, which also tries again what failed or was cancelled here."""
    key = name_of(recipe)
    slots.turn_to(slot, key)
    if (found := _results().find(key)) is not None:
        return found
    offer = f"Compute: {words}" if at_once else words
    job = slots.going(slot, key, words, lambda report: _work(key, make, report), offer, at_once)
    if job is not None:
        slots.cancel_button(slot, job)
        st.fragment(_progress, run_every=0.5)(key, words)
    return None


def _work(key: str, make: Make, report: Callable[[Any], bool]) -> None:
    if _results().find(key) is not None:
        return  # it has come while the page looked for it
    try:
        _results().put(key, make(report))
    except Cancelled:
        return  # nothing of it can be kept


def _progress(key: str, words: str) -> None:
    """How far a job is; draws the page anew when it has ended."""
    job = background.find(key)
    if job is None or not job.running:
        address.rerun()
    state = job.state
    if state is None:
        st.progress(0.0, f"{words}: {job.waiting()}")
        return
    left = f", {state.seconds_left:.0f} s left" if state.done else ""
    far = f"{words}: {state.done} of {state.total} {state.what}{left}"
    st.progress(min(state.done / max(state.total, 1), 1.0), far)
