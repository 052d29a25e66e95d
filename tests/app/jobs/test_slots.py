"""A view that waits for a job: it leaves the one before, begins by itself, and offers what went wrong again."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import streamlit as st
from app_jobs import ended
from app_pages import errors
from streamlit.testing.v1 import AppTest

from app import limits
from app.jobs import background, studies, watch
from app.jobs.background import Job
from app.jobs.batch import Wanted, fill_results
from app.jobs.queue import JobQueue
from app.session.cache import LruCache, picture_cache
from cnnviz.errors import BadInput, Cancelled

WAYS = ["study", "inspect"]
TRIED: list[str] = []  # what `work` was asked for


def work(what: str, goes_on: Callable[[], Any]) -> str:
    """What is called "fails" does so the first time, "quick" ends at once, all else only when it is told to."""
    TRIED.append(what)
    if what == "fails" and TRIED.count(what) == 1:
        raise BadInput("It needs more memory.")
    while what not in ("quick", "fails"):
        if not goes_on():
            raise Cancelled("Stopped.")
        time.sleep(0.002)
    return f"result {TRIED.count(what)}"


def view(way: str, what: str) -> Any:
    """One result, through the jobs of the studies or through those of the inspected image."""
    if way == "study":
        return studies.result("test", (what,), "Study", lambda report: work(what, lambda: report(None)))
    (found,) = fill_results("test", [Wanted((what,), lambda counter: work(what, lambda: counter(0, 1)), "Study")])
    return found


def page() -> None:
    """A script that shows what the session asks for."""
    import streamlit as st
    from test_slots import view

    st.session_state["shown"] = view(st.session_state["way"], st.session_state["what"])


def waiting_page() -> None:
    """A script that has drawn what there is of a job, and waits for more at its end."""
    import streamlit as st

    from app.jobs import watch

    watch.begin("view")
    state = st.session_state
    state["runs"] = state.get("runs", 0) + 1
    if state["runs"] <= state["expects"]:
        watch.expect(lambda: state["there"])
    watch.linger()


@pytest.mark.parametrize("there", [True, False])
def test_a_page_that_waits_is_drawn_anew_when_there_is_more_or_after_a_while(monkeypatch, there):
    monkeypatch.setattr(watch, "WORDS", 0.05 if not there else 600)
    at = AppTest.from_function(waiting_page, default_timeout=30)
    at.session_state["there"], at.session_state["expects"] = there, 2
    at.run()
    assert not at.exception and at.session_state["runs"] == 3
    at.session_state["expects"] = 0
    at.run()
    assert at.session_state["runs"] == 4  # nothing is expected any more


def tab(way: str, what: str, lecturer: bool = False) -> AppTest:
    at = AppTest.from_function(page, default_timeout=30)
    at.session_state["way"] = way
    at.session_state["class_lecturer"] = lecturer
    return turned(at, what)


def turned(at: AppTest, what: str) -> AppTest:
    at.session_state["what"] = what
    at.run()
    assert not at.exception
    return at


def newest() -> Job:
    """The job that was started last."""
    return list(background._registry()[0].values())[-1]


def buttons(at: AppTest) -> list[str]:
    return [button.label for button in at.button]


@pytest.fixture(autouse=True)
def tabs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness gives all its sessions one name; here each watches its own jobs."""
    TRIED.clear()
    monkeypatch.setattr(background, "_mine", lambda: st.session_state.setdefault("mine", background._WatchedJobs()))


