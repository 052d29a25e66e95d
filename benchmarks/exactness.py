"""The index against a brute-force float32 search, channel by channel, and winners replayed.

All convolutions of SqueezeNet 1.0 on all photographs, of three more networks on 200: $CNNVIZ_BENCH_IMAGES (a folder),
else the samples; $CNNVIZ_BENCH_NETWORKS names other networks. The brute force runs one image at a time and keeps every
maximum; same images but for ties, values to 1e-4 relative."""

import os

import numpy as np

import cnnviz
from cnnviz.index.result import PatchIndex
from cnnviz.models.catalogue.registry import find
from cnnviz.models.zoo.download import cache_path, find_weights

TIE = 1e-5  # relative difference up to which two images count as equally strong
REPLAYED = 400  # winners checked by a fresh forward pass
FEWER = 200  # images for all but the first network


def main() -> None:
    """Print, for every network, how many channels agree and the largest differences."""
    named = os.environ.get("CNNVIZ_BENCH_NETWORKS", "squeezenet1_0 densenet121 inception_v3 resnet56_cifar")
    for name in named.split():
        model = cnnviz.load(name, "pretrained" if is_downloaded(name) else "random", "cpu")
        limit = None if name == "squeezenet1_0" else FEWER
        corpus = cnnviz.corpus(os.environ.get("CNNVIZ_BENCH_IMAGES", "samples"), limit)
        layers = model.layers("conv")
        every = search_by_brute_force(model, corpus, layers)
        print(f"{name}, {model.origin} weights: {len(corpus)} images of {corpus.name}, {len(layers)} layers")
        auto = cnnviz.index_patches(model, corpus, layers)
        print(f"  auto: {compare(auto, every)}; {REPLAYED} winners replayed: {replay(model, corpus, auto):.1e}")


def is_downloaded(name: str) -> bool:
    """True where the public weights of a network are here."""
    architecture = find(name)
    return architecture.pretrained is not None and cache_path(find_weights(architecture).url).is_file()


def compare(index: PatchIndex, every: dict[str, np.ndarray]) -> str:
    """In words: channels with other winners than the brute force, ties apart, and the largest difference."""
    channels, wrong, worst = 0, 0, 0.0
    for layer in index.layers:
        for channel in range(index.channels(layer)):
            values = every[layer][:, channel]
            best = np.argsort(-values, kind="stable")[:9]
            top = index.top(layer, channel)
            scale = max(float(np.abs(values[best]).max()), 1e-30)  # deep random networks fade
            found = np.array([w.value for w in top])
            worst = max(worst, float(np.abs(found - values[best]).max()) / scale)
            # the same image, or one whose own maximum is equal within the tolerance: a tie
            same = [
                w.image == b or abs(values[w.image] - values[b]) <= TIE * scale for w, b in zip(top, best, strict=True)
            ]
            channels, wrong = channels + 1, wrong + (not all(same))
    return f"{wrong} of {channels} channels differ, values by {worst:.1e} (relative)"


def search_by_brute_force(model: cnnviz.LoadedModel, corpus: object, layers: list[str]) -> dict[str, np.ndarray]:
    """{layer: (images, channels)} maximum of every map of every image."""
    every: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
    for i in range(len(corpus)):  # type: ignore[arg-type]
        for layer, maps in cnnviz.capture(model, corpus.image(i), layers).items():  # type: ignore[attr-defined]
            every[layer].append(maps[0].max(axis=(1, 2)))
    return {layer: np.stack(values) for layer, values in every.items()}


def replay(model: cnnviz.LoadedModel, corpus: object, index: cnnviz.PatchIndex) -> float:
    """Largest relative difference between stored values and a fresh pass at the stored position."""
    grain, worst = np.random.default_rng(0), 0.0
    for _ in range(REPLAYED):
        layer = index.layers[grain.integers(len(index.layers))]
        channel = int(grain.integers(index.channels(layer)))
        top = index.top(layer, channel)
        winner = top[grain.integers(len(top))]
        maps = cnnviz.capture(model, corpus.image(winner.image), layer)[layer][0]  # type: ignore[attr-defined]
        worst = max(
            worst, abs(float(maps[channel, winner.row, winner.col]) - winner.value) / max(abs(winner.value), 1e-30)
        )
    return worst


if __name__ == "__main__":
    main()
