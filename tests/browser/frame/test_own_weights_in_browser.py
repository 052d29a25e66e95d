"""Weights of one's own are dropped on Home, asked about, shown on another page, and removed."""

import io

import pytest
import torch
from visitors import Visitor

from cnnviz.models.catalogue.registry import build

pytestmark = pytest.mark.browser


def checkpoint() -> bytes:
    """A CIFAR ResNet as a training script with DataParallel saves it."""
    torch.manual_seed(3)
    state = build("resnet20_cifar").state_dict()
    file = io.BytesIO()
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}, "epoch": 200}, file)
    return file.getvalue()


def test_a_dropped_checkpoint_is_asked_about_used_on_every_page_and_removed(visitor: Visitor):
    visitor.open("feature-maps", "net=plain20_cifar&weights=random&layer=conv1")
    before = visitor.source("Feature maps of")
    visitor.open("")
    visitor.drop(visitor.main, "best.th", checkpoint())
    visitor.window.get_by_text("networks with exactly these tensors").wait_for()
    visitor.settled()
    box = visitor.box(visitor.window)
    assert 0 <= box["x"] and box["x"] + box["width"] <= 1440 and 0 <= box["y"] and box["y"] + box["height"] <= 900
    assert "weights" not in visitor.query()  # nothing is used before it is answered
    assert visitor.window.get_by_role("combobox", name="Recognised as").input_value() == "resnet20_cifar"
    visitor.choose(visitor.window, "Recognised as", "plain20_cifar")
    visitor.settled()
    visitor.window.get_by_role("button", name="Use these weights").click()
    visitor.window.wait_for(state="detached")
    visitor.until(lambda: visitor.query().get("weights", "").startswith("file-"), "the file is in use")
    visitor.settled()
    file = visitor.query()["weights"]
    assert (visitor.chosen("Network"), visitor.chosen("Weights")) == ("plain20_cifar", "best.th")
    visitor.main.get_by_text("in use", exact=True).wait_for()
    visitor.go("feature-maps")
    assert visitor.query()["weights"] == file and visitor.chosen("Weights") == "best.th"
    visitor.open("feature-maps", f"net=plain20_cifar&weights={file}&layer=conv1")
    assert visitor.source("Feature maps of") != before
    visitor.tab.set_viewport_size({"width": 1024, "height": 768})
    visitor.open("")  # without the file's link: it is on the shelf, and can be taken again
    use, remove = (visitor.main.get_by_role("button", name=name, exact=True) for name in ("Use", "Remove"))
    use.wait_for()
    assert visitor.readable(use) and visitor.readable(remove) and visitor.fits()
    use.click()
    visitor.until_query(net="plain20_cifar", weights=file)
    remove.click()
    visitor.until_query(weights=None, net="plain20_cifar")
    visitor.main.get_by_text("None yet.").wait_for()
    assert visitor.chosen("Weights") == "bundled" and visitor.picture("Five most probable").is_visible()
    visitor.open("feature-maps", f"net=plain20_cifar&weights={file}")  # a link to it says what to do
    visitor.main.get_by_text("Upload the file again on Home").wait_for()


def test_a_text_file_is_refused_in_words_and_the_app_stands(visitor: Visitor):
    visitor.open("", "net=lenet5")
    before = visitor.source("The image after")
    visitor.drop(visitor.main, "letter.pth", b"Dear reader, these are no weights.", "text/plain")
    message = visitor.window.locator("[data-testid=stAlert]")
    message.wait_for()
    said = message.inner_text()
    assert "letter.pth" in said and "The network is unchanged" in said and "Error" not in said
    visitor.window.get_by_role("button", name="Close", exact=True).last.click()
    visitor.window.wait_for(state="detached")
    visitor.settled()
    assert visitor.query() == {"net": "lenet5"} and visitor.source("The image after") == before
    visitor.go("feature-maps")
    assert visitor.chosen("Weights") == "bundled" and visitor.picture("Feature maps of").is_visible()
