"""Long work beside the page: it runs once, can be stopped, says what went wrong, ends with its last watcher."""

import os
import sys
import threading

import pytest
from app_jobs import ended, until_cancelled
from streamlit.testing.v1 import AppTest

from app import limits
from app.jobs import background
from app.jobs.background import Job
from cnnviz.errors import BadInput


def test_work_runs_beside_the_caller_and_reports_its_state():
    may_end, seen = threading.Event(), threading.Event()

    def work(report) -> None:
        assert report("half")
        seen.set()
        may_end.wait(30)

    job = Job("test", work)
    assert seen.wait(30) and job.running and job.state == "half"
    may_end.set()
    assert ended(job) and job.problem == "" and not job.cancelled


def test_a_cancelled_job_stops_at_its_next_report_without_a_problem():
    job = Job("test", until_cancelled)
    job.cancel()
    assert ended(job) and job.cancelled and job.problem == ""


@pytest.mark.parametrize(
    "error",
    [BadInput("No such layer."), RuntimeError("full"), OSError(28, "No space left"), ValueError("odd"), KeyError()],
    ids=lambda e: type(e).__name__,
)
def test_whatever_goes_wrong_is_kept_as_a_problem(error):
    def work(report) -> None:
        raise error

    job = Job("test", work)
    assert ended(job) and job.problem and "Traceback" not in job.problem
    assert str(error).strip("'") in job.problem


def start_twice() -> None:
    """A script: watchers are counted by session, so that jobs are started from a page."""
    import streamlit as st
    from app_jobs import until_cancelled

    from app.jobs import background

    st.session_state["first"] = background.start("key", "test", until_cancelled)
    st.session_state["second"] = background.start("key", "test", until_cancelled)
    st.session_state["found"] = background.find("key")
    st.session_state["none"] = background.find("other")


def test_the_same_work_is_started_once_found_by_its_key_and_started_again_after_its_end():
    at = AppTest.from_function(start_twice, default_timeout=30).run()
    assert not at.exception
    first = at.session_state["first"]
    assert first.running and len(first.watchers) == 1
    assert at.session_state["second"] is first is at.session_state["found"]
    assert at.session_state["none"] is None
    first.cancel()
    assert ended(first)
    again = AppTest.from_function(start_twice, default_timeout=30).run().session_state["first"]
    assert again is not first and again.running


def freezes_beside_a_job() -> None:
    import gc

    import streamlit as st
    from app_jobs import ended, until_cancelled

    from app.jobs import background
    from app.session import networks
    from app.session.networks import Choice

    assert not background.any_running()
    job, before = background.start("key", "test", until_cancelled), gc.get_freeze_count()
    assert background.any_running()
    networks.load(Choice("lenet5", "random", "cpu"))
    st.session_state["beside"] = gc.get_freeze_count() - before
    job.cancel()
    assert ended(job) and not background.any_running()
    networks.load(Choice("lenet5", "random", "cpu"))
    st.session_state["after"] = gc.get_freeze_count() - before


def test_objects_are_made_permanent_only_while_no_job_holds_some():
    at = AppTest.from_function(freezes_beside_a_job, default_timeout=30).run()
    assert not at.exception
    assert at.session_state["beside"] == 0 < at.session_state["after"]


def test_a_job_goes_on_while_one_watcher_is_left_and_stops_with_the_last():
    job = Job("test", until_cancelled)
    one, other = background._WatchedJobs({job}), background._WatchedJobs({job})
    job.watchers |= {id(one), id(other)}
    background._leave(one)
    assert not job.cancelled and job.running
    background._leave(other)
    assert job.cancelled and ended(job)


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has no priority of its own")
def test_long_work_stands_back_behind_clicks_with_all_its_threads():
    def priorities(lane: str) -> set[int]:
        found: set[int] = set()

        def work(report) -> None:
            helper = threading.Thread(target=lambda: found.add(os.getpriority(os.PRIO_PROCESS, 0)))
            helper.start()
            helper.join()
            found.add(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

        assert ended(Job("test", work, patient=lane == limits.LONG))
        return found

    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert priorities(limits.SHORT) == {own} and priorities(limits.LONG) == {max(own, background.NICE)}
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own
