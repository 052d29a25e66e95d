"""One place of a page that waits for a job: the one it waited for before is left, the new one begins or is offered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from app import access, limits
from app.jobs import background
from app.markdown import escape_markdown
from app.url import address

Work = Callable[[Callable[[Any], bool]], Any]  # see jobs.Job


def turn_to(slot: str, key: str) -> None:
    """This tab waits for the job `key` in this place now, and no longer for the one before."""
    place = f"waiting_{slot}"
    before = st.session_state.get(place)
    st.session_state[place] = key
    if before and before != key:
        background.leave(before)


def going(slot: str, key: str, name: str, work: Work, offer: str, at_once: bool = True) -> background.Job | None:
    """The job while it runs. None where it does not: the page has a button then that says `offer`, or why this session
    may not start it.

    `at_once`: it takes a moment and begins by itself, but not again after it failed or somebody cancelled it, in
    whatever tab. One that stopped because nobody waited for it any more begins anew."""
    job = background.find(key)
    if job is not None and job.running:
        return job
    if problem := job.problem if job is not None else "":
        st.error(escape_markdown(problem), icon=":material/error:")
    lane = limits.SHORT if at_once else limits.LONG
    try:
        if at_once and not problem and not (job is not None and job.unwanted):
            return background.start(key, name, work, lane=lane)
        if st.button(offer, key=f"start_{slot}", type="primary"):
            background.start(key, name, work, lane=lane)
            address.rerun()
    except access.NotAllowed as error:
        st.info(escape_markdown(str(error)), icon=":material/school:")
    return None


def cancel_button(slot: str, job: background.Job) -> None:
    """Stops the job, which then waits behind a button."""
    st.button("Cancel", key=f"cancel_{slot}", on_click=job.cancel)
