"""Long work beside the page: a thread that calls nothing of Streamlit's, watched by any number of tabs,
cancelled when the last of them is closed."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable
from typing import Any

import streamlit as st

from cnnviz.errors import CnnvizError

log = logging.getLogger("cnnviz")


class Job:
    """`work(report)` in a thread; `report(state)` returns False once the job is cancelled."""

    def __init__(self, name: str, work: Callable[[Callable[[Any], bool]], Any]) -> None:
        self.name, self.state, self.problem = name, None, ""
        self.watchers: set[int] = set()
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(work,), name=name, daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[Callable[[Any], bool]], Any]) -> None:
        try:
            work(self._report)
        except CnnvizError as error:
            self.problem = str(error)
        except Exception as error:  # the thread's edge: unsaid, the page would start the same work again for ever
            log.exception("%s failed", self.name)
            self.problem = f"Stopped: {str(error) or type(error).__name__}"

    def _report(self, state: Any) -> bool:
        self.state = state
        return not self._cancelled.is_set()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask the work to stop at its next report."""
        self._cancelled.set()

    def end(self, seconds: float) -> None:
        """Cancel, and wait for the work to stop and save."""
        self.cancel()
        self._thread.join(seconds)


@st.cache_resource(show_spinner=False)
def _registry() -> tuple[dict[str, Job], threading.Lock]:
    jobs: dict[str, Job] = {}
    atexit.register(_end_all, jobs)  # a thread inside torch would abort the interpreter's shutdown
    return jobs, threading.Lock()


def _end_all(jobs: dict[str, Job]) -> None:
    for job in jobs.values():
        job.cancel()
    for job in jobs.values():
        job.end(10)


def _leave(mine: set[Job]) -> None:
    for job in mine:
        job.watchers.discard(id(mine))
        if not job.watchers:
            job.cancel()


class _Mine(set):
    """Jobs this tab watches; hashable by identity so that it can leave them."""

    __hash__ = object.__hash__


@st.cache_resource(scope="session", on_release=_leave, show_spinner=False)
def _mine() -> set[Job]:
    return _Mine()


def find(key: str) -> Job | None:
    """The job under `key`, running or ended; watching it keeps it alive."""
    jobs, lock = _registry()
    with lock:
        job = jobs.get(key)
    if job is not None and job.running:
        _watch(job)
    return job


def start(key: str, name: str, work: Callable[[Callable[[Any], bool]], Any]) -> Job:
    """Start work under `key`, or join it if another tab has started it."""
    jobs, lock = _registry()
    with lock:
        if key not in jobs or not jobs[key].running:
            jobs[key] = Job(name, work)
        job = jobs[key]
    _watch(job)
    return job


def _watch(job: Job) -> None:
    mine = _mine()
    mine.add(job)
    job.watchers.add(id(mine))
