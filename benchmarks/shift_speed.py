"""What a shift costs: one step for a page that shows two maps, and the whole map of 17×17 shifts.

ResNet-20 (CIFAR-10) at 32×32, SqueezeNet 1.0 at 224×224 and both maps of one layer, medians of the rounds; weights may
be random, the work is the same. A page has to draw as well: its target is 400 ms and 1 s, click to painted."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

import cnnviz
from cnnviz.studies.consistency import wobble
from cnnviz.studies.equivariance import equivariance, equivariance_map

ROUNDS = 7
LAYERS = {"resnet20_cifar": ("conv1", "layer3.2"), "squeezenet1_0": ("features.0", "features.12")}


def main() -> None:
    """Print milliseconds."""
    photo = cnnviz.corpus("samples").image(0)
    print(f"{torch.get_num_threads()} threads")
    for name, layers in LAYERS.items():
        model = cnnviz.load(name, "bundled" if name == "resnet20_cifar" else "random", "cpu")
        for layer in layers:
            for padding in ("native", "circular"):
                step = timed(lambda i, m=model, at=layer, p=padding: equivariance(m, photo, (i, 2 * i), at, p))
                print(f"{name} {layer}, {padding}: one shift {step:.0f} ms")
        curve = timed(
            lambda _, m=model, at=layers[1]: equivariance(m, photo, [(0, d) for d in range(17)], at, maps=False)
        )
        answers = timed(lambda _, m=model: wobble(m, photo, [(0, d) for d in range(17)]))
        print(f"{name}: errors of {layers[1]} over 17 shifts {curve:.0f} ms, answers to 17 shifts {answers:.0f} ms")
    model = cnnviz.load("resnet20_cifar", "bundled", "cpu")
    whole = timed(lambda _: equivariance_map(model, photo, "layer3.2", 8), 3)
    print(f"resnet20_cifar layer3.2: all 17×17 shifts {whole / 1000:.2f} s")


def timed(work: Callable[[int], object], rounds: int = ROUNDS) -> float:
    """Median in milliseconds, the first call not counted."""
    seconds = []
    for i in range(rounds + 1):
        started = time.perf_counter()
        work(i)
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds[1:])


if __name__ == "__main__":
    main()
