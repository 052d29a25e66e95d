"""A view that nobody looks at any more takes no time from the one on screen, and what is not yet drawn anew is pale."""

import time

import pytest
import streamlit as st
import torch
from app_jobs import ended, when_built
from app_pages import errors, turned
from torch import nn

from app.jobs import background
from app.jobs.background import Job
from app.url import scene


class Slow(nn.Sequential):
    """(N, 3, 16, 16) → logits, at leisure."""

    def __init__(self, num_classes: int = 4) -> None:
        first, second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 3, padding=1)
        super().__init__(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(5 * 16 * 16, num_classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(0.1)
        return super().forward(x)


@pytest.fixture(autouse=True)
def tabs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness gives all its sessions one name; here each watches its own jobs."""
    monkeypatch.setattr(background, "_mine", lambda: st.session_state.setdefault("mine", background._WatchedJobs()))


def running() -> list[Job]:
    return [job for job in background._registry()[0].values() if job.running and not job.cancelled]


def test_quick_changes_of_view_leave_only_the_job_of_the_last(opened, registered):
    at = opened("inspect", net=registered("left_slow", Slow), view="Attribution")
    begun = running()
    assert len(begun) == 1
    for view in ("Occlusion", "Sanity check"):
        at.session_state["view"] = view
        assert errors(at.run()) == []
        (job,) = begun
        assert job.cancelled and not job.unwanted and ended(job)
        begun = running()
        assert len(begun) == 1
    at.session_state["view"] = "Attribution"
    assert errors(when_built(at.run())) == []  # what stopped begins anew and comes to its end


def test_another_page_stops_what_the_view_before_was_computing(opened, registered):
    at = opened("inspect", net=registered("left_page", Slow), view="Attribution")
    (job,) = running()
    at = turned(at, "playground")
    assert errors(at) == [] and job.cancelled and ended(job) and running() == []


def test_another_image_in_the_same_view_leaves_the_job_of_the_one_before(opened, registered):
    at = opened("inspect", net=registered("left_image", Slow), view="Attribution")
    (job,) = running()
    at.session_state["image"] = "coffee"
    assert errors(at.run()) == [] and job.cancelled and len(running()) == 1


def marks(at) -> list[str]:
    return [one.body for one in at.get("html") if "data-cnnviz-changed" in one.body]


def halfway() -> None:
    """A script that draws a scene, to its end or not."""
    import streamlit as st

    from app.url import address, scene

    address.begin("inspect")
    scene.begin("inspect")
    if st.session_state.get("ends", True):
        scene.finish()


@pytest.mark.parametrize("key", [*scene.SUBJECT, *scene.PLACE])
def test_from_a_change_of_what_is_looked_at_until_its_end_a_run_marks_what_is_old(key):
    from streamlit.testing.v1 import AppTest

    at = AppTest.from_function(halfway).run()
    assert not at.exception and marks(at) == []
    at.session_state[key] = "another"
    at.session_state["ends"] = False
    (mark,) = marks(at.run())
    assert ("subject" in mark) == (key in scene.SUBJECT)
    assert marks(at.run())  # cut short and begun again, it still is
    at.session_state["ends"] = True
    assert marks(at.run()) == []
    at.session_state["ends"] = False
    assert marks(at.run()) == []  # nothing has changed since
