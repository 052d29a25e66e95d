"""How soon the page shows a surface that it computes: from the click on Compute to the first picture, and to the whole.

Grid 25×25, images and labels as the page offers them, another seed each round, medians; in Chromium, if it is
installed. The page's aim is a first picture after about a second."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.browser import CHROMIUM, FLAGS, server, settled

ROUNDS = 3
NETWORKS = {"lenet5": "bundled", "resnet20_cifar": "bundled", "resnet56_cifar": "random", "squeezenet1_0": "random"}
WHOLE = {"lenet5", "resnet20_cifar"}  # those that are waited for to the end
AXES = ".plot.js-plotly-plot[aria-label^='Axes for the loss']"
SURFACE = ".plot.js-plotly-plot[aria-label^='Loss surface of']"


def main() -> None:
    """Print seconds."""
    if not Path(CHROMIUM).is_file():
        print(f"no Chromium at {CHROMIUM}")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver, tempfile.TemporaryDirectory() as cache, server(cache) as (address, _log, _start):
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        for name, weights in NETWORKS.items():
            view = f"{address}/landscape?view=Compute&net={name}&weights={weights}"
            rounds = [_time_preview(page, f"{view}&roll={seed}", name in WHOLE) for seed in range(1, ROUNDS + 1)]
            first, whole = (statistics.median(seconds) for seconds in zip(*rounds, strict=True))
            worst = max(one[0] for one in rounds)
            print(
                f"{name}: first picture after {first:.2f} s (worst of {ROUNDS}: {worst:.2f} s)"
                + (f", all points after {whole:.1f} s" if name in WHOLE else "")
            )
        browser.close()


def _time_preview(page: Any, address: str, to_the_end: bool) -> tuple[float, float]:
    page.goto(address)
    start = page.get_by_role("button", name="Compute", exact=True)
    start.wait_for(timeout=120_000)
    settled(page)
    page.wait_for_selector(AXES, timeout=120_000)
    page.wait_for_timeout(2000)
    started = time.perf_counter()
    start.click()
    page.wait_for_selector(SURFACE, timeout=120_000)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    first = time.perf_counter() - started
    if to_the_end:
        page.wait_for_selector("[data-testid=stProgress]", state="detached", timeout=600_000)
    whole = time.perf_counter() - started
    if not to_the_end:
        page.get_by_role("button", name="Cancel", exact=True).click()
        page.wait_for_selector("[data-testid=stProgress]", state="detached", timeout=120_000)
    return first, whole


if __name__ == "__main__":
    main()
