"""Work beside the pages waits while one is drawn, and not for ever."""

import threading
import time

import pytest

from app.jobs import background, clicks


def waited(most: float = 30.0) -> float:
    started = time.monotonic()
    clicks.give_way(most)
    return time.monotonic() - started


@pytest.fixture(autouse=True)
def nothing_was_drawn(monkeypatch):
    monkeypatch.setattr(clicks, "_drawn_at", 0.0)


def test_work_goes_on_at_once_while_nothing_is_drawn_and_a_moment_after_the_last_page(monkeypatch):
    started = time.monotonic()
    clicks.give_way()
    until = threading.Event()
    order: list[str] = []

    def draw() -> None:
        with clicks.drawing():
            until.wait(30)
            order.append("drawn")

    pages = [threading.Thread(target=draw) for _ in range(2)]
    for page in pages:
        page.start()
    work = threading.Thread(target=lambda: (clicks.give_way(60), order.append("work")))
    work.start()
    work.join(0.3)
    assert work.is_alive() and not order
    until.set()
    work.join(30)
    assert order == ["drawn", "drawn", "work"] and time.monotonic() - started >= 0.3 + clicks.PAINT


def test_pages_without_end_and_a_page_that_fails_do_not_stop_it():
    with clicks.drawing():
        assert waited(0.2) >= 0.2
    with pytest.raises(ValueError), clicks.drawing():
        raise ValueError
    assert clicks._drawing == 0
    assert waited() >= clicks.PAINT / 2


@pytest.mark.parametrize("patient", [True, False])
def test_long_work_gives_way_when_it_reports_and_short_work_does_not(patient):
    told: list[bool] = []
    with clicks.drawing():
        job = background.Job("work", lambda report: told.append(report(None)), patient=patient)
        job._thread.join(0.4)
        assert job.running is patient
    job.end(30)
    assert len(told) == 1
