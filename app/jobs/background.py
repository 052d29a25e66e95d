"""Background jobs: long work in a thread that calls nothing of Streamlit's, watched by any number of tabs, stopped when
the last of them has left it or is closed. Only so many run at once; the others are queued (app/limits.py,
app/jobs/queue.py)."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol

import streamlit as st

from app import access, limits
from app.jobs import clicks
from app.jobs.queue import JobQueue, Ticket
from cnnviz.device import out_of_memory, release
from cnnviz.errors import CnnvizError
from cnnviz.progress import format_ordinal
from cnnviz.wording import plural

NICE = 5  # of long work: a third of the time of a click's
log = logging.getLogger("cnnviz")
FULL = (
    "Stopped: {} needs more memory than there is. What was finished is kept. Close other programs, or choose a smaller "
    "network, fewer images or another device."
)


class Report(Protocol):
    """What work says of itself on the way."""

    def __call__(self, progress: Any, partial: Any = None) -> bool:
        """Keep where it stands (a cnnviz.progress.Progress) and what there is so far; False once it is cancelled."""


Work = Callable[[Report], Any]


class Job:
    """`work(report)` in a thread, once its `ticket` is called; see `Report`.

    `state`: its progress, None before there is any; `partial`: what there is so far. `patient`: clicks, and a browser
    on the same machine, come first."""

    def __init__(self, name: str, work: Work, ticket: Ticket | None = None, patient: bool = False) -> None:
        self._patient = patient
        self.name, self.problem = name, ""
        self.state: Any = None
        self.partial: Any = None
        self.unwanted = False  # cancelled by a person, not for want of watchers
        self.watchers: set[int] = set()
        self._cancelled, self._ticket = threading.Event(), ticket
        self._thread = threading.Thread(target=self._run, args=(work,), name=name, daemon=True)
        self._thread.start()

    def _run(self, work: Work) -> None:
        full = False
        if self._patient:
            _stand_back()
        try:
            if self._ticket is None or self._ticket.wait(self._cancelled):
                work(self._report)
        except CnnvizError as error:
            self.problem = str(error)
        except Exception as error:  # the thread's edge: unsaid, the page would start the same work again for ever
            log.exception("%s failed", self.name)
            full = out_of_memory(error)
            self.problem = FULL.format(self.name) if full else f"Stopped: {str(error) or type(error).__name__}"
        finally:
            if self._ticket is not None:
                self._ticket.end()
        if full:
            del work
            release("cuda")  # outside the except block: its traceback holds what fills the memory

    def _report(self, progress: Any, partial: Any = None) -> bool:
        self.partial, self.state = partial, progress
        if self._patient and not self._cancelled.is_set():
            clicks.give_way()
        return not self._cancelled.is_set()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    @property
    def place(self) -> int:
        """Its place in the queue, from 1; 0 once it runs, or has ended."""
        return 0 if self._ticket is None else self._ticket.place

    def describe_wait(self, otherwise: str = "preparing") -> str:
        """What to say while there is no state: its place in the queue, or `otherwise`."""
        if not (place := self.place) or self._ticket is None:
            return otherwise
        most = self._ticket.queue.places
        return f"queued ({format_ordinal(place)}); this machine runs {most} of this kind at once"

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask the work to stop at its next report. A student's click does not stop what the class waits for."""
        if access.may_start():
            self.unwanted = True
            self.stop()

    def stop(self) -> None:
        """Ask the work to stop, whoever asks; a queued one leaves at once."""
        self._cancelled.set()
        if self._ticket is not None:
            self._ticket.queue.wake()

    def disown(self, who: int) -> None:
        """It no longer counts among the jobs of `who`, who started it and left it to others."""
        if self._ticket is not None and self._ticket.who == who:
            self._ticket.who = None
            self._ticket.queue.wake()  # another of theirs may run now

    def end(self, seconds: float) -> None:
        """Stop, and wait for the work to save."""
        self.stop()
        self._thread.join(seconds)


