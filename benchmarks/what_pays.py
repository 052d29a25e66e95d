"""What each mechanism that makes cnnviz faster brings in wall time: a call as it is against the same without it.

`python -m benchmarks what_pays`; with words in the titles of the cases, `python -m benchmarks.what_pays surface`. All
in one process, alternating rounds, medians; freed memory is kept, as the command line has it.

- index: the recorded pass, all layers, over $CNNVIZ_BENCH_IMAGES (a folder), else the samples.
- surface: the recorded pass, and sums and rectifiers within convolutions; points in a row after the recording, over
  noise, which takes as long as photographs.

$CNNVIZ_BENCH_ROUNDS (3), $CNNVIZ_BENCH_COUNT (1000 images). Pretrained weights where they are cached, else random."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np

import cnnviz
from cnnviz.data.corpus import Subset
from cnnviz.heap import keep_freed_memory
from cnnviz.index.search import batch_size, search
from cnnviz.landscape.evaluate import evaluator, runner
from cnnviz.landscape.plane.directions import plane_directions
from cnnviz.models.bundled import bundled
from cnnviz.models.catalogue.registry import find
from cnnviz.models.zoo.download import cache_path, find_weights

ROUNDS, COUNT = int(os.environ.get("CNNVIZ_BENCH_ROUNDS", 3)), int(os.environ.get("CNNVIZ_BENCH_COUNT", 1000))
POINTS, NEVER, AS_IT_IS = 4, 1 << 60, "as it is"
Switch = tuple[Any, str, Any]  # what is replaced for a while: an object, the name of its attribute, its value
INDEX: dict[str, list[Switch]] = {
    AS_IT_IS: [],
    "not recorded": [(search, "PAYS", NEVER), (batch_size, "PAYS", NEVER)],
}
SURFACE: dict[str, list[Switch]] = {
    AS_IT_IS: [],
    "not recorded": [(runner, "RECORDED", NEVER)],
    "not fused": [(evaluator, "find_fusable", lambda *_: ())],
}


def main(*words: str) -> None:
    """Print the median seconds of every way, and their ratio to those of the call as it is."""
    keep_freed_memory()
    cases: dict[str, Callable[[], dict[str, Callable[[], object]]]] = {}
    for precision in ("float32", "bfloat16"):
        for name in ("squeezenet1_0", "resnet18", "googlenet_2014"):
            cases[f"index of {name}, {precision}"] = partial(index_ways, name, precision)
        for name in ("resnet20_cifar", "resnet56_cifar"):
            cases[f"surface of {name}, {precision}"] = partial(surface_ways, name, precision)
    for title, make in cases.items():
        if not words or any(word in title for word in words):
            seconds = time_ways(make())
            whole = statistics.median(seconds[AS_IT_IS])
            for way, each in seconds.items():
                middle = statistics.median(each)
                print(f"{title}, {way}: {middle:.2f} s, {middle / whole:.3f} of the time as it is", flush=True)


def time_ways(ways: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds of every way in alternating rounds, after one that does not count."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(ROUNDS + 1):
        for way, run in ways.items():
            started = time.perf_counter()
            run()
            if number:
                seconds[way].append(time.perf_counter() - started)
    return seconds


def run_with(switches: list[Switch], work: Callable[[], object]) -> object:
    """`work()` with these attributes replaced."""
    with ExitStack() as stack:
        for target, name, value in switches:
            stack.enter_context(patch.object(target, name, value))
        return work()


def index_ways(name: str, precision: str) -> dict[str, Callable[[], object]]:
    """All layers of a network over the photographs."""
    entry = find(name)
    cached = entry.pretrained is not None and cache_path(find_weights(entry).url).is_file()
    model = cnnviz.load(name, "pretrained" if cached else "random", "cpu")
    photographs = cnnviz.corpus(os.environ.get("CNNVIZ_BENCH_IMAGES", "samples"))
    corpus = Subset(photographs, [i % len(photographs) for i in range(COUNT)])
    work = partial(cnnviz.index_patches, model, corpus, precision=precision)
    return {way: partial(run_with, switches, work) for way, switches in INDEX.items()}


def surface_ways(name: str, precision: str) -> dict[str, Callable[[], object]]:
    """Points in a row of a network's surface, each way with an evaluator of its own, warm."""
    model = cnnviz.load(name, "bundled" if name in bundled() else "random", "cpu")
    images = np.random.default_rng(0).integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(COUNT) % 10
    ways: dict[str, Callable[[], object]] = {}
    for way, switches in SURFACE.items():
        work = partial(walk, model, images, labels, precision)
        plane = run_with(switches, work)
        ways[way] = partial(run_with, switches, partial(points, plane, POINTS))
    return ways


def walk(model: cnnviz.LoadedModel, images: Any, labels: Any, precision: str) -> Any:
    """A plane of the loss after so many points that its pass is recorded and trusted."""
    plane = evaluator.Evaluator(model, images, labels, precision).plane(*plane_directions(model))
    points(plane, runner.RECORDED + 3)
    return plane


def points(plane: Any, count: int) -> None:
    """So many points of a plane."""
    for step in range(count):
        plane.at(0.05 * step, 0.2)


if __name__ == "__main__":
    main(*sys.argv[1:])
