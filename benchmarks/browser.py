"""A fresh app and a browser to look at it, for measurements and for the pictures in the README."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = os.environ.get("CNNVIZ_CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync "
    "--no-first-run"
).split()


@contextmanager
def server(cache: str) -> Iterator[tuple[str, Path, float]]:
    """(address, file of timings, moment of the start) of a fresh app."""
    started = time.perf_counter()
    with process(cache) as (address, timings, _pid):
        yield address, timings, started


@contextmanager
def process(
    cache: str, *options: str, cores: set[int] | None = None, checkout: Path = ROOT
) -> Iterator[tuple[str, Path, int]]:
    """(address, file of timings, process id) of a fresh app. `options`: of `streamlit run`; `cores`: it may use;
    `checkout`: the project whose app it is."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    timings = Path(cache) / "timings.jsonl"
    paths = os.pathsep.join(filter(None, [str(checkout), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"CNNVIZ_CACHE": cache, "CNNVIZ_TIMINGS": str(timings), "PYTHONPATH": paths}
    command = [sys.executable, "-m", "streamlit", "run", str(checkout / "app" / "Home.py"), *options]
    running = subprocess.Popen(
        [*command, "--server.port", str(port), "--server.headless", "true"],
        env=environment,
        cwd=cache,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    if cores is not None:
        os.sched_setaffinity(running.pid, cores)  # its threads inherit it
    try:
        until = time.perf_counter() + 60
        while time.perf_counter() < until:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1)
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}", timings, running.pid
    finally:
        running.terminate()
        running.wait(20)


_PAINTED = """
(alt) => {
  const found = (node) => {
    if ((node.tagName === "IMG" ? node.alt : node.dataset?.stamp && node.ariaLabel)?.startsWith(alt)) return node
    for (const child of [...(node.shadowRoot ? node.shadowRoot.children : []), ...(node.children || [])]) {
      const image = found(child)
      if (image) return image
    }
    return null
  }
  const shown = (node) => node.tagName === "IMG" ? node.complete && node.naturalWidth && node.src : node.dataset.stamp
  const before = shown(found(document.body))
  let clicked = 0
  addEventListener("mousedown", () => { clicked = performance.now() }, { capture: true, once: true })
  window.painted = 0
  const look = () => {
    const now = found(document.body)
    if (clicked && now && shown(now) && shown(now) !== before) {
      requestAnimationFrame(() => requestAnimationFrame(() => { window.painted = performance.now() - clicked }))
    } else requestAnimationFrame(look)
  }
  look()
}
"""


def painted(page: Any, alt: str, click: Callable[[], None]) -> float:
    """Milliseconds from the press of the mouse in `click()` to the frame that shows another picture in the image
    whose description begins with `alt`."""
    page.evaluate(_PAINTED, alt)
    click()
    page.wait_for_function("() => window.painted > 0", timeout=60_000)
    return page.evaluate("() => window.painted")


def settled(page: Any) -> None:
    """Wait until the app has finished its script."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=120_000)


def wait_for_index(page: Any) -> None:
    """The index of the samples is built once beside the page; wait until it is there."""
    page.wait_for_selector("img[alt^='Reconstructions of channel']", timeout=300_000)
    page.wait_for_selector("[data-testid=stProgress]", state="detached", timeout=300_000)
    settled(page)
