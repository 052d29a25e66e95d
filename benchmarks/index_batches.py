"""The index and a bare float32 pass at several batch sizes, alternating in one process, medians of the rounds.

Photographs: $CNNVIZ_BENCH_IMAGES (a folder), else the samples. SqueezeNet 1.0 or $CNNVIZ_BENCH_NETWORKS, all
convolutions; pretrained weights where they are cached, else random."""

import os
import statistics
import time
from collections.abc import Callable

import torch

import cnnviz
from cnnviz.models.catalogue.registry import find
from cnnviz.models.zoo.download import cache_path, find_weights

COUNT = int(os.environ.get("CNNVIZ_BENCH_COUNT", 800))
SIZES = tuple(int(size) for size in os.environ.get("CNNVIZ_BENCH_SIZES", "4 8 16 32").split())
ROUNDS = int(os.environ.get("CNNVIZ_BENCH_ROUNDS", 3))


def main() -> None:
    """Print images a second and the ratio for each network and size."""
    for name in os.environ.get("CNNVIZ_BENCH_NETWORKS", "squeezenet1_0").split():
        compare(name)


def compare(name: str) -> None:
    """One network."""
    architecture = find(name)
    here = architecture.pretrained is not None and cache_path(find_weights(architecture).url).is_file()
    model = cnnviz.load(name, "pretrained" if here else "random", "cpu")
    corpus = cnnviz.corpus(os.environ.get("CNNVIZ_BENCH_IMAGES", "samples"), COUNT)
    layers = model.layers("conv")
    ready = torch.randn(min(256, len(corpus)), *model.input_size).contiguous(memory_format=torch.channels_last)

    def bare(size: int) -> None:
        with torch.inference_mode():
            for part in ready.split(size):
                model.module(part)

    rates: dict[tuple[str, int], list[float]] = {}
    for _ in range(ROUNDS):
        for size in SIZES:
            for way, count, work in (
                ("index", len(corpus), lambda size=size: cnnviz.index_patches(model, corpus, layers, batch=size)),
                ("bare", len(ready), lambda size=size: bare(size)),
            ):
                rates.setdefault((way, size), []).append(count / _seconds(work))
    print(f"{name}: {len(corpus)} images of {corpus.name}, {len(layers)} layers, {torch.get_num_threads()} threads")
    fastest = max(statistics.median(rates["bare", size]) for size in SIZES)
    for size in SIZES:
        index, forward = (statistics.median(rates[way, size]) for way in ("index", "bare"))
        print(
            f"batch {size:3}: index {index:6.1f}, bare pass {forward:6.1f} images/s, ratio {index / forward:.2f}; "
            f"{index / fastest:.2f} of the fastest bare pass"
        )


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
