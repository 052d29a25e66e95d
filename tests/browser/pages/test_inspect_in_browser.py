"""Inspect your image in a browser: the picture is whole on the screen, choices are links, a click moves the square."""

import pytest
from visitors import Visitor

pytestmark = pytest.mark.browser


def test_the_answer_is_on_the_screen_and_another_class_has_another_picture(visitor: Visitor):
    visitor.open("inspect", "net=lenet5")
    visitor.picture("Saliency, Grad-CAM").wait_for()
    visitor.until(lambda: visitor.main.get_by_text("being computed").count() == 0, "all four are there")
    box = visitor.box(visitor.picture("Saliency, Grad-CAM"))
    assert box["x"] + box["width"] <= 1440 and box["y"] + box["height"] <= 900 and visitor.fits()
    before = visitor.source("Saliency, Grad-CAM")
    visitor.main.get_by_role("combobox", name="Class").click()
    visitor.tab.get_by_role("option", name="5", exact=True).click()
    visitor.until_query(**{"class": "5"})
    visitor.until(lambda: visitor.source("Saliency, Grad-CAM") != before, "the maps of the class 5")
    visitor.tab.go_back()
    visitor.until_query(**{"class": None})


def test_a_click_on_a_map_of_occlusion_puts_the_square_there(visitor: Visitor):
    visitor.open("inspect", "net=lenet5&view=Occlusion&step=4")
    shown = visitor.picture("Occlusion: the probability of 3")
    shown.wait_for()
    box = visitor.box(shown)
    assert box["y"] + box["height"] <= 900 and visitor.fits()
    shown.click(position={"x": 4, "y": box["height"] * 0.12})  # below the title, in the first cell
    visitor.until_query(place="0,0")
    visitor.until(lambda: visitor.main.get_by_text("columns 0 to").count() == 1, "the place is told")