def _stand_back() -> None:
    """A lower priority for this thread, and for the threads and processes that compute for it."""
    if sys.platform == "linux":  # elsewhere it would hold for the whole process
        with contextlib.suppress(OSError):
            own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), max(own, NICE))


@st.cache_resource(show_spinner=False)
def _queue(lane: str) -> JobQueue:
    return JobQueue(limits.at_once(lane), limits.each(lane))


@st.cache_resource(show_spinner=False)
def _registry() -> tuple[dict[str, Job], threading.Lock]:
    jobs: dict[str, Job] = {}
    atexit.register(_end_all, jobs)  # a thread inside torch would abort the interpreter's shutdown
    return jobs, threading.Lock()


def _end_all(jobs: dict[str, Job]) -> None:
    for job in jobs.values():
        job.stop()
    for job in jobs.values():
        job.end(10)


def _leave(mine: set[Job]) -> None:
    for job in mine:
        _part(job, mine)


def _part(job: Job, mine: set[Job]) -> None:
    job.watchers.discard(id(mine))
    if job.watchers:
        job.disown(id(mine))
    else:
        job.stop()


class _WatchedJobs(set[Job]):
    """Jobs this tab watches; hashable by identity so that it can leave them."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # a set says that it has none


@st.cache_resource(scope="session", on_release=_leave, show_spinner=False)
def _mine() -> set[Job]:
    return _WatchedJobs()


def find(key: str) -> Job | None:
    """The job under `key`, running or ended; watching it keeps it alive."""
    jobs, lock = _registry()
    with lock:
        job = jobs.get(key)
    if job is not None and job.running:
        _watch(job)
    return job


def any_running() -> bool:
    """Whether long work is going on, of anybody."""
    jobs, lock = _registry()
    with lock:
        return any(job.running for job in jobs.values())


def leave(key: str) -> None:
    """This tab waits no longer for the job under `key`. The last to leave stops it, a student, too; a tab that never
    watched it changes nothing."""
    jobs, lock = _registry()
    with lock:
        job = jobs.get(key)
    mine = _mine()
    if job is not None and job in mine:
        mine.discard(job)
        _part(job, mine)


def start(
    key: str, name: str, work: Work, watched: bool = True, lane: str = limits.LONG, patient: bool | None = None
) -> Job:
    """Start work under `key`, or join it if another tab has started it. Raises access.NotAllowed where this
    session may start none, and for more than limits.waiting() jobs of one person.

    `watched`: False from a job's own thread, which was allowed to run: the work needs no tab that stays open.
    `lane`: limits.LONG or SHORT; what takes a moment never waits for what takes minutes. `patient`: see Job; None: as
    long work is."""
    jobs, lock = _registry()
    queue, who = _queue(lane), id(_mine()) if watched else None
    with lock:
        if key not in jobs or not jobs[key].running:
            if watched:
                access.check_may_start(name)
                _refuse_more(name, queue.held_by(who))
            jobs.pop(key, None)
            jobs[key] = Job(name, work, queue.join(who), lane == limits.LONG if patient is None else patient)
            _forget_old(jobs)
        job = jobs[key]
    if watched:
        _watch(job)
    return job


def _refuse_more(name: str, held: int) -> None:
    if held >= limits.waiting():
        raise access.NotAllowed(
            f"“{name}” was not started: {plural(held, 'job')} of yours already running or queued, and one "
            "person may have "
            f"{limits.waiting()}. Cancel one, or wait until one has ended."
        )


def _forget_old(jobs: dict[str, Job]) -> None:
    """Jobs that ended long ago hold their last state, which may be large."""
    ended = [key for key, job in jobs.items() if not job.running]
    for key in ended[: max(len(ended) - limits.ENDED, 0)]:
        del jobs[key]


def _watch(job: Job) -> None:
    mine = _mine()
    mine.add(job)
    job.watchers.add(id(mine))
