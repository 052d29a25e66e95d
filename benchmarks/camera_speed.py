"""Frames a second of the live camera: without a camera, and in the app with the one that Chromium makes up.

SqueezeNet 1.0 with 64 maps of one layer and the five most probable classes, two threads; weights are random, the work
is the same. First a source of 30 frames a second of 400×300 for the class that draws them, which stops at ten pictures
a second, and the same without that bound, which tells what there is to spare. Then the whole way: a video of the
browser to the app on this machine, and the pictures that the page has painted."""

from __future__ import annotations

import statistics
import tempfile
import time
from functools import partial
from typing import Any

import numpy as np
import torch

import cnnviz
from app.views.camera import worker
from app.views.camera.worker import DrawnFrame, LiveView, Wish
from benchmarks.browser import CHROMIUM, FLAGS, server, settled

THREADS, SOURCE, SECONDS = 2, 30.0, 6.0
LAYERS = ("features.3.expand3x3", "features.7.squeeze", "features.12")
FAKE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
IN_APP = 15.0  # seconds


def main() -> None:
    """Print frames a second."""
    torch.set_num_threads(THREADS)
    model = cnnviz.load("squeezenet1_0", "random", "cpu")
    bound = worker.PACE
    for layer in LAYERS:
        paced, took = measure(Wish(model, layer))
        worker.PACE = 0.0
        free, _ = measure(Wish(model, layer))
        worker.PACE = bound
        print(
            f"squeezenet1_0 {layer:20} {paced:5.1f} frames/s, {took:4.0f} ms each, without the bound {free:5.1f} "
            "(wanted: 5)"
        )
    for layer, rate in measure_in_app(LAYERS).items():
        print(f"squeezenet1_0 {layer:20} {rate:5.1f} frames/s painted in the app (wanted: 5)")


def measure(wish: Wish) -> tuple[float, float]:
    """(pictures a second, median milliseconds of one) while frames come in at SOURCE a second."""
    frames = np.random.default_rng(0).integers(0, 256, (8, 300, 400, 3), dtype=np.uint8)
    live = LiveView()
    seen: dict[int, float] = {}
    live.wish(wish)
    started = time.perf_counter()
    for number in range(int(SECONDS * SOURCE)):
        live.offer(partial(frames.__getitem__, number % len(frames)))
        time.sleep(max(0.0, started + (number + 1) / SOURCE - time.perf_counter()))
        note_picture(live.shown, seen)
    return len(seen) / (time.perf_counter() - started), 1000 * statistics.median(seen.values())


def note_picture(shown: DrawnFrame | None, seen: dict[int, float]) -> None:
    """Remember the seconds of a picture that is new."""
    if shown is not None:
        seen[shown.number] = shown.seconds


def measure_in_app(layers: tuple[str, ...]) -> dict[str, float]:
    """Pictures a second that the page paints of each layer, in a fresh app with a browser on the same machine."""
    from playwright.sync_api import sync_playwright

    rates = {}
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as cache, server(cache) as (address, _, _):
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *FAKE])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        for layer in layers:
            page.goto(f"{address}/camera?net=squeezenet1_0&weights=random&layer={layer}")
            page.wait_for_selector("img[alt$='live']", timeout=120_000)
            settled(page)
            page.frame_locator("iframe[title*='webrtc']").get_by_role("button", name="START").click()
            rates[layer] = measure_paint_rate(page)
        browser.close()
    return rates


def measure_paint_rate(page: Any) -> float:
    """Pictures a second, once the first ten are painted."""
    view = page.locator(".view")
    while int(view.get_attribute("data-frames") or 0) < 10:
        page.wait_for_timeout(100)
    before, started = int(view.get_attribute("data-frames") or 0), time.perf_counter()
    page.wait_for_timeout(1000 * IN_APP)
    return (int(view.get_attribute("data-frames") or 0) - before) / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
