"""Indexing against a bare forward pass over ready tensors, and against a plain hooks-and-topk loop.

The bare pass is run at 32 images a batch and at the size that is fastest here, which the index uses too.

All in one process, alternating, median of the rounds. Photographs: $CNNVIZ_BENCH_IMAGES (a folder), else the
samples. SqueezeNet 1.0, all 26 convolutions; pretrained weights where they are cached, else random.
CNNVIZ_BENCH_KEEP=1: freed memory stays with the process for every side, as `cnnviz index` has it; without, the
system clears the large feature maps of every pass anew, as in a notebook or the app, which costs the bare pass most."""

import copy
import os
import statistics
import time
from collections.abc import Callable

import torch

import cnnviz
from cnnviz.heap import keep_freed_memory
from cnnviz.index.search.batch_size import choose_batch_size
from cnnviz.models.catalogue.registry import find
from cnnviz.models.zoo.download import cache_path, find_weights

BARE, BARE_BFLOAT16 = (f"bare {precision} channels_last, 32 a batch" for precision in ("float32", "bfloat16"))
COUNT, BATCH, ROUNDS = int(os.environ.get("CNNVIZ_BENCH_COUNT", 400)), 32, 5


def main() -> None:
    """Print images a second and ratios."""
    kept = os.environ.get("CNNVIZ_BENCH_KEEP") == "1" and keep_freed_memory()
    here = cache_path(find_weights(find("squeezenet1_0")).url).is_file()
    model = cnnviz.load("squeezenet1_0", "pretrained" if here else "random", "cpu")
    corpus = cnnviz.corpus(os.environ.get("CNNVIZ_BENCH_IMAGES", "samples"), COUNT)
    layers = model.layers("conv")
    ready = torch.stack([model.preprocess(corpus.image(i)) for i in range(len(corpus))])
    fast = ready.contiguous(memory_format=torch.channels_last)

    plain = copy.deepcopy(model.module).to(memory_format=torch.contiguous_format)
    size = choose_batch_size(model)

    def bare(module: torch.nn.Module, batch: torch.Tensor, size: int = BATCH, fast: bool = False) -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=fast):
            for part in batch.split(size):
                module(part)

    def indexed(precision: str) -> None:
        cnnviz.index_patches(model, corpus, layers, precision=precision)

    def naive() -> None:
        search_naively(model, corpus, layers)

    ways: dict[str, Callable[[], object]] = {
        "bare float32 pass, 32 a batch": lambda: bare(plain, ready),
        BARE: lambda: bare(model.module, fast),
        f"bare float32 channels_last, {size} a batch": lambda: bare(model.module, fast, size),
        BARE_BFLOAT16: lambda: bare(model.module, fast, BATCH, True),
        "cnnviz index float32, decoding included": lambda: indexed("float32"),
        "cnnviz index bfloat16, decoding included": lambda: indexed("bfloat16"),
        "hooks and topk on one image at a time": naive,
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, work in ways.items():
            started = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - started)
    print(
        f"{len(corpus)} images of {corpus.name}, {len(layers)} convolutions, {torch.get_num_threads()} threads,"
        f" freed memory is {'kept' if kept else 'given back'}"
    )
    for name, seconds in times.items():
        middle, own = statistics.median(seconds), BARE_BFLOAT16 if "bfloat16" in name else BARE
        share = statistics.median(times[own]) / middle
        print(f"{name:42} {len(corpus) / middle:7.1f} images/s   {share:5.2f} of the {own}")


def search_naively(model: cnnviz.LoadedModel, corpus: object, layers: list[str], k: int = 9) -> None:
    """What one would write in a notebook: capture all, keep the maxima, sort at the end."""
    best: dict[str, list[torch.Tensor]] = {layer: [] for layer in layers}
    for i in range(len(corpus)):  # type: ignore[arg-type]
        for layer, maps in cnnviz.capture(model, corpus.image(i), layers).items():  # type: ignore[attr-defined]
            best[layer].append(torch.from_numpy(maps[0]).flatten(1).max(1).values)
    for values in best.values():
        torch.stack(values).topk(min(k, len(values)), dim=0)


if __name__ == "__main__":
    main()
