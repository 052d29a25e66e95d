"""Memory of the app while a network is trained and two tabs watch: `python -m benchmarks.training_memory --minutes 30`.

LeNet-5 on scikit-learn's digits in steps of 8 images; when a training has ended, the next is begun. Every minute the
server's resident memory and the heap of each tab's scripts are printed; at the end the change over the second half."""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.browser import CHROMIUM, FLAGS, process, settled

LINK = "training?view=Train&train_epochs=200&batch_size=8"


def main() -> None:
    """Print the memory of every minute."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=30)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as cache, sync_playwright() as playwright:
        os.environ["CNNVIZ_RUNS"] = str(Path(cache) / "runs")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with process(cache) as (address, _timings, pid):
            tabs = [_open(browser, address) for _ in range(2)]
            rows = [_measure(tabs, pid, minute) for minute in range(minutes + 1)]
        browser.close()
    for name, values in zip(("server", "first tab", "second tab"), zip(*rows, strict=True), strict=True):
        half = values[len(values) // 2 :]
        middle = len(half) // 2
        change = statistics.mean(half[middle:]) - statistics.mean(half[:middle])
        print(f"{name}: {change:+.1f} MB from the third quarter to the last, of {half[-1]:.0f} MB")


def _open(browser: Any, address: str) -> Any:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{address}/{LINK}")
    page.get_by_role("button", name="Start", exact=True).wait_for(timeout=60_000)
    settled(page)
    return page


def _measure(tabs: list[Any], pid: int, minute: int) -> tuple[float, ...]:
    """MB of the server and of each tab, after a minute in which a training went on."""
    until = time.monotonic() + (60 if minute else 0)
    while True:
        if not tabs[0].get_by_text("running, epoch").count() and not tabs[0].get_by_text("preparing").count():
            tabs[0].get_by_role("button", name="Start", exact=True).click()
            tabs[0].get_by_text("running, epoch").first.wait_for(timeout=60_000)
            tabs[1].goto(tabs[0].url)
        if time.monotonic() >= until:
            break
        tabs[0].wait_for_timeout(1000)
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    resident = next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))
    heaps = [_heap(tab) for tab in tabs]
    print(f"{minute:3} min: server {resident:.0f} MB, tabs {heaps[0]:.1f} and {heaps[1]:.1f} MB", flush=True)
    return resident, *heaps


def _heap(tab: Any) -> float:
    session = tab.context.new_cdp_session(tab)
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"] / 1e6
    session.detach()
    return float(used)


if __name__ == "__main__":
    main()
