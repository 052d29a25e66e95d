"""Anatomy: blocks are clicked, views are linked, charts draw, and what is saved is whole."""

import csv
import io
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from PIL import Image
from visitors import Visitor

pytestmark = pytest.mark.browser


def click_block(someone: Visitor, item: str) -> None:
    """With the mouse, in the middle of the block, where its layers are."""
    box = someone.box(someone.drawing("Graph of").locator(f"rect[data-item='{item}']").first)
    someone.tab.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def saved_as(someone: Visitor, kind: str) -> tuple[str, bytes]:
    return someone.download(
        someone.main.locator("[data-testid=stDownloadButton]").get_by_role("button", name=kind).first
    )


def block_shown(someone: Visitor) -> str:
    return someone.main.get_by_label("Block").first.input_value()


def test_a_click_on_a_block_shows_it_in_large_and_back_undoes_it(visitor: Visitor, chromium: Any):
    visitor.open("anatomy", "net=vgg16")
    whole = visitor.drawing("Graph of VGG")
    whole.wait_for()
    box = visitor.box(whole)
    assert box["width"] > 900 and box["x"] + box["width"] <= 1440 and box["y"] + box["height"] <= 900 and visitor.fits()
    assert visitor.drawing("Layers of").count() == 0 and block_shown(visitor) == "Whole network"
    click_block(visitor, "block:2")
    visitor.until(lambda: "block" in visitor.query(), "the third block was clicked")
    visitor.settled()
    block = visitor.query()["block"]
    large = visitor.drawing(f"Layers of {block}")
    large.wait_for()
    assert block_shown(visitor) == block and visitor.fits()
    mine = [visitor.drawing(alt).inner_html() for alt in ("Graph of", "Layers of")]
    other = Visitor(chromium, visitor.address, visitor.context)
    other.tab.goto(visitor.tab.url)
    other.arrived("anatomy")
    other.drawing("Layers of").wait_for()
    assert [other.drawing(alt).inner_html() for alt in ("Graph of", "Layers of")] == mine
    assert block_shown(other) == block and other.wrong == []
    other.tab.close()
    visitor.tab.go_back()
    visitor.until_query(block=None)
    large.wait_for(state="detached")
    assert block_shown(visitor) == "Whole network"


def test_a_click_takes_a_block_out_and_another_click_puts_it_back(visitor: Visitor):
    visitor.open("anatomy", "net=resnet20_cifar&click=Removes+it")
    visitor.drawing("Graph of").wait_for()
    visitor.settled()
    click_block(visitor, "block:5")
    visitor.until(lambda: "removed" in visitor.query(), "a block was removed")
    visitor.until(lambda: "answers to 64 sample images" in visitor.main.inner_text(), "the answers were counted")
    visitor.settled()
    click_block(visitor, "block:5")
    visitor.until(lambda: "removed" not in visitor.query(), "it is back")


def test_what_is_saved_is_a_whole_drawing_picture_and_table(visitor: Visitor):
    visitor.open("anatomy", "net=vgg16")
    visitor.drawing("Graph of VGG").wait_for()
    name, data = saved_as(visitor, "SVG")
    drawn = ET.fromstring(data)
    assert name == "vgg16-graph.svg" and drawn.tag == "{http://www.w3.org/2000/svg}svg"
    assert "138 M parameters" in "".join(drawn.itertext())
    name, data = saved_as(visitor, "PNG")
    picture = Image.open(io.BytesIO(data)).convert("L")
    width, height = (float(drawn.get(side)) for side in ("width", "height"))
    assert name == "vgg16-graph.png" and picture.size == pytest.approx((2 * width, 2 * height), abs=2)
    assert picture.getextrema()[0] < 60 and picture.getextrema()[1] == 255  # ink on white
    name, data = saved_as(visitor, "CSV")
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    assert name == "vgg16-graph.csv"
    assert sum(int(row["parameters (with biases)"] or 0) for row in rows) == 138_357_544


