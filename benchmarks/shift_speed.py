"""What a shift costs: one step for a page that shows two maps, and the whole map of 17×17 shifts.

ResNet-20 (CIFAR-10) at 32×32, SqueezeNet 1.0 at 224×224 and both maps of one layer, medians of the rounds; weights may
be random, the work is the same. A page has to draw as well: its target is 400 ms and 1 s, click to painted, which is
measured in Chromium where it is installed, and 10 s for the map, click to the last of its cells."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from PIL.Image import Image

import cnnviz
from benchmarks.browser import CHROMIUM, FLAGS, painted, server, settled
from cnnviz.studies.equivariance.consistency import measure_wobble
from cnnviz.studies.equivariance.shift import equivariance, equivariance_map

ROUNDS = 7
WEIGHTS = {"resnet20_cifar": "bundled", "squeezenet1_0": "random"}
LAYERS = {"resnet20_cifar": ("conv1", "layer3.2"), "squeezenet1_0": ("features.0", "features.12")}


def main() -> None:
    """Print milliseconds."""
    photo = cnnviz.corpus("samples").image(0)
    print(f"{torch.get_num_threads()} threads")
    for name, layers in LAYERS.items():
        model = cnnviz.load(name, WEIGHTS[name], "cpu")
        for layer in layers:
            for padding in ("native", "circular"):
                step = time_median(partial(shift_once, model, photo, layer, padding))
                print(f"{name} {layer}, {padding}: one shift {step:.0f} ms")
        curve = time_median(partial(shift_often, model, photo, layers[1]))
        answers = time_median(partial(predict_often, model, photo))
        print(f"{name}: errors of {layers[1]} over 17 shifts {curve:.0f} ms, answers to 17 shifts {answers:.0f} ms")
    model = cnnviz.load("resnet20_cifar", "bundled", "cpu")
    whole = time_median(lambda _: equivariance_map(model, photo, "layer3.2", 8), 3)
    print(f"resnet20_cifar layer3.2: all 17×17 shifts {whole / 1000:.2f} s")
    if Path(CHROMIUM).is_file():
        measure_in_app()


def shift_once(model: cnnviz.LoadedModel, photo: Image, layer: str, padding: str, number: int) -> None:
    """Both maps of one layer under a shift that is another each time."""
    equivariance(model, photo, (number, 2 * number), layer, padding)


def shift_often(model: cnnviz.LoadedModel, photo: Image, layer: str, _number: int) -> None:
    """The errors of one layer over 17 shifts."""
    equivariance(model, photo, [(0, cols) for cols in range(17)], layer, maps=False)


def predict_often(model: cnnviz.LoadedModel, photo: Image, _number: int) -> None:
    """The predictions under 17 shifts."""
    measure_wobble(model, photo, [(0, cols) for cols in range(17)])


def measure_in_app() -> None:
    """Steps of the shift, click to painted, and the whole map of one layer."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver, tempfile.TemporaryDirectory() as cache, server(cache) as (address, _log, _start):
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        for name, wanted in (("resnet20_cifar", 400), ("squeezenet1_0", 1000)):
            page.goto(f"{address}/equivariance?net={name}&weights={WEIGHTS[name]}")
            page.wait_for_selector("img[alt^='Shift of']", timeout=120_000)
            settled(page)
            more = page.locator("[data-testid=stNumberInput]").filter(has_text="Right").locator("button").last
            steps = []
            for _ in range(ROUNDS + 1):
                page.wait_for_timeout(1500)
                settled(page)
                steps.append(painted(page, "Shift of", more.click))
            print(
                f"{name}: a step of the shift, click to painted {statistics.median(steps[1:]):.0f} ms, worst "
                f"{max(steps[1:]):.0f} ms (wanted: {wanted} ms)"
            )
        page.goto(f"{address}/equivariance?view=Map&layer=layer3.2")
        started = time.perf_counter()
        page.wait_for_selector("[aria-label^='Error of layer3.2 over']", timeout=120_000)
        page.wait_for_selector("[data-testid=stProgress]", state="detached", timeout=120_000)
        print(
            f"resnet20_cifar layer3.2: the map of 17×17 in the app {time.perf_counter() - started:.1f} s after its "
            "page was asked for (wanted: 10 s)"
        )
        browser.close()


def time_median(work: Callable[[int], object], rounds: int = ROUNDS) -> float:
    """Median in milliseconds, the first call not counted."""
    seconds = []
    for i in range(rounds + 1):
        started = time.perf_counter()
        work(i)
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds[1:])


if __name__ == "__main__":
    main()
