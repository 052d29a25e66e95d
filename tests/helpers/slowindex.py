"""An index run that takes its time, to be killed: python slowindex.py OUT THREADS SECONDS_PER_IMAGE."""

import sys
import time
from pathlib import Path

import numpy as np
import torch
from nets import Functional, tiny
from torch import nn

from cnnviz.data.corpus import MemoryCorpus
from cnnviz.index.result import PatchIndex
from cnnviz.index.search import build
from cnnviz.index.search import run as search_run
from cnnviz.models.model import LoadedModel


class SlowCorpus(MemoryCorpus):
    """Sleeps before each image; its fingerprint is that of the same images without sleep."""

    seconds = 0.0

    def _read(self, index, side):
        time.sleep(self.seconds)
        return super()._read(index, side)


def noise(count: int, size: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def memory(pixels) -> MemoryCorpus:
    return SlowCorpus("noise", [f"n/{i:03d}" for i in range(len(pixels))], pixels)


def branching() -> LoadedModel:
    """Convolutions, an in-place ReLU, a pool and two branches that meet."""
    torch.manual_seed(0)
    net = Functional(
        lambda n, x: n.c(torch.cat([n.b(n.pool(n.relu(n.a(x)))), n.pool(x)], 1)),
        a=nn.Conv2d(3, 6, 3, padding=1),
        relu=nn.ReLU(inplace=True),
        pool=nn.MaxPool2d(2),
        b=nn.Conv2d(6, 5, 3, padding=1),
        c=nn.Conv2d(8, 7, 3),
    )
    return tiny(net, (12, 12))


def run(out: Path | None, corpus: MemoryCorpus, **more) -> PatchIndex:
    return build.index_patches(branching(), corpus, ["a", "relu", "b", "c"], k=3, out=out, batch=4, **more)


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[2]))
    SlowCorpus.seconds = float(sys.argv[3])
    search_run.FIRST_SAVE = search_run.SAVE_EVERY = 0.0
    run(Path(sys.argv[1]), memory(noise(60)))
