"""The live camera in Chromium, whose fake device sends a moving test picture."""

import pytest
from visitors import Visitor

pytestmark = pytest.mark.browser


def test_the_video_s_newest_frames_become_feature_maps_and_an_answer(visitor: Visitor):
    pytest.importorskip("streamlit_webrtc")
    visitor.open("camera", "net=lenet5&layer=conv2")
    still = visitor.source("Feature maps of conv2")
    visitor.tab.frame_locator("iframe[title*='webrtc']").get_by_role("button", name="START").click()
    visitor.tab.get_by_text("frames/s").wait_for()
    seen = {visitor.source("Feature maps of conv2")}
    visitor.until(lambda: seen.add(visitor.source("Feature maps of conv2")) or len(seen) > 4, "five pictures")
    assert still not in seen
    visitor.tab.frame_locator("iframe[title*='webrtc']").get_by_role("button", name="STOP").click()
    visitor.tab.get_by_text("This is the chosen image.").wait_for()
    assert visitor.source("Feature maps of conv2") == still


def test_a_photo_of_the_camera_takes_the_place_of_the_image(visitor: Visitor):
    visitor.open("filters", "net=lenet5")
    visitor.sidebar.get_by_role("button", name="Take a photo").click()
    playing = "video => video.readyState >= 2 && video.videoWidth > 0"
    visitor.until(lambda: visitor.window.locator("video").evaluate(playing), "the camera plays")
    visitor.window.get_by_role("button", name="Take Photo").click()
    visitor.until(lambda: visitor.query().get("image", "").startswith("upload-"), "the photograph was chosen")
    visitor.settled()
    assert visitor.chosen("Image") == visitor.query()["image"] and visitor.window.count() == 0