def test_the_table_tells_every_layer_and_the_totals(visitor: Visitor):
    visitor.open("anatomy", "net=vgg16&view=Layers")
    said = visitor.main.get_by_text("totals for one image").inner_text()
    for total in ("138,357,544 parameters", "15,470,264,320 multiply-adds", "15,237,608 activations", "60.95 MB"):
        assert total in said
    table = visitor.main.locator("[data-testid=stDataFrame] canvas[data-testid=data-grid-canvas]")
    table.wait_for()
    lines = int(table.locator("table").get_attribute("aria-rowcount")) - 1
    _, data = saved_as(visitor, "CSV")
    assert lines == len(list(csv.DictReader(io.StringIO(data.decode())))) > 30
    visitor.pick("One line for each", "Block")
    visitor.until_query(rows="Block")
    visitor.until(lambda: int(table.locator("table").get_attribute("aria-rowcount")) < lines, "fewer lines")
    assert visitor.fits()


def test_two_networks_stand_side_by_side_and_the_partner_is_a_choice(visitor: Visitor):
    visitor.open("anatomy", "net=vgg16")
    visitor.pick("View", "Compare")
    visitor.until_query(view="Compare")
    for kind in ("Graph", "Bars"):
        left, right = visitor.drawing(f"{kind} of VGG"), visitor.drawing(f"{kind} of GoogLeNet")
        left.wait_for()
        first, second = visitor.box(left), visitor.box(right)
        assert first["x"] + first["width"] <= second["x"] and abs(first["y"] - second["y"]) < 2
    assert visitor.fits()
    visitor.choose(visitor.main, "Compare with", "zfnet")
    visitor.until_query(**{"with": "zfnet"})
    visitor.drawing("Graph of ZF").wait_for()
    visitor.drawing("Graph of GoogLeNet").wait_for(state="detached")
    name, data = saved_as(visitor, "SVG")
    assert name == "vgg16-zfnet-graphs.svg" and ET.fromstring(data) is not None
    visitor.tab.go_back()
    visitor.until_query(view="Compare", **{"with": None})
    visitor.drawing("Graph of GoogLeNet").wait_for()
    visitor.tab.go_back()
    visitor.until_query(view=None)
    visitor.drawing("Graph of VGG").wait_for()


def test_the_charts_of_the_history_draw_and_the_camera_saves_them(visitor: Visitor):
    visitor.open("anatomy", "view=History")
    chart = visitor.main.locator(".js-plotly-plot")
    chart.locator(".barlayer .point path").first.wait_for()
    assert chart.locator(".barlayer .point path").count() >= 8  # years and people
    name, data = saved_as(visitor, "CSV")
    assert name == "ilsvrc.csv" and b"GoogLeNet" in data and visitor.fits()
    visitor.pick("Chart", "Accuracy, size, cost")
    visitor.until_query(chart="Accuracy, size, cost")
    chart.locator(".scatterlayer .point").first.wait_for()
    assert chart.locator(".scatterlayer .point").count() > 50 and visitor.fits()
    name, data = visitor.download(visitor.main.get_by_role("button", name="SVG", exact=True))
    assert name == "accuracy-size-cost.svg" and "VGG" in "".join(ET.fromstring(data).itertext())


def test_letters_stay_readable_when_the_window_becomes_small(visitor: Visitor):
    drawn = "svg => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width"
    visitor.open("anatomy", "net=vgg16")
    whole = visitor.drawing("Graph of VGG")
    assert whole.evaluate(drawn) > 0.95
    visitor.tab.set_viewport_size({"width": 1024, "height": 768})
    visitor.until(lambda: visitor.box(whole)["width"] < 800, "the window is small")
    visitor.until(lambda: whole.evaluate(drawn) > 0.84, "the drawing is another one")
    assert visitor.fits()
    click_block(visitor, "block:4")
    visitor.drawing("Layers of features.7").wait_for()


def test_in_a_small_window_the_block_in_large_stands_below_and_whole(visitor: Visitor):
    visitor.tab.set_viewport_size({"width": 1024, "height": 768})
    visitor.open("anatomy", "net=googlenet_2014")
    whole, block = visitor.drawing("Graph of GoogLeNet"), visitor.drawing("Layers of inception3a")
    block.wait_for()
    room = visitor.box(visitor.main)
    first, second = visitor.box(whole), visitor.box(block)
    assert second["y"] >= first["y"] + first["height"]
    for box in (first, second):
        assert room["x"] <= box["x"] and box["x"] + box["width"] <= room["x"] + room["width"]
    assert visitor.fits()
