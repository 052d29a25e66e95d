"""A fresh app and a browser to look at it, for measurements and for the pictures in the README."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
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


def wait_for_index(page: Any) -> None:
    """The index of the samples is built once beside the page; wait until it is there."""
    page.wait_for_selector("img[alt^='Their reconstructions']", timeout=300_000)
    page.wait_for_selector("[data-testid=stProgress]", state="detached", timeout=300_000)
    settled(page)
