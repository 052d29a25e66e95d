"""The index in float32 and in bfloat16 on a synthetic corpus of small images: speed and agreement.

ResNet-20 (CIFAR-10, bundled weights), the last convolution of each stage, k = 9, up to $CNNVIZ_BENCH_COUNT images
(50,000) of coarse to fine noise whose contrast varies as that of photographs does. One run each, in turn, timed
by the clock and by the processor, which is what counts on a busy machine."""

import os
import time

import numpy as np

import cnnviz
from cnnviz.data.corpus import MemoryCorpus
from cnnviz.index.result import PatchIndex

COUNT = int(os.environ.get("CNNVIZ_BENCH_COUNT", 50_000))
PARTS = (10, 4, 2, 1)  # a tenth, a quarter, half and all of the images
SIDE = 32


def main() -> None:
    """Print images a second, and how the winners of bfloat16 differ from float32's."""
    model = cnnviz.load("resnet20_cifar", "bundled", "cpu")
    layers = [f"layer{stage}.2.conv2" for stage in (1, 2, 3)]
    every = make_pictures(COUNT)
    warm = MemoryCorpus("warm", [str(i) for i in range(64)], every[:64])
    for precision in ("float32", "bfloat16"):
        cnnviz.index_patches(model, warm, layers, precision=precision)
    for count in (COUNT // part for part in PARTS):
        corpus = MemoryCorpus("synthetic", [str(i) for i in range(count)], every[:count])
        found, speed, work = dict[str, PatchIndex](), dict[str, float](), dict[str, float]()
        for precision in ("float32", "bfloat16"):
            started, busy = time.perf_counter(), time.process_time()
            found[precision] = cnnviz.index_patches(model, corpus, layers, precision=precision)
            speed[precision] = count / (time.perf_counter() - started)
            work[precision] = (time.process_time() - busy) / count
        rates = ", ".join(f"{name} {rate:.0f} ({rate / speed['float32']:.2f})" for name, rate in speed.items())
        print(f"{count} images, images/s (of float32): {rates}")
        print("  processor, ms an image: " + ", ".join(f"{name} {1000 * each:.2f}" for name, each in work.items()))
        agreed = found["bfloat16"].meta["agreement"]
        print(f"  bfloat16: {describe_difference(found['float32'], found['bfloat16'])}; its own account: {agreed}")


def make_pictures(count: int) -> np.ndarray:
    """(count, 32, 32, 3) uint8: noise of 2 to 32 cells a side, contrasts spread log-normally, gray offsets."""
    grain = np.random.default_rng(0)
    found = np.empty((count, SIDE, SIDE, 3), np.uint8)
    for picture in found:
        cells = int(grain.choice([2, 4, 8, 16, 32]))
        noise = np.kron(grain.normal(size=(cells, cells, 3)), np.ones((SIDE // cells, SIDE // cells, 1)))
        picture[:] = np.clip(noise * grain.lognormal(3.0, 0.8) + grain.uniform(60, 200, size=3), 0, 255)
    return found


def describe_difference(exact: PatchIndex, other: PatchIndex) -> str:
    """In words: (channel, image) pairs that the other has not, and the largest difference of a value."""
    missing = sum(
        len(set(one.tolist()) - set(two.tolist()))
        for layer, top in exact.tops.items()
        for one, two in zip(top.images, other.tops[layer].images, strict=True)
    )
    worst = max(float(np.abs(top.values - other.tops[layer].values).max()) for layer, top in exact.tops.items())
    total = sum(top.images.size for top in exact.tops.values())
    return f"{missing} of {total} winners are missing, values differ by {worst:.1e} at most"


if __name__ == "__main__":
    main()
