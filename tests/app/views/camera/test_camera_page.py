"""The camera's page and the camera in place of an upload; the video itself is tested in a browser."""

import io

import numpy as np
import pytest
import streamlit as st
from app_pages import choose, errors, image_of, pictures
from PIL import Image

import cnnviz
from app import access
from app.pickers import webcam
from app.session import uploads
from app.views.camera import live_page, live_route
from cnnviz.data.samples import draw_digit
from cnnviz.figures.base.mosaic import maps_mosaic


def test_without_the_package_the_page_offers_snapshots_and_says_how_to_install_it(opened, monkeypatch):
    monkeypatch.setattr(live_page, "has_video", lambda: False)
    at = opened("camera", net="lenet5", layer="conv2")
    assert errors(at) == [] and at.get("camera_input")
    at.segmented_control(key="camera").set_value("Video").run()
    assert errors(at) == [] and "pip install" in at.info[0].value and not at.get("camera_input")


def test_until_the_camera_runs_the_page_shows_the_chosen_image(opened):
    at = opened("camera", net="lenet5", layer="conv2", camera="Snapshot", image="digit-4", scale="Each map")
    assert errors(at) == []
    maps = cnnviz.capture(cnnviz.load("lenet5"), draw_digit(4), ["conv2"])["conv2"][0]
    expected = Image.open(io.BytesIO(maps_mosaic(maps, None, "each", 590, 560).png)).convert("RGB")
    sent = pictures(at)["camera_live"]
    assert not sent["playing"] and sent["stream"] == "" and "This is the chosen image." in sent["words"]
    shown = image_of(sent["still"]["wall"]).convert("RGB")
    assert np.array_equal(np.asarray(shown), np.asarray(expected))


def test_the_pictures_of_a_video_go_under_a_key_of_the_session_s_own_which_ends_with_it(opened, monkeypatch):
    monkeypatch.setattr(live_page, "has_video", lambda: True)
    monkeypatch.setattr(live_page, "_video", lambda: True)
    at = opened("camera", net="lenet5", layer="conv1", camera="Video")
    sent = pictures(at)["camera_live"]
    assert sent["playing"] and len(sent["stream"]) >= 32 and sent["stream"] not in at.query_params.values()
    live = live_route._VIEWS[sent["stream"]]
    assert live._wish.layer == "conv1"
    choose(at, "layer", "conv2")
    assert pictures(at)["camera_live"]["stream"] == sent["stream"] and live._wish.layer == "conv2"
    st.cache_resource.clear()  # as when the session ends
    assert sent["stream"] not in live_route._VIEWS and live._wish is None


def test_who_may_not_start_long_work_gets_no_video_and_no_key(opened, monkeypatch):
    monkeypatch.setattr(live_page, "has_video", lambda: True)
    monkeypatch.setattr(access, "may_start", lambda: False)
    at = opened("camera", net="lenet5", camera="Video")
    assert errors(at) == [] and "only the lecturer" in at.info[0].value
    assert pictures(at)["camera_live"]["stream"] == ""


@pytest.mark.parametrize(
    "url, trusted",
    [
        ("http://localhost:8501/camera", True),
        ("https://192.168.1.20:8501", True),
        ("http://127.0.0.1:8501", True),
        ("http://[::1]:8501/", True),
        ("http://192.168.1.20:8501", False),
        ("http://lecturer.local:8501", False),
        ("http://localhost.example.org", False),
        ("", False),
    ],
)
def test_a_camera_is_there_for_https_and_for_this_computer_only(url, trusted):
    assert webcam.is_trusted(url) is trusted


def test_a_photograph_becomes_the_chosen_image_and_what_is_none_leaves_the_view(monkeypatch):
    state: dict = {"image": "coffee"}
    monkeypatch.setattr(st, "session_state", state)
    assert not webcam.keep(io.BytesIO(b"no picture"))
    assert state["image"] == "coffee" and "unchanged" in state.pop(webcam.PROBLEM)
    file = io.BytesIO()
    Image.new("RGB", (32, 24), (200, 10, 10)).save(file, "JPEG")
    assert webcam.keep(file)
    assert uploads.is_stored_photo(state["image"]) and list(state["uploads"]) == [state["image"]]
