"""The playground: the picture is whole, and a click on an output goes to its step."""

import pytest
from visitors import Visitor

pytestmark = pytest.mark.browser


def test_a_click_on_an_output_writes_its_sum_and_the_matrix_goes_along(visitor: Visitor):
    visitor.open("playground")
    scene = visitor.drawing("Step 1 of")
    scene.wait_for()
    box = visitor.box(scene)
    assert box["width"] > 900 and box["x"] + box["width"] <= 1440 and box["y"] + box["height"] <= 900 and visitor.fits()
    scene.locator("rect[data-item='step:2']").click()
    visitor.until_query(step="3")
    assert "= 37" in visitor.drawing("Step 3 of").text_content()
    visitor.pick("View", "Matrix")
    visitor.until_query(view="Matrix", step="3")
    box = visitor.box(visitor.drawing("Matrix of"))
    assert box["y"] + box["height"] <= 900 and visitor.fits()


def test_a_unit_lights_up_its_wires_under_the_pointer_and_a_click_keeps_them(visitor: Visitor):
    visitor.open("playground", "view=Wiring")
    scene = visitor.drawing("Three wirings")
    scene.wait_for()
    scene.locator("rect[data-item='x1']").last.hover()
    lit = scene.locator("path.lit")
    visitor.until(lambda: lit.count() == 9, "5 dense, 2 local and 2 shared wires of x1 are lit")
    scene.locator("rect[data-item='x1']").last.click()
    visitor.until_query(at="x1")
    visitor.tab.mouse.move(2, 2)
    visitor.until(lambda: lit.count() == 0, "nothing is lit without the pointer")
