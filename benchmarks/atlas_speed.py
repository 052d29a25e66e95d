"""What the server does for a wall of feature maps: processor time and bytes of the atlas and of the mosaic.

The layers are those of networks of 224 pixels; the values are smooth and half of them 0, as behind a ReLU."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from cnnviz.figures.base.atlas import maps_atlas
from cnnviz.figures.base.mosaic import maps_mosaic

LAYERS = {
    "conv1_2 of VGG-16": (64, 224, 224),
    "conv1 of ResNet": (64, 112, 112),
    "fire2 of SqueezeNet 1.0": (128, 54, 54),
    "fire9 of SqueezeNet 1.0": (512, 13, 13),
    "layer4 of ResNet-50": (2048, 7, 7),
}


def main(rounds: int = 5) -> None:
    """Print one line a layer."""
    for name, shape in LAYERS.items():
        maps = draw_maps(*shape)
        atlas, mosaic = maps_atlas(maps), maps_mosaic(maps)
        print(
            f"{name:24} {shape[0]:5} × {shape[1]} × {shape[2]}, a pixel for {atlas.block}×{atlas.block}: "
            f"atlas {measure(partial(maps_atlas, maps), rounds):6.1f} ms, {len(atlas.png) / 1000:6.0f} kB; "
            f"mosaic {measure(partial(maps_mosaic, maps), rounds):6.1f} ms, {len(mosaic.png) / 1000:6.0f} kB"
        )


def draw_maps(channels: int, height: int, width: int) -> np.ndarray:
    """Noise (C, H, W), averaged over 3×3 units, without its negative half."""
    noise = np.random.default_rng(0).normal(size=(channels, height + 2, width + 2)).astype(np.float32)
    shifted = [noise[:, row : row + height, col : col + width] for row in range(3) for col in range(3)]
    return np.maximum(sum(shifted), 0)


def measure(work: Callable[[], object], rounds: int) -> float:
    """Milliseconds of processor time, median."""
    times = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        times.append(1000 * (time.process_time() - began))
    return statistics.median(times)


if __name__ == "__main__":
    main()
