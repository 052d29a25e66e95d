"""Receptive fields in a browser: a click on the image chooses the unit, a click on the curve the layer."""

import pytest
from visitors import Visitor

pytestmark = pytest.mark.browser


def test_a_click_on_the_image_chooses_its_unit_and_a_point_of_the_curve_its_layer(visitor: Visitor):
    visitor.open("receptive-fields", "net=lenet5&layer=conv2&unit=3&average=this+image")
    photo = visitor.picture("The field of conv2")
    box = visitor.box(photo)
    heat = visitor.box(visitor.picture("The gradient of conv2"))
    assert heat["x"] + heat["width"] <= 1440 and box["y"] + box["height"] <= 900 and visitor.fits()
    photo.click(position={"x": box["width"] * 0.02, "y": box["height"] * 0.54})  # of 10 rows: 5
    visitor.until_query(col="0", row=None)
    visitor.main.get_by_role("button", name="Corner", exact=True).click()
    visitor.until_query(row="0", col="0")
    visitor.picture("The field of conv2 · channel 3 · (0, 0)").wait_for()
    visitor.pick("View", "Growth")
    curve = visitor.main.locator(".plot.js-plotly-plot[aria-label='Growth of the receptive field']")
    visitor.until(lambda: curve.evaluate("p => p.closest('.cnnviz-plot').heard === true"), "the curve is drawn")
    visitor.settled()
    where = curve.evaluate(
        "p => { const a = p._fullLayout, b = p.getBoundingClientRect(), x = a.xaxis, y = a.yaxis; "
        "return [b.x + x._offset + x.d2p('conv1'), b.y + y._offset + y.d2p(5)] }"
    )
    visitor.tab.mouse.move(where[0] - 1, where[1])
    visitor.tab.mouse.move(*where)
    visitor.until(lambda: curve.locator(".hoverlayer text").count() > 0, "the point tells its layer")
    visitor.tab.mouse.click(*where)
    visitor.until_query(layer="conv1", row=None, col=None)
    visitor.picture("Nested fields").wait_for()
