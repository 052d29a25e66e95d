"""The app as a visitor feels it, in Chromium on this machine.

- first picture: from `streamlit run` to the painted photograph on Home;
- new layer: from the click on a layer's block to the painted wall (Feature maps), of SqueezeNet and of the network that
  pages open on;
- second visit: time the server needs to run a page's script when nothing changed.
Needs Chromium and playwright. Random weights are measured where the trained ones are not here: the work is the same."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.browser import CHROMIUM, FLAGS, server, settled, wait_for_index

LAYERS = {
    "squeezenet1_0": [f"features.{i}.{part}" for i in (3, 7, 9, 12) for part in ("squeeze", "expand3x3")],
    "efficientnet_lite0": [f"blocks.{i}" for i in (1, 3, 5, 7, 9, 11, 13, 14)],
}
PAINTED = """
() => new Promise((resolve) => {
  const picture = () => {
    const found = []
    const walk = (node) => {
      if (node.dataset?.stamp && node.ariaLabel?.startsWith("Feature maps of ")) found.push(node)
      if (node.shadowRoot) walk(node.shadowRoot)
      for (const child of node.children || []) walk(child)
    }
    walk(document.body)
    return found[0]
  }
  const before = picture().ariaLabel
  addEventListener("mousedown", () => { window.clicked = performance.now() }, {capture: true})
  const look = () => {
    const now = picture()
    if (window.clicked && now && now.ariaLabel !== before) {
      requestAnimationFrame(() => requestAnimationFrame(() => {
        window.painted = performance.now() - window.clicked; window.clicked = 0
      }))
    } else requestAnimationFrame(look)
  }
  window.painted = 0
  look(); resolve(true)
})
"""


def main() -> None:
    """Print the three figures."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver, tempfile.TemporaryDirectory() as cache:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for _ in range(2):  # the first start warms the disk
            with server(cache) as (address, _timings, started):
                page = browser.new_page(viewport={"width": 1440, "height": 900})
                page.goto(address)
                page.wait_for_selector("[data-testid=stImage] img", timeout=120_000)
                first = time.perf_counter() - started
                page.close()
        print(f"first picture after `streamlit run`        {first:6.1f} s    (wanted: 8 s)")
        for network, layers in LAYERS.items():
            with server(cache) as (address, timings, _):
                page = browser.new_page(viewport={"width": 1440, "height": 900})
                page.goto(f"{address}/feature-maps?net={network}")
                page.wait_for_selector("canvas[data-stamp][aria-label^='Feature maps of']", timeout=120_000)
                wait_for_index(page)
                painted = [time_new_layer(page, layer) for layer in layers]
                worst = f"wanted: 500 ms; worst of {len(painted)}: {max(painted):.0f} ms"
                print(f"new layer of {network}, click to painted {statistics.median(painted):6.0f} ms ({worst})")
                for name in ("", "filters", "feature-maps", "top-9"):
                    visit = time_second_visit(page, address, f"{name}?net={network}", timings)
                    print(f"second visit, server time: /{name:14} {visit:6.0f} ms")
                page.close()
        browser.close()


def time_new_layer(page: Any, layer: str) -> float:
    """Milliseconds from the click on the layer's block in the strip to the frame that shows its wall."""
    names = page.get_by_label("Layer", exact=True).evaluate("list => [...list.options].map((one) => one.value)")
    page.evaluate(PAINTED)
    page.locator(".st-key-bar_layer .blocks i").nth(names.index(layer)).click()
    page.wait_for_function("() => window.painted > 0", timeout=60_000)
    value = page.evaluate("() => window.painted")
    settled(page)
    page.wait_for_timeout(700)
    return value


def time_second_visit(page: Any, address: str, name: str, timings: Path) -> float:
    """Server time in ms, median of five visits after the first two, from the app's own log."""
    times = []
    for visit in range(7):
        before = len(timings.read_text().splitlines())
        page.goto(f"{address}/{name}")
        page.wait_for_timeout(800)
        if visit == 0:  # an index that a layer looked at before has begun
            page.wait_for_selector("[data-testid=stProgress]", state="detached", timeout=300_000)
        settled(page)
        runs = [json.loads(line)["ms"] for line in timings.read_text().splitlines()[before:]]
        if visit >= 2:
            times.append(sum(runs))
    return statistics.median(times)


if __name__ == "__main__":
    main()
