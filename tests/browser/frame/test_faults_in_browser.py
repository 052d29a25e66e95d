"""A tab that is closed takes its work along; what strangers name is only text, and nothing is fetched for it."""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from visitors import Visitor, serving

from cnnviz.models.catalogue import registry

pytestmark = pytest.mark.browser
CANARY = '<img src=x onerror="document.title=1">![c](http://evil.example/c.png)'


def pictures(folder: Path, count: int) -> Path:
    """A folder that takes a while to search."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        pixels = random.integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:04}.png", compress_level=0)
    return folder


def test_closing_the_tab_cancels_its_index_and_what_was_done_is_there_for_the_next(chromium: Any, tmp_path: Path):
    folder = pictures(tmp_path / "pictures", 600)
    link = f"net=squeezenet1_1&weights=random&layer=features.0&corpus=folder&folder={folder}"
    with serving(tmp_path / "cache", tmp_path) as url:
        first = Visitor(chromium, url)
        first.open("top-9", link)
        first.tab.get_by_role("button", name="Build the index").click()
        first.tab.get_by_text("images/s").first.wait_for()
        first.context.close()
        second = Visitor(chromium, url)
        second.tab.wait_for_timeout(1500)  # a job that is looked for by another tab would go on
        second.open("top-9", link)
        button = second.tab.get_by_role("button", name=re.compile("Continue|Build the index"))
        button.wait_for()
        assert second.tab.get_by_text("images/s").count() == 0 and second.wrong == []
        second.context.close()


def test_markup_in_a_checkpoint_is_text_and_nothing_is_fetched(visitor: Visitor):
    torch.manual_seed(0)
    file = io.BytesIO()
    names = [f"{CANARY}{number}" for number in range(10)]
    torch.save({"state_dict": registry.build("lenet5", 10).state_dict(), "classes": names}, file)
    visitor.open("", "net=lenet5&image=digit-3")
    visitor.drop(visitor.main, f"{CANARY}.pth", file.getvalue())
    visitor.window.get_by_role("button", name="Use these weights").click()
    visitor.until(lambda: visitor.query().get("weights", "").startswith("file-"), "the weights are in use")
    visitor.settled()
    for page in ("inspect", "feature-maps"):
        visitor.go(page)
    assert visitor.tab.locator("img[src='x']").count() == 0
    assert visitor.tab.locator("img[src*='evil.example']").count() == 0
    visitor.go("")
    visitor.bar.get_by_label("Weights").first.wait_for()
    visitor.main.get_by_role("button", name="Remove", exact=True).click()
    visitor.main.get_by_text("None yet.").wait_for()


@pytest.mark.own_tab
def test_a_plot_whose_library_does_not_come_is_drawn_as_soon_as_it_does_and_it_is_fetched_once(visitor: Visitor):
    asked: list[str] = []

    def answer(route: Any) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.abort()
        else:
            route.continue_()

    visitor.tab.route("**/cnnviz-plotly/*", answer)
    visitor.open("receptive-fields", "net=lenet5&layer=conv2")
    visitor.pick("View", "Growth")
    plot = visitor.main.locator(".plot.js-plotly-plot")
    plot.wait_for()
    assert len(asked) == 2 and asked[0] == asked[1]
    assert all("cnnviz-plotly" in fault for fault in visitor.wrong)
    visitor.wrong.clear()
    visitor.go("pooling")
    plot.first.wait_for()
    assert len(asked) == 2
