"""Training in the app on two cores: seconds from the click on Start to the first curve and to 95 % of the test digits,
and how long a click on another page takes meanwhile.

LeNet-5 on scikit-learn's digits with the choices that the page opens on, in Chromium, in a fresh app."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.browser import CHROMIUM, FLAGS, process, settled
from cnnviz.training.record.result import read_run

ROUNDS, WANTED, PATIENCE = 3, 0.95, 120.0
CLICKS = ("Convolution playground", "Training")  # links of the sidebar, followed in turn while it trains


def measure(browser: Any, address: str, runs: Path, number: int) -> tuple[float, float, float, list[float]]:
    """(seconds to the first curve, to WANTED, to the end; seconds of each click meanwhile) of one training."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{address}/training?view=Train&live=none")
    start = page.get_by_role("button", name="Start", exact=True)
    start.wait_for(timeout=60_000)
    settled(page)
    page.wait_for_timeout(3000)
    clicked = time.perf_counter()
    start.click()
    page.get_by_text("running, epoch").first.wait_for(timeout=60_000)
    page.locator("path.js-line").first.wait_for(state="attached", timeout=60_000)
    first, clicks = time.perf_counter() - clicked, []
    folder, good, ended = runs / f"lenet5-digits-{number}", float("nan"), False
    while not ended and time.perf_counter() - clicked < PATIENCE:
        for link in CLICKS:
            asked = time.perf_counter()
            page.get_by_role("link", name=link, exact=True).click()
            page.locator("h1", has_text=link).wait_for(timeout=60_000)
            clicks.append(time.perf_counter() - asked)
            run, seconds = read_run(folder), time.perf_counter() - clicked
            ended = not run.running
            if good != good and (run.epochs.get("test_accuracy", np.zeros(1)) >= WANTED).any():
                good = seconds
    page.close()
    return first, good, seconds, clicks


def main() -> None:
    """Print the medians."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as cache, sync_playwright() as playwright:
        os.environ["CNNVIZ_RUNS"] = str(Path(cache) / "runs")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with process(cache, cores=set(sorted(os.sched_getaffinity(0))[:2])) as (address, _timings, _pid):
            found = [measure(browser, address, Path(cache) / "runs", number) for number in range(1, ROUNDS + 1)]
        browser.close()
    names = ("to the first curve", "to 95 % of the test digits", "to the end of 30 epochs")
    for name, seconds in zip(names, zip(*(one[:3] for one in found), strict=True), strict=True):
        print(f"{name}: {statistics.median(seconds):.1f} s, of {ROUNDS} trainings")
    clicks = [click for one in found for click in one[3]]
    print(f"a click on another page meanwhile: median {statistics.median(clicks):.2f} s, longest {max(clicks):.2f} s")


if __name__ == "__main__":
    main()
