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


def test_the_photograph_is_dragged_and_seen_to_move_before_it_is_let_go(visitor: Visitor):
    visitor.open("equivariance", "dx=0")
    before = visitor.source("Shift of layer2.0")
    grip = visitor.main.locator(".grip")
    box = visitor.box(grip)
    step = box["width"] / 32  # ResNet-20 receives 32 pixels
    start = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    mouse = visitor.tab.mouse
    mouse.move(*start)
    mouse.down()
    mouse.move(start[0] + 3 * step, start[1] - 5 * step, steps=6)
    corner = "g => [...g.firstChild.getContext('2d').getImageData(%d, %d, 1, 1).data]"
    moved = grip.evaluate(corner % (4 * 20 + 1, 4 * 10 + 1))  # four pixels of the strip a pixel of the photograph
    mouse.up()
    visitor.until_query(dx="3", dy="-5")
    visitor.until(lambda: visitor.source("Shift of layer2.0") != before, "the shift is painted")
    visitor.until(lambda: grip.evaluate("g => g.firstChild.width") == 0, "the picture itself shows it")
    place = f"[{4 * 20 + 1}, g.offsetTop / i.clientHeight * i.naturalHeight + {4 * 10 + 1}, 1, 1]"
    drawn = grip.evaluate(
        "g => { const i = g.parentElement.querySelector('img'), c = document.createElement('canvas')\n"
        "c.width = i.naturalWidth; c.height = i.naturalHeight\n"
        f"const pen = c.getContext('2d'); pen.drawImage(i, 0, 0); return [...pen.getImageData(...{place}).data] }}"
    )
    assert moved == drawn  # what followed the pointer is what the network then received
