"""The index against a brute-force float32 search, channel by channel, and every winner replayed.

SqueezeNet 1.0, all 26 convolutions. Photographs: $CNNVIZ_BENCH_IMAGES (a folder), else the samples. The brute
force runs one image at a time and keeps every maximum; same images but for ties, values to 1e-4 relative."""

import os

import numpy as np

import cnnviz
from cnnviz.models.pretrained import cache_path, entry
from cnnviz.models.registry import find

TOLERANCE = 1e-4
REPLAYED = 400  # winners checked by a fresh forward pass


def main() -> None:
    """Print how many channels agree and the largest differences."""
    here = cache_path(entry(find("squeezenet1_0")).url).is_file()
    model = cnnviz.load("squeezenet1_0", "pretrained" if here else "random", "cpu")
    corpus = cnnviz.corpus(os.environ.get("CNNVIZ_BENCH_IMAGES", "samples"))
    layers = model.layers("conv")
    index = cnnviz.index_patches(model, corpus, layers)
    every = brute_force(model, corpus, layers)
    channels, wrong, worst = 0, 0, 0.0
    for layer in layers:
        for channel in range(index.channels(layer)):
            values = every[layer][:, channel]
            best = np.argsort(-values, kind="stable")[:9]
            top = index.top(layer, channel)
            scale = max(float(np.abs(values[best]).max()), 1.0)
            found = np.array([w.value for w in top])
            worst = max(worst, float(np.abs(found - values[best]).max()) / scale)
            # the same image, or one whose own maximum is equal within the tolerance: a tie
            same = [
                w.image == b or abs(values[w.image] - values[b]) <= TOLERANCE * scale
                for w, b in zip(top, best, strict=True)
            ]
            channels, wrong = channels + 1, wrong + (not all(same))
    print(f"{len(corpus)} images of {corpus.name}, {len(layers)} layers, {channels} channels")
    print(f"channels whose winners differ: {wrong}; largest relative difference of a value: {worst:.1e}")
    print(f"largest relative difference of {REPLAYED} winners replayed: {replayed(model, corpus, index):.1e}")


def brute_force(model: cnnviz.LoadedModel, corpus: object, layers: list[str]) -> dict[str, np.ndarray]:
    """{layer: (images, channels)} maximum of every map of every image."""
    every: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
    for i in range(len(corpus)):  # type: ignore[arg-type]
        for layer, maps in cnnviz.capture(model, corpus.image(i), layers).items():  # type: ignore[attr-defined]
            every[layer].append(maps[0].max(axis=(1, 2)))
    return {layer: np.stack(values) for layer, values in every.items()}


def replayed(model: cnnviz.LoadedModel, corpus: object, index: cnnviz.PatchIndex) -> float:
    """Largest relative difference between stored values and a fresh pass at the stored position."""
    grain, worst = np.random.default_rng(0), 0.0
    for _ in range(REPLAYED):
        layer = index.layers[grain.integers(len(index.layers))]
        channel = int(grain.integers(index.channels(layer)))
        top = index.top(layer, channel)
        winner = top[grain.integers(len(top))]
        maps = cnnviz.capture(model, corpus.image(winner.image), layer)[layer][0]  # type: ignore[attr-defined]
        worst = max(
            worst, abs(float(maps[channel, winner.row, winner.col]) - winner.value) / max(abs(winner.value), 1.0)
        )
    return worst


if __name__ == "__main__":
    main()
