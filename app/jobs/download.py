"""Published weights and data sets that are not on this machine yet: downloaded beside the page, once for all sessions.
Neither clicks nor a closed tab stop a download, and whoever needs the same file sees the same progress."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import streamlit as st

from app import access, limits
from app.jobs import background, watch
from app.jobs.background import Report
from app.markdown import escape_markdown
from app.session import shared
from app.url import address
from cnnviz.errors import Cancelled, CnnvizError
from cnnviz.progress import Progress

NOBODY = 0  # watches every download, so that it goes on without a tab: what it brings is of use later
SOON = 0.6  # seconds in which what fails at once, or is small, has ended before the page is drawn
Counter = Callable[[int, int], None]  # (bytes so far, bytes in all; 0 = unknown)


class Damaged(CnnvizError):
    """A file of weights that is on this machine, but has to be downloaded again."""


def are_here(name: str) -> bool:
    """Whether the published weights of a network are on this machine."""
    from cnnviz.models.catalogue.registry import find
    from cnnviz.models.zoo.download import cache_path, find_weights

    return cache_path(find_weights(find(name)).url).is_file()


def require_weights(name: str, damaged: bool = False) -> None:
    """See to it that the published weights of a network are on this machine. `damaged`: they are, but of no use.

    Raises NotAllowed, before anything is connected to; PageEnded while they are not here, which the page has said."""
    from cnnviz.models.catalogue.registry import find
    from cnnviz.models.zoo.download import fetch_file, find_weights

    if damaged or not are_here(name):
        url = find_weights(find(name)).url
        _bring(f"download {url}", f"Downloading weights of {name}", lambda progress: fetch_file(url, progress))


def refuse(_done: int, _total: int) -> None:
    """In place of a progress: raises Damaged instead of downloading in the page's own thread."""
    raise Damaged("These weights are damaged and have to be downloaded again.")


def require_data(source: str) -> None:
    """See to it that a public data set is on this machine. Raises as `require_weights`."""
    from cnnviz.data.public.public_files import family_of, is_here, prefetch

    if not is_here(source):
        family = family_of(source)
        _bring(f"download {family}", f"Downloading {family}", lambda progress: prefetch(family, progress))


def explain_problem(name: str, problem: str) -> str:
    """Why something could not be fetched, for this session: an address or a folder of the server's is only for those
    who may see its disk."""
    if access.may_see_the_disk():
        return problem
    return (
        f"{name} failed: the machine that runs cnnviz could not reach the file, or could not keep it. Ask whoever "
        "runs it, or choose something else."
    )


def _bring(key: str, name: str, fetch: Callable[[Counter], Any]) -> None:
    """Start the download or join it, and show how far it is; returns once it has just ended well."""
    job = background.find(key)
    if job is None or not (job.running or job.problem or job.cancelled):
        job = _start(key, name, fetch)
        if not (job.running or job.problem or job.cancelled):
            return
    if job.running:
        _show(key)
    else:
        _offer(key, job, fetch)
    raise shared.PageEnded


def _start(key: str, name: str, fetch: Callable[[Counter], Any]) -> background.Job:
    def work(report: Report) -> None:
        def progress(done: int, total: int) -> None:
            note = "checking and unpacking" if total and done >= total else ""
            if not report(Progress(round(done / 1e6), round(total / 1e6), "MB", note=note)):
                raise Cancelled(f"{name} was stopped.")

        with contextlib.suppress(Cancelled):
            fetch(progress)

    job, end = background.start(key, name, work, lane=limits.FETCH), time.monotonic() + SOON
    job.watchers.add(NOBODY)
    while job.running and time.monotonic() < end:
        time.sleep(0.01)
    return job


def _show(key: str) -> None:
    watch.draw_jobs("download", [key], preparing="connecting", allowed=access.may_start())
    st.caption("It goes on while you look at something else. This view is drawn as soon as the file is here.")


def _offer(key: str, job: background.Job, fetch: Callable[[Counter], Any]) -> None:
    """One that failed or was cancelled starts again behind a button."""
    access.check_may_start(job.name)  # who may not start it is told so, not why it failed
    if job.problem:
        st.error(escape_markdown(explain_problem(job.name, job.problem)), icon=":material/cloud_off:")
    else:
        st.info(f"{escape_markdown(job.name)} was stopped.")
    if st.button("Try again" if job.problem else "Download", key="start_download", type="primary"):
        _start(key, job.name, fetch)
        address.rerun()
