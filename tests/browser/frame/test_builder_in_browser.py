"""A chain that no catalogue has is dropped, changed in the builder, used on another page, and still there after a
reload."""

from pathlib import Path

import pytest
from chain_files import THREE, named, residual
from own_weights import saved
from visitors import Visitor

pytestmark = pytest.mark.browser
STRANGER = Path(__file__).resolve().parents[4] / "shared" / "strangers" / "lenet-unpadded.pth"
SIZES = ((1440, 900), (1024, 768), (390, 844))


def inside(visitor: Visitor) -> bool:
    """Nothing of the window reaches beyond its right edge."""
    return visitor.window.evaluate(
        "e => e.scrollWidth <= e.clientWidth && e.getBoundingClientRect().right <= innerWidth"
    )


def remove(visitor: Visitor) -> None:
    """Take the only file off the shelf again: other tests have the same server."""
    visitor.open("")
    visitor.main.get_by_role("button", name="Remove", exact=True).click()
    visitor.main.get_by_text("None yet.").wait_for()


def use(visitor: Visitor) -> str:
    """Take what the builder shows into use; the network's name in the address."""
    visitor.window.get_by_role("button", name="Use this network").click()
    visitor.window.wait_for(state="detached")
    visitor.until(lambda: visitor.query().get("weights", "").startswith("file-"), "the file is in use")
    visitor.settled()
    return visitor.query()["net"]


def test_a_chain_is_built_used_on_every_page_and_kept(visitor: Visitor):
    visitor.open("")
    visitor.drop(visitor.main, "shapes.pth", saved(named(THREE)))
    visitor.drawing("Graph of Chain 4-6-3").wait_for()
    visitor.settled()
    for width, height in SIZES:
        visitor.tab.set_viewport_size({"width": width, "height": height})
        visitor.tab.wait_for_timeout(400)
        assert inside(visitor), f"the builder at {width}×{height}"
    visitor.tab.set_viewport_size({"width": 1440, "height": 900})
    visitor.choose(visitor.window, "conv1: padding", "padding 1")
    visitor.window.get_by_text("and the file's has").wait_for()
    assert visitor.window.get_by_role("button", name="Use this network").is_disabled()
    visitor.choose(visitor.window, "conv1: padding", "no padding")
    visitor.choose(visitor.window, "conv1: activation", "Tanh")
    visitor.choose(visitor.window, "conv2: pooling", "average 2")
    visitor.settled()
    visitor.window.get_by_role("tab", name="Copy as Python").click()
    visitor.window.get_by_text("nn.AvgPool2d").wait_for()
    name = use(visitor)
    assert name == "chain:3x32x32-conv4k3-tanh-max2-conv6k3-relu-avg2-flatten-linear3"
    assert (
        visitor.cards("Network").get_by_text("Chain 4-6-3, 3×32×32").is_visible()
        and visitor.chosen("Weights") == "shapes.pth"
    )
    visitor.go("feature-maps")
    before = visitor.source("Feature maps of")
    visitor.tab.reload()
    visitor.arrived("feature-maps")
    assert visitor.query()["net"] == name and visitor.source("Feature maps of") == before
    for page in ("anatomy", ""):
        visitor.go(page)
        for width, height in SIZES:
            visitor.tab.set_viewport_size({"width": width, "height": height})
            visitor.tab.wait_for_timeout(300)
            assert visitor.fits(), f"{page or 'home'} at {width}×{height}"
        visitor.tab.set_viewport_size({"width": 1440, "height": 900})
        visitor.tab.wait_for_timeout(300)
    remove(visitor)


def test_a_published_file_is_opened_as_a_chain_too(visitor: Visitor):
    if not STRANGER.is_file():
        pytest.skip(f"{STRANGER} is not here")
    visitor.open("")
    visitor.drop(visitor.main, STRANGER.name, STRANGER.read_bytes())
    picker = visitor.window.get_by_role("combobox", name="Recognised as")
    picker.wait_for()
    visitor.settled()
    assert picker.input_value() == "lenet5_unpadded"
    chain = "Chain 1×28×28: 6 of 5×5, max 2, 16 of 5×5, max 2; 120, 84, 10; ReLU"
    visitor.choose(visitor.window, "Recognised as", chain)
    visitor.drawing("Graph of Chain 6-16-120-84-10").wait_for()
    visitor.settled()
    visitor.window.get_by_role("tab", name="How accurate it is").click()
    visitor.choose(visitor.window, "Labelled set", "drawn digits")
    visitor.window.get_by_role("button", name="How accurate is it?").click()
    visitor.window.get_by_text("answered correctly").wait_for()
    assert use(visitor).startswith("chain:1x28x28-conv6k5-relu-max2-conv16k5")
    visitor.go("feature-maps")
    assert visitor.chosen("Weights") == STRANGER.name and visitor.picture("Feature maps of").is_visible()
    remove(visitor)


def test_a_file_that_is_no_chain_leaves_a_skeleton_to_go_on_with(visitor: Visitor):
    visitor.open("", "net=lenet5")
    visitor.drop(visitor.main, "two_ways.pth", residual())
    visitor.window.get_by_text("not a chain, since").first.wait_for()
    name, data = visitor.download(visitor.window.get_by_role("button", name="my_net.py"))
    compile(data, name, "exec")
    assert b"class MyNet" in data and inside(visitor)
    visitor.window.get_by_role("button", name="Close", exact=True).last.click()
    visitor.window.wait_for(state="detached")
    assert visitor.query() == {"net": "lenet5"}
