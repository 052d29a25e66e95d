"""The live view: the newest frame only, the lock while computing only, and one bad frame harms no other."""

import base64
import json
import threading
import time

import numpy as np
import pytest

import cnnviz
from app.views.camera import worker
from app.views.camera.worker import LiveView, Wish
from cnnviz.figures.base.mosaic import maps_mosaic

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), dtype=np.uint8)


@pytest.fixture
def wish() -> Wish:
    return Wish(cnnviz.load("lenet5"), "conv1")


def until(holds) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_of_frames_that_come_while_one_is_drawn_only_the_newest_is_drawn_next(wish):
    live, begun, go, drawn = LiveView(), threading.Event(), threading.Event(), []

    def slow() -> np.ndarray:
        begun.set()
        assert go.wait(60)
        return FRAMES[0]

    def frame(number: int) -> np.ndarray:
        drawn.append(number)
        return FRAMES[number]

    live.wish(wish)
    live.offer(slow)
    assert begun.wait(60)
    for number in (1, 1, 1, 2):
        live.offer(lambda number=number: frame(number))
    go.set()
    until(lambda: live.shown is not None and live.shown.number == 5)
    assert drawn == [2] and live.came == 5
    maps = cnnviz.capture(wish.model, FRAMES[2], ["conv1"])["conv1"][0]
    assert live.shown.drawn.wall == maps_mosaic(maps, list(range(6)), "common", wish.width, wish.height)
    probabilities = wish.model.predict(FRAMES[2])[0]
    best = np.argsort(-probabilities)[:5]
    assert [name for name, _ in live.shown.drawn.top] == [wish.model.class_names[c] for c in best]
    assert [share for _, share in live.shown.drawn.top] == pytest.approx(probabilities[best].tolist(), abs=1e-5)


def test_the_network_is_locked_during_the_pass_and_not_while_a_frame_is_fetched(wish):
    live, free = LiveView(), []

    def frame() -> np.ndarray:
        free.append(wish.model.lock.acquire(timeout=0))
        wish.model.lock.release()
        return FRAMES[0]

    live.wish(wish)
    with wish.model.lock:  # another thread's: the pass has to wait
        live.offer(lambda: FRAMES[0])
        time.sleep(0.2)
        assert live.shown is None
    until(lambda: live.shown is not None)
    live.offer(frame)
    until(lambda: live.shown.number == 2)
    assert free == [True] and wish.model.lock.acquire(blocking=False)
    wish.model.lock.release()


def test_a_frame_that_cannot_be_drawn_is_said_and_the_next_one_is_drawn(wish):
    live = LiveView()
    live.wish(Wish(wish.model, "conv9"))
    live.offer(lambda: FRAMES[0])
    until(lambda: live.problem)
    assert "conv9" in live.problem and live.shown is None
    live.wish(wish)
    live.offer(lambda: FRAMES[0])
    until(lambda: live.shown is not None)
    assert live.problem == ""


@pytest.mark.parametrize("error", [OSError, KeyError, ImportError])
def test_no_fault_of_a_frame_s_decoder_ends_the_view(wish, error):
    def broken():
        raise error("half a frame")

    live = LiveView()
    live.wish(wish)
    live.offer(broken)
    until(lambda: live.problem)
    assert "could not be drawn" in live.problem
    live.offer(lambda: FRAMES[0])
    until(lambda: live.shown is not None)


def test_its_thread_ends_when_no_frames_come_and_the_next_frame_starts_another(wish, monkeypatch):
    monkeypatch.setattr(worker, "REST", 0.05)
    live = LiveView()
    live.wish(wish)
    for number in (1, 2):
        live.offer(lambda: FRAMES[0])
        until(lambda number=number: live.shown is not None and live.shown.number == number)
        until(lambda: not live.working)


def test_what_is_sent_is_what_was_drawn_and_the_end_of_the_frames_is_news_too(wish, monkeypatch):
    monkeypatch.setattr(worker, "REST", 1.0)
    live = LiveView()
    live.wish(wish)
    live.offer(lambda: FRAMES[0])
    until(lambda: live.shown is not None)
    sent, drawn = json.loads(live.news.body), live.shown.drawn
    for name, png in (("wall", drawn.wall.png), ("seen", drawn.seen), ("bars", drawn.bars)):
        assert base64.b64decode(sent[name]["src"].partition(",")[2]) == png
    assert (sent["wall"]["width"], sent["wall"]["height"]) == drawn.wall.size
    assert drawn.top[0][0] in sent["bars"]["alt"] and sent["number"] == 1
    until(lambda: json.loads(live.news.body) == {"number": 2, "over": True})
    assert live.news.number == 2 and not live.working


def test_a_paused_view_forgets_its_pictures_also_the_one_that_is_being_drawn(wish):
    live, begun, go = LiveView(), threading.Event(), threading.Event()

    def slow() -> np.ndarray:
        begun.set()
        assert go.wait(60)
        return FRAMES[0]

    live.wish(wish)
    live.offer(lambda: FRAMES[1])
    until(lambda: live.news is not None)
    before = live.news.number
    live.offer(slow)
    assert begun.wait(60)
    live.pause()
    assert live.news is None and live.shown is None
    go.set()
    drawn = []
    live.offer(lambda: drawn.append(2) or FRAMES[2])
    until(lambda: live._waiting is None)
    assert live.news is None and drawn == []
    live.wish(wish)
    live.offer(lambda: FRAMES[2])
    until(lambda: live.news is not None)
    assert live.news.number == before + 1