@pytest.fixture
def lesson(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNVIZ_CLASS_TOKEN", "a-token-of-this-test")


@pytest.mark.parametrize("way", WAYS)
def test_the_last_to_leave_a_view_stops_its_job_also_where_that_is_a_student(lesson, way):
    lecturer = tab(way, "first", lecturer=True)
    first = newest()
    student = tab(way, "first")
    assert newest() is first and len(first.watchers) == 2
    turned(lecturer, "second")
    assert first.running and not first.cancelled and len(first.watchers) == 1
    assert background._queue(limits.SHORT).held_by(id(lecturer.session_state["mine"])) == 1  # the second alone
    turned(student, "second")
    assert first.cancelled and ended(first) and len(newest().watchers) == 2


def looking() -> None:
    """A script that watches a job, leaves it, or only says that it does."""
    import streamlit as st
    from app_jobs import until_cancelled

    from app.jobs import background

    if st.session_state["does"] == "watch":
        st.session_state["job"] = background.start("key", "test", until_cancelled)
    else:
        background.leave("key")
        background.leave("no such job")


def test_who_never_watched_a_job_stops_nothing_by_leaving_it():
    watching, other = (AppTest.from_function(looking, default_timeout=30) for _ in range(2))
    watching.session_state["does"], other.session_state["does"] = "watch", "leave"
    job = watching.run().session_state["job"]
    assert not other.run().exception and job.running and not job.cancelled
    watching.session_state["does"] = "leave"
    assert not watching.run().exception and job.cancelled


@pytest.mark.parametrize("way", WAYS)
def test_what_nobody_waited_for_starts_by_itself_when_somebody_comes_back(way):
    at = tab(way, "first")
    first = newest()
    turned(at, "second")
    assert ended(first)
    turned(at, "first")
    assert newest() is not first and newest().running and buttons(at) == ["Cancel"]


@pytest.mark.parametrize("way", WAYS)
def test_what_somebody_has_cancelled_waits_behind_a_button_in_every_tab(way):
    at, other = tab(way, "first"), tab(way, "first")
    first = newest()
    at.button[0].click().run()
    assert ended(first)
    turned(turned(at, "quick"), "first")
    for one in (at, other.run()):
        assert len(buttons(one)) == 1 and "Compute" in buttons(one)[0] and TRIED.count("first") == 1
    other.button[0].click().run()
    assert newest().running and buttons(at.run()) == ["Cancel"]


@pytest.mark.parametrize("way", WAYS)
def test_what_failed_is_tried_again_behind_a_button_in_every_session(way):
    tab(way, "fails")
    assert ended(newest())
    at = tab(way, "fails")
    assert errors(at) == ["It needs more memory."] and TRIED == ["fails"] and at.session_state["shown"] is None
    at.button[0].click().run()
    assert ended(newest())
    turned(at, "fails")
    assert errors(at) == [] and at.session_state["shown"] == "result 2"


@pytest.mark.parametrize("way", WAYS)
def test_a_student_s_cancel_that_does_nothing_is_not_remembered(lesson, way):
    tab(way, "first", lecturer=True)
    student = tab(way, "first")
    student.button[0].click().run()
    assert newest().running and not newest().cancelled and buttons(student) == ["Cancel"]
    newest().stop()
    assert ended(newest())
    student.run()
    assert buttons(student) == [] and "only the lecturer may start" in student.info[0].value


@pytest.mark.parametrize("way", WAYS)
def test_who_may_not_start_it_reads_why(lesson, way):
    student = tab(way, "first")
    assert "only the lecturer may start" in student.info[0].value and not TRIED


def test_a_result_that_the_store_lets_go_of_meanwhile_is_computed_anew_and_never_kept_as_nothing(monkeypatch):
    looked_up = LruCache.__contains__

    def asked(cache: LruCache, recipe: tuple) -> bool:
        there = looked_up(cache, recipe)
        cache.clear()  # another session needs the room at this moment
        return there

    at = tab("inspect", "quick")
    assert ended(newest()) and turned(at, "quick").session_state["shown"] == "result 1"
    with monkeypatch.context() as patched:
        patched.setattr(LruCache, "__contains__", asked)
        turned(at, "quick")
        assert ended(newest())
    assert ended(newest()) and turned(at, "quick").session_state["shown"]
    assert picture_cache().find(("quick",)) is not None


def test_a_job_that_is_left_to_others_makes_room_for_the_next_of_the_same_person():
    line, release = JobQueue(2, 1), threading.Event()
    left = Job("left", lambda report: release.wait(20), line.join(7))
    while left.place:
        time.sleep(0.002)
    following = Job("next", lambda report: None, line.join(7))
    time.sleep(0.05)
    assert following.place  # it waits: one at once for each
    left.disown(7)
    assert ended(following)
    release.set()
    assert ended(left)
