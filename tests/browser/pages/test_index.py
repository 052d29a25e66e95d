"""An index is built beside the page, can be stopped and continued, and outlives the server."""

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from visitors import Visitor, serving

pytestmark = pytest.mark.browser


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder that takes seconds to search: Cancel has to come before its end."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(300):
        pixels = random.integers(0, 256, (96, 96, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:04}.png", compress_level=0)
    return folder


def wall_of(someone: Visitor) -> np.ndarray:
    """The tiles of the finished wall as they came, whatever room the page has for them, (H, W, 3) uint8."""
    whole = re.compile(r"Top-9 wall of .*, reconstructions of (\d+) of \1 channels$")
    wall = someone.tab.get_by_role("img", name=whole)
    wall.wait_for()
    someone.settled()
    source = wall.evaluate("wall => wall.closest('.wall').sheet.canvas.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).convert("RGB"))


def test_an_index_can_be_stopped_continued_and_outlives_the_server(chromium: Any, tmp_path: Path, pictures: Path):
    cache = tmp_path / "cache"
    link = f"net=squeezenet1_1&weights=random&layer=features.0&corpus=folder&folder={pictures}"
    with serving(cache, tmp_path) as url:
        someone = Visitor(chromium, url)
        someone.open("top-9", link)
        someone.tab.get_by_role("button", name="Build the index").click()
        someone.tab.get_by_text("images/s").first.wait_for()  # progress and time left
        someone.tab.get_by_role("button", name="Cancel").click()
        someone.tab.get_by_role("button", name="Continue").wait_for()
        done = someone.tab.get_by_text("are done.").inner_text()
        assert f"{len(list(pictures.iterdir())):,} images" in done
        someone.tab.get_by_role("button", name="Continue").click()
        someone.picture("Top-9 wall of").wait_for()
        someone.until(lambda: not someone.tab.get_by_role("button", name="Cancel").is_visible(), "indexed")
        someone.until(lambda: not someone.tab.get_by_role("button", name="Continue").is_visible(), "complete")
        someone.settled()
        someone.open("top-9", link, anew=True)  # from the finished index
        wall = wall_of(someone)
        assert someone.wrong == []
        someone.context.close()
    with serving(cache, tmp_path) as url:  # a new process on the same folder
        someone = Visitor(chromium, url)
        someone.open("top-9", link)
        again = wall_of(someone)
        assert again.shape == wall.shape
        assert (np.abs(again.astype(int) - wall).max(axis=2) > 2).mean() < 0.001  # rounding may move a level
        assert someone.tab.get_by_role("button", name="Build the index").count() == 0
        assert someone.wrong == []
        someone.context.close()


def test_a_small_corpus_needs_no_click(visitor: Visitor):
    visitor.open("top-9", "net=lenet5&layer=conv2")
    visitor.picture("Top-9 wall of").wait_for()
    visitor.picture("Reconstructions of channel").wait_for()
    visitor.click_tile("Top-9 wall of", 1)
    visitor.until(lambda: visitor.query().get("unit") == "1", "the second block was clicked")
    visitor.settled()
    assert visitor.chosen("Channel") == "1"
    visitor.tab.get_by_text("conv2 · channel 1", exact=False).first.wait_for()


LETTERS = """
() => {
  const found = []
  const walk = (node) => {
    for (const text of node.captions || []) found.push([text, parseFloat(node.dataset.letters)])
    if (node.className === "label") found.push([node.textContent, parseFloat(getComputedStyle(node).fontSize)])
    if (node.shadowRoot) walk(node.shadowRoot)
    for (const child of node.children || []) walk(child)
  }
  walk(document.body)
  return found
}
"""


@pytest.mark.parametrize("page, words", [("top-9", "channel 1 · "), ("unit", "1: ")])
def test_captions_of_patches_can_be_read_in_a_small_window(visitor: Visitor, page: str, words: str):
    visitor.tab.set_viewport_size({"width": 1024, "height": 768})
    visitor.open(page, "net=lenet5&layer=conv2")
    visitor.until(lambda: any(text.startswith(words) for text, _ in visitor.tab.evaluate(LETTERS)), words)
    sizes = [size for _text, size in visitor.tab.evaluate(LETTERS)]
    assert min(sizes) >= 12
