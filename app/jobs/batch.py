"""Several results of one view: those that take a moment at once, the others beside the page, shown as they come."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from app import access
from app.jobs import background, watch
from app.jobs.background import Report
from app.session.cache import picture_cache
from cnnviz.errors import Cancelled
from cnnviz.progress import Progress

SOON = 0.4  # seconds of work before the first paint
Counter = Callable[[int, int], bool | None]  # (done, total) of one result; False stops it


@dataclass(frozen=True, slots=True)
class Wanted:
    """One result. `recipe` names everything it depends on; `words`: what it is; `quick`: it may be made at once."""

    recipe: tuple
    make: Callable[[Counter | None], Any]
    words: str
    quick: bool = False


def fill_results(slot: str, wanted: list[Wanted], place: Any = None) -> list[Any | None]:
    """The results in the order of `wanted`, None for those still to come; the page is drawn anew when one is there.

    `slot`: names the view; what this tab was waiting for in it before is given up. `place`: where the progress, a
    button to cancel it and what went wrong are shown."""
    started, alone = time.monotonic(), not access.may_start()  # who may start no job gets what is quick all the same
    for one in wanted:
        if one.quick and one.recipe not in picture_cache():
            picture_cache().get(one.recipe, partial(one.make, None))
            if not alone and time.monotonic() - started > SOON:
                break
    found = [picture_cache().find(one.recipe) for one in wanted]  # held from here on, whatever the store lets go of
    key = "inspect " + hashlib.sha256(repr([one.recipe for one in wanted]).encode()).hexdigest()[:20]
    watch.follow(f"inspect_{slot}", key)
    ready = sum(one is not None for one in found)
    if ready < len(wanted):
        with place if place is not None else st.container():
            _wait(f"inspect_{slot}", key, wanted, ready)
    return found


def _wait(slot: str, key: str, wanted: list[Wanted], ready: int) -> None:
    """Start the job, or show how far it is; `ready` results are on the page."""

    def has_more() -> bool:
        job = background.find(key)
        return job is not None and job.state is not None and job.state.done > ready

    if watch.start_or_offer(slot, key, "Inspecting", partial(_work, wanted), "Compute the rest") is not None:
        watch.draw_jobs(slot, [key], has_more)


def _work(wanted: list[Wanted], report: Report) -> None:
    """What is missing, one after another; a result that was finished is kept when the rest is cancelled."""
    for one in wanted:
        if one.recipe in picture_cache():
            continue

        def count(done: int, total: int, words: str = one.words) -> bool:
            ready = sum(other.recipe in picture_cache() for other in wanted)
            return report(Progress(ready, len(wanted), part=done / max(total, 1), note=words))

        if not count(0, 1):
            return
        try:
            picture_cache().get(one.recipe, partial(one.make, count))
        except Cancelled:
            return
