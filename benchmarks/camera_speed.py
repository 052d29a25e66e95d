"""Frames a second of the live camera, without a camera: frames are fed to the class that draws them.

SqueezeNet 1.0 with 64 maps of one layer and the five most probable classes, two threads; weights may be random, the
work is the same. A source of 30 frames a second of 640×480, of which the newest is drawn; the class itself stops at
ten pictures a second. Then the same without that bound, which tells what there is to spare."""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch

import cnnviz
from app import live_view
from app.live_view import LiveView, Shown, Wish

THREADS, SOURCE, SECONDS = 2, 30.0, 6.0
LAYERS = ("features.3.expand3x3", "features.7.squeeze", "features.12")


def main() -> None:
    """Print frames a second."""
    torch.set_num_threads(THREADS)
    model = cnnviz.load("squeezenet1_0", "random", "cpu")
    bound = live_view.PACE
    for layer in LAYERS:
        paced, took = measured(Wish(model, layer))
        live_view.PACE = 0.0
        free, _ = measured(Wish(model, layer))
        live_view.PACE = bound
        print(f"squeezenet1_0 {layer:20} {paced:5.1f} frames/s, {took:4.0f} ms each, without the bound {free:5.1f} "
              "(wanted: 5)")  # fmt: skip


def measured(wish: Wish) -> tuple[float, float]:
    """(pictures a second, median milliseconds of one) while frames come in at SOURCE a second."""
    frames = np.random.default_rng(0).integers(0, 256, (8, 480, 640, 3), dtype=np.uint8)
    live, seen = LiveView(), {}
    live.wish(wish)
    started = time.perf_counter()
    for number in range(int(SECONDS * SOURCE)):
        live.offer(lambda number=number: frames[number % len(frames)])
        time.sleep(max(0.0, started + (number + 1) / SOURCE - time.perf_counter()))
        note(live.shown, seen)
    return len(seen) / (time.perf_counter() - started), 1000 * statistics.median(seen.values())


def note(shown: Shown | None, seen: dict[int, float]) -> None:
    """Remember the seconds of a picture that is new."""
    if shown is not None:
        seen[shown.number] = shown.seconds


if __name__ == "__main__":
    main()
