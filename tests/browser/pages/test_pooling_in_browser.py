"""Pooling invariance in a browser: the picture is whole, a step of the shift is painted, views are links."""

import pytest
from visitors import Visitor

pytestmark = pytest.mark.browser


def test_the_picture_is_whole_a_step_is_painted_and_the_views_have_links(visitor: Visitor):
    visitor.open("pooling")
    alt = "Before and after pool2"
    before, box = visitor.source(alt), visitor.box(visitor.picture(alt))
    assert box["width"] > 600 and box["y"] + box["height"] <= 900 and visitor.fits()
    curve = visitor.box(visitor.main.locator(".plot[aria-label^='Unchanged units around pool2']"))
    assert curve["x"] > box["x"] + box["width"] and curve["y"] < box["y"] + box["height"]  # beside it
    visitor.main.get_by_role("slider", name="Shift to the right").press("ArrowRight")
    visitor.until_query(right="3")
    visitor.until(lambda: visitor.source(alt) != before, "the step is painted")
    visitor.pick("View", "Learned")
    visitor.until_query(view="Learned")
    box = visitor.box(visitor.drawing("Responses of four"))
    assert box["y"] + box["height"] <= 900 and visitor.fits()
    visitor.tab.go_back()
    visitor.until_query(view=None, right="3")
