"""What recording costs a training: steps of ResNet-20 on CIFAR-sized images with and without `cnnviz.record`, in turns.

`python -m benchmarks.record_overhead --rounds 7 --steps 100`: medians of the seconds a step, and their ratio."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

import cnnviz


def train(steps: int, folder: Path | None, every: int, batch: int) -> float:
    """Seconds a step, with the run recorded in `folder`, or not."""
    net = cnnviz.build("resnet20_cifar").train()
    optimiser = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
    images, labels = torch.randn(batch, 3, 32, 32), torch.randint(0, 10, (batch,))
    manager: Any = nullcontext() if folder is None else cnnviz.record(folder, net, every=every)
    with manager as run:
        started = time.perf_counter()
        for _ in range(steps):
            optimiser.zero_grad()
            loss = F.cross_entropy(net(images), labels)
            loss.backward()
            optimiser.step()
            if run is not None:
                run.step(loss=loss, lr=0.01)
        return (time.perf_counter() - started) / steps


def main() -> None:
    """Measure in alternating rounds and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--batch", type=int, default=128)
    asked = parser.parse_args()
    plain, recorded = [], []
    with tempfile.TemporaryDirectory() as folder:
        train(3, None, asked.every, asked.batch)
        for turn in range(asked.rounds):
            plain.append(train(asked.steps, None, asked.every, asked.batch))
            recorded.append(train(asked.steps, Path(folder) / str(turn), asked.every, asked.batch))
    without, with_it = statistics.median(plain), statistics.median(recorded)
    print(f"a step without {1000 * without:.1f} ms, recorded {1000 * with_it:.1f} ms: {with_it / without:.3f} times")


if __name__ == "__main__":
    main()
