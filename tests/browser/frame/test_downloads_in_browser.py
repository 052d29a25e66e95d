"""Weights that are not here: the page stays, a box asks, and after a click the trained network is shown."""

from pathlib import Path
from typing import Any

import pytest
import torch
from fileserver import Server
from safetensors.torch import save
from visitors import Visitor, serving

from cnnviz.models.catalogue.registry import build

pytestmark = pytest.mark.browser
NETWORK, FILE = "timm:test_resnet", "timm--test_resnet.r160_in1k.safetensors"  # no checksum in the name: any will do
FILTERS = "16 filters"


def test_the_page_stays_as_it_was_until_the_visitor_agrees_and_the_weights_are_here(
    chromium: Any, server: Server, weights_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    pytest.importorskip("timm")
    monkeypatch.setenv("CNNVIZ_WEIGHTS_MIRROR", server.address)  # offline: nothing else is asked
    with serving(tmp_path / "cache", tmp_path) as url:
        someone = Visitor(chromium, url)
        someone.open("filters", f"net={NETWORK}&weights=random")
        badge = someone.tab.locator("h1").get_by_text("random weights", exact=True)
        badge.wait_for()
        random = someone.source(FILTERS)
        someone.choose(someone.bar, "Weights", "pretrained")
        box = someone.main.get_by_text("are not on this computer")
        box.wait_for()
        someone.settled()
        assert someone.source(FILTERS) == random and badge.count() == 1 and server.asked == []
        agree = someone.main.get_by_role("button", name="Download", exact=True)
        agree.click()
        someone.main.get_by_text("answered 404").wait_for()  # the server has no such file
        someone.settled()
        assert someone.source(FILTERS) == random and badge.count() == 1

        torch.manual_seed(1)
        server.files[FILE] = save(build(NETWORK).state_dict())
        agree.click()
        someone.until(lambda: someone.source(FILTERS) != random, "the trained filters are shown")
        someone.settled()
        assert badge.count() == 0 and box.count() == 0 and (weights_home / FILE).is_file()

        someone.open("filters", "net=squeezenet1_0&weights=pretrained")
        someone.main.get_by_text("5.0 MB from 127.0.0.1").wait_for()
        someone.main.get_by_role("button", name="Stay with random weights").click()
        someone.until_query(net="squeezenet1_0", weights=None)
        assert box.count() == 0 and badge.count() == 1 and someone.wrong == []
        someone.context.close()
