"""Whether two checkouts draw the same: every page and view at 1440×900, compared pixel for pixel.

`python -m benchmarks.same_pictures take FOLDER [CHECKOUT]` takes the pictures of a checkout (default: this one),
`python -m benchmarks.same_pictures compare BEFORE AFTER` names every picture that differs, and where."""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.browser import CHROMIUM, FLAGS, ROOT, process, settled, wait_for_index

VIEWS = {
    "": [""],
    "inspect": ["Answer", "Attribution", "Occlusion", "Sanity check", "Neighbours"],
    "filters": [""],
    "feature-maps": [""],
    "top-9": [""],
    "unit": [""],
    "anatomy": ["Graph", "Layers", "Profile", "Compare", "History"],
    "landscape": ["3-D", "Contours", "Slices", "Sharpness", "Training", "Compute"],
    "equivariance": ["Shift", "Map", "Prediction", "Beyond shifts"],
    "receptive-fields": ["On the image", "Growth", "Stacks"],
    "pooling": ["In a network", "Learned", "Location"],
    "normalisation": ["Training and evaluation", "A channel", "Axes", "Memory", "Local response", "Preprocessing"],
    "playground": ["Step by step", "Matrix", "Coverage", "Counters", "Photograph", "Pooling", "Signal"],
    "camera": ["Snapshot"],
}  # page: the views that its address can name
NETWORKS = ["", "lenet5", "plain20_cifar"]  # "": the one that a page opens on
LEVELS, CORNERS = 16, 4  # Chromium paints a few pixels of round corners a few levels apart from run to run
CLOCK = re.compile(r"\d[\d.,]* ?(ms|s|min|GB|MB|GiB|MiB)\b")  # times and memory differ from run to run


def addresses() -> Iterator[str]:
    """Every page and view, with the networks that come with cnnviz where a page takes one."""
    for page, views in VIEWS.items():
        for view in views:
            for network in NETWORKS if page not in ("landscape", "playground") else [""]:
                chosen = {"camera" if page == "camera" else "view": view, "net": network}
                query = "&".join(f"{key}={value.replace(' ', '+')}" for key, value in chosen.items() if value)
                yield f"{page}?{query}" if query else page


def take(folder: Path, checkout: Path = ROOT) -> None:
    """Write one PNG an address to `folder`, taken from the app of `checkout` in a cache of its own."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with (
        sync_playwright() as driver,
        tempfile.TemporaryDirectory() as cache,
        process(cache, checkout=checkout) as (url, _, _),
    ):
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        for network in NETWORKS:
            page.goto(f"{url}/feature-maps?net={network}" if network else f"{url}/feature-maps")
            wait_for_index(page)
        for address in addresses():
            page.goto(f"{url}/{address}")
            _wait(page)
            page.evaluate(_STILL, CLOCK.pattern)
            page.screenshot(path=folder / f"{re.sub(r'[^a-z0-9_-]+', '.', address.lower()) or 'home'}.png")
        browser.close()


_STILL = """(pattern) => {
  const clock = new RegExp(pattern, "g"), texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replace(clock, "…")
  document.activeElement?.blur()
}"""


def _wait(page: Any) -> None:
    """Until the page has drawn everything and stays still."""
    until, same, last = time.monotonic() + 120, 0, b""
    settled(page)
    page.wait_for_function("() => !/being computed|are computed/.test(document.body.innerText)", timeout=120_000)
    page.wait_for_selector("[data-testid=stProgress]", state="detached", timeout=300_000)
    while same < 3 and time.monotonic() < until:
        page.wait_for_timeout(400)
        now = page.screenshot()
        same, last = (same + 1 if now == last else 0), now


def compare(before: Path, after: Path) -> int:
    """Print a line for every picture that differs, with the share of its pixels and their box; how many do."""
    names = sorted({path.name for folder in (before, after) for path in folder.glob("*.png")})
    different = 0
    for name in names:
        if not ((before / name).is_file() and (after / name).is_file()):
            print(f"{name}: only in one of the folders")
            different += 1
            continue
        one, other = (np.asarray(Image.open(folder / name).convert("RGB")) for folder in (before, after))
        far = np.abs(one.astype(int) - other) if one.shape == other.shape else np.full(one.shape, 255)
        changed = far.max(axis=2) > LEVELS
        if changed.sum() > CORNERS:
            rows, cols = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
            box = f"rows {rows[0]} to {rows[-1]}, columns {cols[0]} to {cols[-1]}"
            print(f"{name}: {changed.mean():.3%} of the pixels differ, {box}")
            different += 1
    print(f"{len(names) - different} of {len(names)} pictures are the same.")
    return different


if __name__ == "__main__":
    if sys.argv[1] == "take":
        take(Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve() if len(sys.argv) > 3 else ROOT)
    else:
        sys.exit(compare(Path(sys.argv[2]), Path(sys.argv[3])) > 0)
