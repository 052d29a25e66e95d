"""What has to be downloaded: nothing is before somebody agrees to it, on any page. It comes beside the page, once for
all sessions: neither clicks nor a closed tab stop it, and whoever needs the same file sees the same progress."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from app import access, limits
from app.jobs import background, watch
from app.jobs.background import Job, Report
from app.markdown import as_literal, escape_markdown
from app.url import address
from cnnviz.errors import Cancelled
from cnnviz.progress import Progress

if TYPE_CHECKING:
    from cnnviz.models.catalogue.downloads import Download

NOBODY = 0  # watches every download, so that it goes on without a tab: what it brings is of use later
SOON = 0.6  # seconds in which what fails at once, or is small, has ended before the page is drawn


def ask(slot: str, wanted: Download, why: str, meanwhile: str, stay: str, on_stay: Callable[[], None]) -> None:
    """In a compact box: what is not here, its size, source and place; a button that downloads it, one that says `stay`,
    and how to do it by hand. While it is downloaded its progress, afterwards what went wrong. The page is drawn anew
    when it has come. `why`: e.g. "The trained weights of alexnet are not on this computer."; `meanwhile`: what the
    page shows until then."""
    with st.container(border=True, gap="small"):
        st.markdown(
            f":material/download: **{escape_markdown(why)}** {describe_source([wanted])}. {escape_markdown(meanwhile)}"
        )
        if show_running(slot, [wanted]):
            return
        _say_outcome(wanted)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            offer_start(slot, [wanted], "Download")
            st.button(stay, key=f"stay_{slot}", on_click=on_stay)
            if access.may_see_the_disk():
                st.caption(_explain_by_hand(wanted), width="stretch")


def describe_source(several: Sequence[Download]) -> str:
    """Size, source and, for those who may see this computer's disk, place: "244.4 MB from download.pytorch.org, kept in
    `/home/me/.cache/torch/hub/checkpoints`"."""
    sizes = " + ".join(wanted.size_text for wanted in several)
    sources, folders = ({getattr(wanted, of): None for wanted in several} for of in ("source", "folder"))
    kept = f", kept in {' and '.join(f'`{folder}`' for folder in folders)}" if access.may_see_the_disk() else ""
    return f"{sizes[0].upper()}{sizes[1:]} from {' and '.join(sources)}{kept}"


def show_running(slot: str, several: Sequence[Download]) -> bool:
    """Draw those that are downloaded now, with progress and Cancel; False where none is. The page is drawn anew as soon
    as one of them has ended."""
    keys = [key for key in map(_key, several) if (job := background.find(key)) is not None and job.running]
    if keys:
        watch.draw_jobs(
            slot,
            keys,
            ready=lambda: not all((job := background.find(key)) is not None and job.running for key in keys),
            preparing="connecting",
            allowed=access.may_start(),
            together=True,
        )
        st.caption("It goes on while you look at something else, and shows here as soon as it has come.")
    return bool(keys)


def offer_start(slot: str, several: Sequence[Download], label: str) -> None:
    """A button that starts the downloads; in its place, for those who may not start them, why."""
    try:
        access.check_may_start(f"Downloading {' and '.join(wanted.what for wanted in several)}")
        if not st.button(label, key=f"start_{slot}", type="primary"):
            return
        started = [_start(wanted) for wanted in several]
    except access.NotAllowed as error:
        st.info(escape_markdown(str(error)), icon=":material/school:")
        return
    end = time.monotonic() + SOON
    while any(job.running for job in started) and time.monotonic() < end:
        time.sleep(0.01)
    address.rerun()


def describe_failure(wanted: Download) -> str:
    """Why it could not be downloaded, and what to do; "" where nothing failed. An address or a folder of the server's
    is only for those who may see its disk."""
    job = background.find(_key(wanted))
    if job is None or not job.problem:
        return ""
    if access.may_see_the_disk():
        return job.problem
    return (
        f"{job.name} failed: the machine that runs cnnviz could not reach the file, or could not keep it. Ask whoever "
        "runs it, or choose something else."
    )


def _say_outcome(wanted: Download) -> None:
    """How an earlier try ended."""
    job = background.find(_key(wanted))
    if job is None or not access.may_start():  # who may not start it is told so, not why it failed
        return
    if failure := describe_failure(wanted):
        st.error(f"{escape_markdown(failure)} The page is unchanged.", icon=":material/cloud_off:")
    elif job.cancelled:
        st.info(f"{escape_markdown(job.name)} was stopped.")


def _explain_by_hand(wanted: Download) -> str:
    links = ", ".join(f"[{as_literal(name)}]({url})" for name, url in wanted.files.items())
    then = ", and press Download" if wanted.kind == "data" else ""
    return f"Or fetch {links} with a browser and {as_literal(wanted.by_hand)}{then}. A mirror: `{wanted.mirror}`."


def _key(wanted: Download) -> str:
    return f"download {wanted.kind} {wanted.name}"


def _start(wanted: Download) -> Job:
    """Start it in the background, or join it. Raises NotAllowed before anything is connected to."""
    name = f"Downloading {wanted.what}"

    def work(report: Report) -> None:
        def progress(done: int, total: int) -> None:
            note = "checking and unpacking" if total and done >= total else ""
            state = Progress(round(done / 1e6), round(total / 1e6), "MB", note=note) if done else None
            if not report(state):
                raise Cancelled(f"{name} was stopped.")

        with contextlib.suppress(Cancelled):
            wanted.fetch(progress)

    job = background.start(_key(wanted), name, work, lane=limits.FETCH)
    job.watchers.add(NOBODY)
    return job
