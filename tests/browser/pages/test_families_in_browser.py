"""Families on the page of anatomies: the table fills every window, and a click on a map of C3 is a step of the URL."""

import pytest
from browser_stage import go_through_sizes
from visitors import Visitor

pytestmark = pytest.mark.browser


def test_the_table_of_vgg_fills_each_window_and_a_map_of_c3_is_chosen_by_a_click(visitor: Visitor):
    visitor.open("anatomy", "view=Families")
    visitor.drawing("Configurations of VGG").wait_for()
    assert not go_through_sizes(visitor, "families")
    visitor.choose(visitor.main, "Topic", "LeNet-5: C3")
    visitor.until_query(topic="LeNet-5: C3")
    table = visitor.drawing("Connections of C3")
    table.wait_for()
    box = visitor.box(table.locator("rect[data-item='map:15']").first)
    visitor.tab.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    visitor.until_query(map="15")
    visitor.main.get_by_text("has 6·25 + 1 = 151 parameters").wait_for()
    assert visitor.fits()
    visitor.tab.go_back()
    visitor.until_query(map=None)
    visitor.main.get_by_text("has 3·25 + 1 = 76 parameters").wait_for()
