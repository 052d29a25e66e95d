"""The index and a bare float32 pass at several batch sizes, alternating in one process, best of the rounds.

Photographs: $CNNVIZ_BENCH_IMAGES (a folder), else the samples. SqueezeNet 1.0, all 26 convolutions."""

import os
import time
from collections.abc import Callable

import torch

import cnnviz
from cnnviz.models.pretrained import cache_path, entry
from cnnviz.models.registry import find

COUNT, ROUNDS, SIZES = int(os.environ.get("CNNVIZ_BENCH_COUNT", 800)), 2, (4, 8, 16, 32)


def main() -> None:
    """Print images a second and the ratio for each size."""
    here = cache_path(entry(find("squeezenet1_0")).url).is_file()
    model = cnnviz.load("squeezenet1_0", "pretrained" if here else "random", "cpu")
    corpus = cnnviz.corpus(os.environ.get("CNNVIZ_BENCH_IMAGES", "samples"), COUNT)
    layers = model.layers("conv")
    ready = torch.randn(256, *model.input_size).contiguous(memory_format=torch.channels_last)

    def bare(size: int) -> None:
        with torch.inference_mode():
            for part in ready.split(size):
                model.module(part)

    best: dict[tuple[str, int], float] = {}
    for _ in range(ROUNDS):
        for size in SIZES:
            for name, count, work in (
                ("index", len(corpus), lambda size=size: cnnviz.index_patches(model, corpus, layers, batch=size)),
                ("bare", len(ready), lambda size=size: bare(size)),
            ):
                best[name, size] = max(best.get((name, size), 0.0), count / _seconds(work))
    print(f"{len(corpus)} images of {corpus.name}, {torch.get_num_threads()} threads")
    for size in SIZES:
        index, forward = best["index", size], best["bare", size]
        print(f"batch {size:3}: index {index:6.1f}, bare pass {forward:6.1f} images/s, ratio {index / forward:.2f}")


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
