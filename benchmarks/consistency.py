"""Consistency and P(top-1 changes) over photographs, by the library and by a plain script that shares no code with it.

SqueezeNet 1.0 or $CNNVIZ_BENCH_NETWORKS, pretrained where cached, else random. Photographs: $CNNVIZ_BENCH_IMAGES (a
folder), else the samples; $CNNVIZ_BENCH_COUNT of them (1000). Beside it what was published, and the same network with
blur-pooling put into it afterwards, without training."""

from __future__ import annotations

import os
import time

import numpy as np
import torch
from PIL import Image

import cnnviz
from cnnviz.models.catalogue.registry import find
from cnnviz.models.zoo.download import cache_path, find_weights
from cnnviz.studies.equivariance.blurpool import add_blur_pooling
from cnnviz.studies.equivariance.consistency import crop_offsets, measure_consistency
from cnnviz.studies.equivariance.published import published_consistency

COUNT = int(os.environ.get("CNNVIZ_BENCH_COUNT", 1000))
LARGE, SIDE = 256, 224
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def main() -> None:
    """Print both measurements for each network."""
    corpus = cnnviz.corpus(os.environ.get("CNNVIZ_BENCH_IMAGES", "samples"), COUNT)
    for name in os.environ.get("CNNVIZ_BENCH_NETWORKS", "squeezenet1_0").split():
        architecture = find(name)
        here = architecture.pretrained is not None and cache_path(find_weights(architecture).url).is_file()
        model = cnnviz.load(name, "pretrained" if here else "random", "cpu")
        started = time.perf_counter()
        found = measure_consistency(model, corpus)
        seconds = time.perf_counter() - started
        print(f"{name}, {model.origin} weights, {len(found.ids)} images of {corpus.name}, {seconds:.0f} s")
        print_figures("library", found.consistency, found.change, found.mean_change)
        print_figures("script ", *measure_by_script(model.module, corpus))
        for size in (3, 5):
            soft = measure_consistency(add_blur_pooling(model, size), corpus)
            print_figures(f"blurred {size}×{size}, not trained so", soft.consistency, soft.change, soft.mean_change)
        if published := published_consistency(name):
            print(f"  published for the validation set: {published.consistency:.2f} % ({published.source})")


def print_figures(who: str, agree: float, changed: float, difference: float) -> None:
    """One line of figures."""
    print(f"  {who}: consistency {agree:.2%}, P(top-1 changes) {changed:.2%}, mean absolute change {difference:.4f}")


def measure_by_script(module: torch.nn.Module, corpus: object) -> tuple[float, float, float]:
    """The same figures, written down as one would in a notebook."""
    agree, changed, differences = [], [], []
    for i, places in enumerate(crop_offsets(len(corpus), 0, LARGE - SIDE)):  # type: ignore[arg-type]
        photo = corpus.image(i).convert("RGB")  # type: ignore[attr-defined]
        short = min(photo.size)
        photo = photo.resize(
            [LARGE if side == short else int(LARGE * side / short) for side in photo.size], Image.Resampling.BILINEAR
        )
        left, top = (round((side - LARGE) / 2) for side in photo.size)
        pixels = (np.asarray(photo)[top : top + LARGE, left : left + LARGE] / 255 - MEAN) / STD
        crops = np.stack([pixels[r : r + SIDE, c : c + SIDE] for r, c in places]).transpose(0, 3, 1, 2)
        with torch.no_grad():
            scores = module(torch.from_numpy(crops).float()).softmax(1).numpy()
        best = scores.argmax(1)
        agree.append(best[0] == best[1])
        changed.append(best[2] != best[3])
        differences.append(abs(scores[3, best[2]] - scores[2, best[2]]))
    return float(np.mean(agree)), float(np.mean(changed)), float(np.mean(differences))


if __name__ == "__main__":
    main()
