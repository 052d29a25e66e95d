"""Indexing against zennit-crp's FeatureVisualization and a plain hooks-and-topk loop, alternating in one process.

SqueezeNet 1.0, all 26 convolutions, decoding included on both sides, medians of the rounds. Photographs:
$CNNVIZ_BENCH_IMAGES (a folder), else the samples. The rival is slow: it gets the first $CNNVIZ_BENCH_RIVAL images
(64), cnnviz all of $CNNVIZ_BENCH_COUNT. Needs `pip install zennit-crp` (extra "bench")."""

from __future__ import annotations

import contextlib
import copy
import io
import os
import statistics
import sys
import tempfile
import time
from typing import Any

import torch
from torch.utils.data import Dataset

import cnnviz
from benchmarks.index_speed import search_naively
from cnnviz.data.corpus import Corpus, Subset
from cnnviz.models.catalogue.registry import find
from cnnviz.models.zoo.download import cache_path, find_weights

COUNT = int(os.environ.get("CNNVIZ_BENCH_COUNT", 1000))
FEW, ROUNDS = int(os.environ.get("CNNVIZ_BENCH_RIVAL", 64)), int(os.environ.get("CNNVIZ_BENCH_ROUNDS", 5))


class Photographs(Dataset):
    """(image, class) pairs, as the rival wants them; the class is the one that the network answers."""

    def __init__(self, model: cnnviz.LoadedModel, corpus: Corpus) -> None:
        self.model, self.corpus = model, corpus
        self.classes = [int(model.predict(corpus.image(i)).argmax()) for i in range(len(corpus))]

    def __len__(self) -> int:
        return len(self.corpus)

    def __getitem__(self, position: int) -> tuple[torch.Tensor, int]:
        return self.model.preprocess(self.corpus.image(position)), self.classes[position]


def main() -> None:
    """Print images a second and how many times faster cnnviz is."""
    try:
        import crp.visualization  # noqa: F401
    except ImportError:
        sys.exit("This benchmark compares with zennit-crp: pip install zennit-crp")
    here = cache_path(find_weights(find("squeezenet1_0")).url).is_file()
    model = cnnviz.load("squeezenet1_0", "pretrained" if here else "random", "cpu")
    corpus = cnnviz.corpus(os.environ.get("CNNVIZ_BENCH_IMAGES", "samples"), COUNT)
    layers, few = model.layers("conv"), Subset(corpus, list(range(min(FEW, len(corpus)))))
    photographs = Photographs(model, few)
    ways = {
        "cnnviz float32": (len(corpus), lambda: cnnviz.index_patches(model, corpus, layers, precision="float32")),
        "cnnviz bfloat16": (len(corpus), lambda: cnnviz.index_patches(model, corpus, layers, precision="bfloat16")),
        "hooks and topk, one image at a time": (len(few), lambda: search_naively(model, few, layers)),
        "zennit-crp, 32 images a batch": (len(few), lambda: run_rival(model, photographs, layers)),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, (count, work) in ways.items():
            started = time.perf_counter()
            work()
            rates[name].append(count / (time.perf_counter() - started))
    slow = statistics.median(rates["zennit-crp, 32 images a batch"])
    print(f"{len(corpus)} images of {corpus.name}, {len(layers)} convolutions, {torch.get_num_threads()} threads")
    for name, found in rates.items():
        middle = statistics.median(found)
        print(f"{name:36} {middle:7.1f} images/s   {middle / slow:6.1f} x zennit-crp")


def run_rival(model: cnnviz.LoadedModel, photographs: Photographs, layers: list[str]) -> Any:
    """The pass that zennit-crp's tutorial makes: relevance and activation maxima of every channel."""
    from crp.attribution import CondAttribution
    from crp.concepts import ChannelConcept
    from crp.visualization import FeatureVisualization
    from zennit.composites import EpsilonPlusFlat

    module = copy.deepcopy(model.module).requires_grad_(True)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        with contextlib.redirect_stderr(io.StringIO()):
            concepts = {layer: ChannelConcept() for layer in layers}
            attribution = CondAttribution(module, device=torch.device("cpu"))
            seen = FeatureVisualization(attribution, photographs, concepts, path=folder)
            return seen.run(EpsilonPlusFlat(), 0, len(photographs), batch_size=32)


if __name__ == "__main__":
    main()
