"""Recorded trainings of small networks on random images, made in a moment."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import cnnviz
from cnnviz.models.catalogue.registry import build

LENET = {"architecture": "lenet5", "classes": [f"digit {n}" for n in range(10)]}
STEPS = 4  # of an epoch


class Stranger(nn.Module):
    """(N, 3, 8, 8) → 4 logits; neither of the catalogue nor a chain: two branches are multiplied."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.head = nn.Conv2d(3, 6, 3), nn.Conv2d(3, 6, 3), nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head((self.left(x) * self.right(x)).mean((2, 3)))


def record_run(
    folder: Path,
    losses: list[float] | None = None,
    module: nn.Module | None = None,
    about: dict[str, Any] | None = None,
    seed: int = 0,
    snapshots: int = 24,
) -> list[dict[str, torch.Tensor]]:
    """Train for an epoch of STEPS steps for each of `losses`, which are recorded as test losses; returns the weights
    before the first epoch and after each. `module`: LeNet-5 if None."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = build("lenet5", 10) if module is None else module
        images = torch.randn(8, *((1, 28, 28) if module is None else (3, 8, 8)))
        labels = torch.arange(8) % 4
        told = LENET if module is None and about is None else about
        optimiser = torch.optim.SGD(net.parameters(), 0.05)
        states = [copy(net)]
        with cnnviz.record(folder, net, every=2, about=told, snapshots=snapshots) as run:
            for loss in losses or [0.9, 0.4, 0.6]:
                for _ in range(STEPS):
                    optimiser.zero_grad()
                    found = F.cross_entropy(net(images), labels)
                    found.backward()
                    optimiser.step()
                    run.step(loss=found, accuracy=0.5, lr=0.05)
                run.epoch(test_loss=loss, test_accuracy=1 - loss)
                states.append(copy(net))
    return states


def copy(net: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}


def write_bare_run(folder: Path, about: dict[str, Any] | None = None, **files: str) -> Path:
    """A folder with run.json and lines as they are given, e.g. steps='{"step": 1}'."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps({"layers": ["a", "b"], "tensors": {}} | (about or {})))
    for name, text in files.items():
        (folder / f"{name}.jsonl").write_text(text)
    return folder


def equal_halves(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    """Whether weights are those of `expected` in float16."""
    return all(np.array_equal(found[name].numpy(), tensor.half().float().numpy()) for name, tensor in expected.items())
