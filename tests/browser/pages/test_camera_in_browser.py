"""The live camera in Chromium, whose fake device sends a moving test picture."""

import pytest
from visitors import Visitor

pytestmark = pytest.mark.browser


def press(visitor: Visitor, button: str) -> None:
    """A button of the video."""
    visitor.tab.frame_locator("iframe[title*='webrtc']").get_by_role("button", name=button).click()


def test_the_video_s_newest_frames_become_feature_maps_and_an_answer_until_it_is_stopped(visitor: Visitor):
    pytest.importorskip("streamlit_webrtc")
    visitor.open("camera", "net=lenet5&layer=conv2")
    still = visitor.source("Feature maps of conv2")
    press(visitor, "START")
    seen = set()
    visitor.until(lambda: seen.add(visitor.source("Feature maps of conv2")) or len(seen - {still}) > 4, "five pictures")
    visitor.tab.get_by_text("frames/s").wait_for()
    visitor.choose_layer("conv1")  # the video goes on, with another layer
    other = visitor.source("Feature maps of conv1")
    visitor.until(lambda: visitor.source("Feature maps of conv1") != other, "a picture of the other layer")
    press(visitor, "STOP")
    visitor.tab.get_by_text("This is the chosen image. Start the video").wait_for()
    visitor.tab.locator(".view[data-frames='0']").wait_for()
    chosen = visitor.source("Feature maps of conv1")
    visitor.tab.wait_for_timeout(300)
    assert visitor.source("Feature maps of conv1") == chosen


@pytest.mark.own_tab  # the widget of the camera keeps its picture
def test_a_photo_of_the_camera_takes_the_place_of_the_image(visitor: Visitor):
    visitor.open("filters", "net=lenet5")
    visitor.open_cards("Image").get_by_role("button", name="Take a photo").click()
    playing = "video => video.readyState >= 2 && video.videoWidth > 0"
    visitor.until(lambda: visitor.window.locator("video").evaluate(playing), "the camera plays")
    visitor.settled()
    visitor.window.get_by_role("button", name="Take Photo").click()
    visitor.until(lambda: visitor.query().get("image", "").startswith("upload-"), "the photograph was chosen")
    visitor.settled()
    assert visitor.chosen("Image") == visitor.query()["image"] and visitor.window.count() == 0
