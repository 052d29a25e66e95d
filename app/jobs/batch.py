"""Several results of one view: those that take a moment at once, the others beside the page, shown as they come."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app import access
from app.jobs import background, slots
from app.session import shared
from app.url import address
from cnnviz.errors import Cancelled

SOON = 0.4  # seconds of work before the first paint
Counter = Callable[[int, int], bool | None]  # (done, total) of one result; False stops it


@dataclass(frozen=True, slots=True)
class Wanted:
    """One result. `recipe` names everything it depends on; `words`: what it is; `quick`: it may be made at once."""

    recipe: tuple
    make: Callable[[Counter | None], Any]
    words: str
    quick: bool = False


@dataclass(frozen=True, slots=True)
class _State:
    """Where a job is: results that are there, of how many, which one is being made, and its share."""

    ready: int
    total: int
    words: str
    share: float


def filled(slot: str, wanted: list[Wanted], place: Any = None) -> list[Any | None]:
    """The results in the order of `wanted`, None for those still to come; the page is drawn anew when one is there.

    `slot`: names the view; what this tab was waiting for in it before is given up. `place`: where the progress, a
    button to cancel it and what went wrong are shown."""
    started, alone = time.monotonic(), not access.may_start()  # who may start no job gets what is quick all the same
    for one in wanted:
        if one.quick and not shared.is_drawn(one.recipe):
            shared.drawn(one.recipe, lambda one=one: one.make(None))
            if not alone and time.monotonic() - started > SOON:
                break
    found = [shared.found(one.recipe) for one in wanted]  # held from here on, whatever the store lets go of
    key = "inspect " + hashlib.sha256(repr([one.recipe for one in wanted]).encode()).hexdigest()[:20]
    slots.turn_to(f"inspect_{slot}", key)
    ready = sum(one is not None for one in found)
    if ready < len(wanted):
        with place if place is not None else st.container():
            _wait(f"inspect_{slot}", key, wanted, ready)
    return found


def _wait(slot: str, key: str, wanted: list[Wanted], ready: int) -> None:
    """Start the job, or show how far it is; `ready` results are on the page."""
    job = slots.going(slot, key, "Inspecting", lambda report: _work(wanted, report), "Compute the rest")
    if job is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.fragment(_progress, run_every=0.4)(key, ready)
            slots.cancel_button(slot, job)


def _work(wanted: list[Wanted], report: Callable[[Any], bool]) -> None:
    """What is missing, one after another; a result that was finished is kept when the rest is cancelled."""
    for one in wanted:
        if shared.is_drawn(one.recipe):
            continue

        def counter(done: int, total: int, one: Wanted = one) -> bool:
            ready = sum(shared.is_drawn(other.recipe) for other in wanted)
            return report(_State(ready, len(wanted), one.words, done / max(total, 1)))

        if not counter(0, 1):
            return
        try:
            shared.drawn(one.recipe, lambda one=one, counter=counter: one.make(counter))
        except Cancelled:
            return


def _progress(key: str, ready: int) -> None:
    """How far a job is; draws the page anew when it has ended or one more result is there."""
    job = background.find(key)
    state = None if job is None else job.state
    if job is None or not job.running or (state is not None and state.ready > ready):
        address.rerun()
    if state is None:
        st.progress(0.0, job.waiting("preparing").capitalize())
        return
    far = (state.ready + state.share) / max(state.total, 1)
    st.progress(min(far, 1.0), f"{state.words} ({state.ready + 1} of {state.total})")
