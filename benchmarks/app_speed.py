"""The app as a visitor feels it, in Chromium on this machine.

- first picture: from `streamlit run` to the painted photograph on Home;
- new layer: from the click on a layer of SqueezeNet to the painted wall (Feature maps);
- second visit: time the server needs to run a page's script when nothing changed.
Needs Chromium and playwright. SqueezeNet's weights may be random: the work is the same."""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = os.environ.get("CNNVIZ_CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync "
    "--no-first-run"
).split()
LAYERS = [f"features.{i}.{part}" for i in (3, 7, 9, 12) for part in ("squeeze", "expand3x3")]
PAINTED = """
() => new Promise((resolve) => {
  const picture = () => {
    const found = []
    const walk = (node) => {
      if (node.tagName === "IMG" && node.alt.startsWith("Feature maps of ")) found.push(node)
      if (node.shadowRoot) walk(node.shadowRoot)
      for (const child of node.children || []) walk(child)
    }
    walk(document.body)
    return found[0]
  }
  const before = picture().alt
  addEventListener("mousedown", () => { window.clicked = performance.now() }, {capture: true})
  const look = () => {
    const now = picture()
    if (window.clicked && now && now.alt !== before && now.complete && now.naturalWidth) {
      requestAnimationFrame(() => requestAnimationFrame(() => {
        window.painted = performance.now() - window.clicked; window.clicked = 0
      }))
    } else requestAnimationFrame(look)
  }
  window.painted = 0
  look(); resolve(true)
})
"""


@contextmanager
def server(cache: str) -> Iterator[tuple[str, Path, float]]:
    """(address, file of timings, moment of the start) of a fresh app."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    timings = Path(cache) / "timings.jsonl"
    environment = os.environ | {"CNNVIZ_CACHE": cache, "CNNVIZ_TIMINGS": str(timings)}
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app" / "Home.py")]
    started = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--server.port", str(port), "--server.headless", "true"],
        env=environment, cwd=cache, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while time.perf_counter() - started < 60:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1)
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}", timings, started
    finally:
        process.terminate()
        process.wait(20)


def settled(page: Any) -> None:
    """Wait until the app has finished its script."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=120_000)


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
        with server(cache) as (address, timings, _):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(f"{address}/feature-maps?net=squeezenet1_0")
            page.wait_for_selector("img[alt^='Feature maps of']", timeout=120_000)
            wait_for_index(page)
            painted = [new_layer(page, layer) for layer in LAYERS]
            print(
                f"new layer of SqueezeNet, click to painted   {statistics.median(painted):6.0f} ms   (wanted: 500 ms; "
                f"worst of {len(painted)}: {max(painted):.0f} ms)"
            )
            for name in ("", "filters", "feature-maps", "top-9"):
                print(f"second visit, server time: /{name:14}   {second_visit(page, address, name, timings):6.0f} ms")
        browser.close()


def wait_for_index(page: Any) -> None:
    """The index of the samples is built once beside the page; it is not what is measured here."""
    page.wait_for_selector("img[alt^='Their reconstructions']", timeout=300_000)
    page.wait_for_selector("[data-testid=stProgress]", state="detached", timeout=300_000)
    settled(page)


def new_layer(page: Any, layer: str) -> float:
    """Milliseconds from the click on the layer's name to the frame that shows its wall."""
    box = page.locator("[data-testid=stSidebar] [data-testid=stSelectbox]").filter(has_text="Layer").locator("input")
    box.click()
    box.fill(layer)
    option = page.get_by_role("option", name=layer, exact=True)
    option.wait_for()
    page.evaluate(PAINTED)
    option.click()
    page.wait_for_function("() => window.painted > 0", timeout=60_000)
    value = page.evaluate("() => window.painted")
    settled(page)
    page.wait_for_timeout(700)
    return value


def second_visit(page: Any, address: str, name: str, timings: Path) -> float:
    """Server time in ms, median of five visits after the first two, from the app's own log."""
    times = []
    for visit in range(7):
        before = len(timings.read_text().splitlines())
        page.goto(f"{address}/{name}?net=squeezenet1_0")
        page.wait_for_timeout(800)
        settled(page)
        runs = [json.loads(line)["ms"] for line in timings.read_text().splitlines()[before:]]
        if visit >= 2:
            times.append(sum(runs))
    return statistics.median(times)


if __name__ == "__main__":
    main()
