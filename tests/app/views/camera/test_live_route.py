"""The way of the live pictures: the newest one, once there is one, to the page of the session alone."""

import gc
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

import cnnviz
from app.views.camera import live_route
from app.views.camera.worker import LiveView, Wish

FRAMES = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def live() -> LiveView:
    view = LiveView()
    view.wish(Wish(cnnviz.load("lenet5"), "conv1"))
    return view


def browser(wait: float) -> TestClient:
    return TestClient(Starlette(routes=live_route.routes(wait)), base_url="http://localhost:8501")


def offered(live: LiveView, frame: np.ndarray, number: int) -> None:
    """Offer a frame, and wait for its news."""
    live.offer(lambda: frame)
    end = time.monotonic() + 60
    while live.news is None or live.news.number < number:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_the_newest_picture_comes_once_and_what_was_overtaken_never(live):
    key = live_route.register(live)
    offered(live, FRAMES[0], 1)
    offered(live, FRAMES[1], 2)
    with browser(0.0) as client:
        answer = client.get(f"/cnnviz-live/{key}?after=0", headers={"accept-encoding": "gzip"})
        assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
        assert answer.content == live.news.body and answer.json()["number"] == 2
        assert client.get(f"/cnnviz-live/{key}?after=2").status_code == 204
        assert client.get(f"/some/base/cnnviz-live/{key}?after=1").content == live.news.body


def test_a_request_waits_for_what_is_new(live):
    key = live_route.register(live)
    with browser(60.0) as client:
        threading.Timer(0.1, live.offer, [lambda: FRAMES[0]]).start()
        assert client.get(f"/cnnviz-live/{key}").json()["number"] == 1


def test_nothing_new_is_answered_after_the_wait(live):
    key = live_route.register(live)
    with browser(0.05) as client:
        answer = client.get(f"/cnnviz-live/{key}?after=0")
    assert answer.status_code == 204 and answer.content == b"" and answer.headers["cache-control"] == "no-store"


def test_there_is_nothing_under_another_key_a_forgotten_one_or_that_of_a_view_that_is_gone(live):
    forgotten, gone = live_route.register(live), live_route.register(LiveView())
    live_route.forget(forgotten)
    gc.collect()
    with browser(0.0) as client:
        for key in ("", "x" * 32, forgotten, gone):
            assert client.get(f"/cnnviz-live/{key}").status_code == 404


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"sec-fetch-site": "same-origin"}, 204),
        ({"origin": "http://localhost:8501"}, 204),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"origin": "http://elsewhere.example"}, 403),
        ({"origin": "http://localhost:9000"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_only_the_page_that_came_from_here_is_answered(live, headers, status):
    key = live_route.register(live)
    with browser(0.0) as client:
        assert client.get(f"/cnnviz-live/{key}", headers=headers).status_code == status


@pytest.mark.parametrize("after", ["", "-1", "1.5", "x", "²", "9" * 5000])
def test_a_number_that_is_none_is_refused_in_words(live, after):
    key = live_route.register(live)
    with browser(0.0) as client:
        answer = client.get(f"/cnnviz-live/{key}", params={"after": after})
    assert answer.status_code == 400 and "after" in answer.text


def test_no_two_views_have_the_same_key_and_none_can_be_guessed(live):
    keys = {live_route.register(live) for _ in range(100)}
    assert len(keys) == 100 and min(map(len, keys)) >= 32  # 192 bits


def test_pictures_are_read_only_there_is_no_other_method(live):
    key = live_route.register(live)
    with browser(0.0) as client:
        assert client.post(f"/cnnviz-live/{key}").status_code == 405


def test_the_server_has_the_route_and_lets_waiting_threads_sleep_before_torch_is_loaded():
    code = (
        "import os, sys, app.Home; from app.views.camera import live_route\n"
        "print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules, app.Home.server._user_routes[0].path)"
    )
    plain = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    root = Path(live_route.__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, env=plain, capture_output=True, text=True)
    assert done.stdout.split() == ["PASSIVE", "False", "/cnnviz-live/{key}"], done.stderr
