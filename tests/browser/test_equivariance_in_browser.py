"""Translation equivariance in a browser: a step of the shift is painted, on the screen, in the URL; bars are links."""

import pytest
from visitors import Visitor

pytestmark = pytest.mark.browser


def test_a_step_is_painted_and_a_bar_chooses_its_layer(visitor: Visitor):
    visitor.open("equivariance")
    strip = visitor.picture("Shift of layer2.0")
    before = visitor.source("Shift of layer2.0")
    box = visitor.box(strip)
    assert box["x"] + box["width"] <= 1440 and box["y"] + box["height"] <= 900 and visitor.fits()
    visitor.main.get_by_role("spinbutton", name="Right [pixels]").press("ArrowUp")
    visitor.until_query(dx="2")
    visitor.until(lambda: visitor.source("Shift of layer2.0") != before, "the step is painted")
    bars = visitor.main.locator(".plot.js-plotly-plot[aria-label='Error of every layer']")
    visitor.until(lambda: bars.evaluate("p => p.closest('.cnnviz-plot').heard === true"), "the bars are drawn")
    where = bars.evaluate(
        "p => { const a = p._fullLayout, b = p.getBoundingClientRect(), x = a.xaxis, y = a.yaxis; "
        "return [b.x + x._offset + x.d2p('conv1'), b.y + y._offset + y._length - 2] }"
    )
    visitor.tab.mouse.move(where[0] - 1, where[1])
    visitor.tab.mouse.move(*where)
    visitor.until(lambda: bars.locator(".hoverlayer text").count() > 0, "the bar tells its error")
    visitor.tab.mouse.click(*where)
    visitor.until_query(layer="conv1", dx="2")
    visitor.picture("Shift of conv1").wait_for()
    visitor.tab.go_back()
    visitor.until_query(layer=None)
