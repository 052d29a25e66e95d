"""Jobs on a page: one place that waits for a job, and the one way to draw those that run, with progress and Cancel."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import streamlit as st

from app import access, limits
from app.jobs import background
from app.jobs.background import Job, Work
from app.markdown import escape_markdown
from app.url import address

EVERY = 0.5  # seconds between two looks at a job
LOOK, WORDS = 0.1, 2.0  # seconds between two looks of a page that waits, and after which it says how far the job is
_WAITING = "waiting"  # in the session: {slot: key of the job that this tab waits for there}
_FOLLOWED = "followed"  # in the session: the slots that the present run has drawn
_AWAITED = "awaited"  # in the session: what tells that there is more to show than the present run has drawn
_VIEW = "watched_view"  # in the session: the view that was drawn last


def begin(view: Hashable) -> None:
    """Call before a page is drawn. In another view than before nothing is waited for any more: what was begun for the
    one left behind stops before it takes time from this one."""
    if st.session_state.get(_VIEW) != view:
        st.session_state[_VIEW] = view
        _leave_all(_waiting())
    st.session_state[_FOLLOWED] = set()
    st.session_state[_AWAITED] = []


def finish() -> None:
    """Call once the page is drawn: what it has not followed, it no longer shows."""
    _leave_all(set(_waiting()) - st.session_state.get(_FOLLOWED, set()))


def follow(slot: str, key: str) -> None:
    """This tab waits for the job `key` in this place now, and no longer for the one before."""
    st.session_state.setdefault(_FOLLOWED, set()).add(slot)
    before = _waiting().get(slot)
    _waiting()[slot] = key
    if before and before != key:
        background.leave(before)


def expect(more: Callable[[], bool]) -> None:
    """The page has drawn what there is of a running job; `more()` tells when there is more, or the job has ended."""
    st.session_state.setdefault(_AWAITED, []).append(more)


def linger() -> None:
    """The very last thing of a run: wait for what is expected, and draw the page anew. Any click ends the waiting.

    The server looks, not the browser: with each look that a browser asks for come the values of all its widgets, and
    those may be older than what a click has just chosen."""
    if not (awaited := st.session_state.pop(_AWAITED, None)):
        return
    place, until = st.empty(), time.monotonic() + WORDS
    while time.monotonic() < until and not any(more() for more in awaited):
        time.sleep(LOOK)
        place.empty()  # here Streamlit turns to a click that has come meanwhile
    address.rerun()


def _waiting() -> dict[str, str]:
    return st.session_state.setdefault(_WAITING, {})


def _leave_all(slots: Iterable[str]) -> None:
    for slot in list(slots):
        background.leave(_waiting().pop(slot))


def start_or_offer(
    slot: str, key: str, name: str, work: Work, offer: str, at_once: bool = True, patient: bool | None = None
) -> Job | None:
    """The job while it runs. None where it does not: the page has a button then that says `offer`, or why this session
    may not start it.

    `at_once`: it takes a moment and begins by itself, but not again after it failed or somebody cancelled it, in
    whatever tab. One that stopped because nobody waited for it any more begins anew. `patient`: see Job; None: as long
    work is."""
    job = background.find(key)
    if job is not None and job.running:
        return job
    if problem := job.problem if job is not None else "":
        st.error(escape_markdown(problem), icon=":material/error:")
    lane = limits.SHORT if at_once else limits.LONG
    try:
        if at_once and not problem and not (job is not None and job.unwanted):
            return background.start(key, name, work, lane=lane, patient=patient)
        if st.button(offer, key=f"start_{slot}", type="primary"):
            background.start(key, name, work, lane=lane, patient=patient)
            address.rerun()
    except access.NotAllowed as error:
        st.info(escape_markdown(str(error)), icon=":material/school:")
    return None


def draw_jobs(
    slot: str,
    keys: list[str],
    ready: Callable[[], bool] = lambda: False,
    preparing: str = "preparing",
    allowed: bool = True,
    together: bool = False,
) -> None:
    """The running jobs of `keys`, each with its progress and a button that cancels it. The page is drawn anew when all
    have ended, or `ready()` says that there is more to show. `preparing`: what to say before there is any progress;
    `allowed`: whether this session may cancel them. `together`: one button cancels all.

    The buttons stand outside the fragment: a click on a fragment's button can be lost while the page itself is being
    drawn."""
    jobs = [job for key in keys if (job := background.find(key)) is not None and job.running]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.fragment(_draw_progress, run_every=EVERY)(keys, ready, preparing)
        if together and len(jobs) > 1:
            st.button("Cancel all", key=f"cancel_{slot}", on_click=_cancel_all, args=(jobs,), disabled=not allowed)
            return
        for number, job in enumerate(jobs):
            cancel_button(slot if not number else f"{slot}_{number}", job, allowed)


def cancel_button(slot: str, job: Job, allowed: bool = True) -> None:
    """Stops the job, which then waits behind a button."""
    st.button("Cancel", key=f"cancel_{slot}", on_click=job.cancel, disabled=job.cancelled or not allowed)


def _cancel_all(jobs: list[Job]) -> None:
    for job in jobs:
        job.cancel()


def _draw_progress(keys: list[str], ready: Callable[[], bool], preparing: str) -> None:
    jobs = [job for key in keys if (job := background.find(key)) is not None and job.running]
    if not jobs or ready():
        address.rerun()
    for job in jobs:
        draw_progress(job, preparing)


def draw_progress(job: Job, preparing: str = "preparing", place: Any = st) -> None:
    """How far a job is, as a bar with words: its place in the queue, what it prepares, or what is done of it."""
    state = job.state
    if job.place or state is None:
        place.progress(0.0, f"{escape_markdown(job.name)}: {job.describe_wait(preparing)}")
    else:
        place.progress(state.share, f"{escape_markdown(job.name)}: {state.describe()}")
