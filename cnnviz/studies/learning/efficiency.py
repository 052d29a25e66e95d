"""Inductive bias: how many images a dense network needs, and how many one with convolutions.

Both are trained on the same few images of each class, by the same recipe and for as many steps, and measured on the
same test images as they are and moved by some pixels. What differs is the wiring: convolutions assume that what
matters is local and may be anywhere. Source of the question: Goodfellow, Bengio, Courville, Deep Learning, 2016,
section 9.4."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.device import doubled
from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.models.bundled import assets
from cnnviz.store import read_json, write_json
from cnnviz.wording import plural

if TYPE_CHECKING:
    import torch

BUNDLED = "efficiency-mnist.json"
STEPS, BATCH, RATE, MOMENTUM, DECAY = 600, 64, 0.02, 0.9, 5e-4
SHIFT = 3  # pixels that test images are moved by, to every side
AS_THEY_ARE, MOVED = "as they are", "moved"


@dataclass(frozen=True, slots=True, repr=False)
class EfficiencyStudy(Summarised):
    """Accuracies over the number of training images. `networks`: names, with their `parameters`. `counts`: (K,) images
    of each class. `seeds`: (S,). `accuracy`: {network: (2, S, K) accuracy, 0..1, on test images as they are and moved};
    NaN = not trained yet. `meta`: data, recipe, command."""

    networks: tuple[str, ...]
    parameters: tuple[int, ...]
    counts: tuple[int, ...]
    seeds: tuple[int, ...]
    accuracy: dict[str, np.ndarray]
    meta: dict[str, Any] = field(default_factory=dict)

    def save(self, path: str | Path) -> None:
        """Write it as JSON. Raises CnnvizError if the file cannot be written."""
        plain = {name: getattr(self, name) for name in ("networks", "parameters", "counts", "seeds", "meta")}
        values = {name: [_plain(part) for part in parts] for name, parts in self.accuracy.items()}
        write_json(path, {"study": "efficiency", **plain, "accuracy": values})

    @classmethod
    def load(cls, path: str | Path) -> EfficiencyStudy:
        """Inverse of `save`. Raises BadInput for a file that is missing, damaged or of another kind."""
        plain = read_json(path)
        try:
            names = tuple(map(str, plain["networks"]))
            counts, seeds = tuple(map(int, plain["counts"])), tuple(map(int, plain["seeds"]))
            values = {name: np.array(plain["accuracy"][name], float) for name in names}
            whole = plain["study"] == "efficiency" and bool(names)
            whole = whole and all(part.shape == (2, len(seeds), len(counts)) for part in values.values())
            found = cls(names, tuple(map(int, plain["parameters"])), counts, seeds, values, dict(plain.get("meta", {})))
        except (KeyError, TypeError, ValueError):
            whole = False
        if not whole:
            raise BadInput(f"{path} holds no study of efficiency. Compute it: python -m benchmarks.sample_efficiency.")
        return found


def _plain(table: np.ndarray) -> list[list[float | None]]:
    return [[round(float(value), 5) if math.isfinite(value) else None for value in row] for row in table]


def bundled_efficiency() -> EfficiencyStudy | None:
    """The study on MNIST that comes with cnnviz; None where it was installed without its assets."""
    path = assets() / "studies" / BUNDLED
    return EfficiencyStudy.load(path) if path.is_file() else None


def draw_images(labels: np.ndarray, per_class: int, seed: int) -> np.ndarray:
    """Places of `per_class` random images of each class; a larger number holds those of a smaller one.

    Raises BadInput where a class has fewer."""
    generator, places = np.random.default_rng(seed), []
    for number in np.unique(labels):
        own = generator.permutation(np.flatnonzero(labels == number))
        if len(own) < per_class:
            raise BadInput(f"Class {number} has {plural(len(own), 'image')}; {per_class} were asked for.")
        places.append(own[:per_class])
    return np.concatenate(places)


def move_images(images: torch.Tensor, seed: int) -> torch.Tensor:
    """(N, C, H, W), each moved by up to SHIFT pixels along either axis, at random; the border is continued."""
    import torch
    from torch.nn import functional

    generator = np.random.default_rng(seed)
    around = functional.pad(images, (SHIFT,) * 4, mode="replicate")
    height, width = images.shape[2:]
    places = generator.integers(0, 2 * SHIFT + 1, (len(images), 2))
    moved = [
        one[:, top : top + height, left : left + width]
        for one, (top, left) in zip(around, places.tolist(), strict=True)
    ]
    return torch.stack(moved)


def train_once(
    architecture: str, images: torch.Tensor, labels: torch.Tensor, seed: int, steps: int = STEPS
) -> torch.nn.Module:
    """`architecture` after `steps` steps of SGD with a cosine schedule on all of `images` (N, C, H, W), normalised."""
    import torch
    from torch.nn import functional

    from cnnviz.models.catalogue.registry import build

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build(architecture, int(labels.max()) + 1).train()
        optimiser = torch.optim.SGD(network.parameters(), RATE, MOMENTUM, weight_decay=DECAY, nesterov=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(steps):
            chosen = torch.randint(len(images), (min(BATCH, len(images)),))
            loss = functional.cross_entropy(network(images[chosen]), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


def measure_accuracy(network: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of right answers, 0..1."""
    import torch

    with torch.inference_mode():
        parts = [network(part).argmax(1) for part in images.split(500)]
    return float(doubled(torch.cat(parts) == labels).mean())


def run_efficiency(
    study: EfficiencyStudy,
    training: tuple[torch.Tensor, torch.Tensor],
    test: tuple[torch.Tensor, torch.Tensor],
    watch: Callable[[str, int, int], None] | None = None,
    steps: int = STEPS,
) -> None:
    """Train what a study lacks, and write it into its tables; `watch(network, seed, images of each class)` follows.

    `training`, `test`: normalised images (N, C, H, W) float32 and labels (N,). Raises BadInput as `draw_images`."""
    for row, seed in enumerate(study.seeds):
        moved = move_images(test[0], seed)
        for column, count in enumerate(study.counts):
            chosen = draw_images(training[1].numpy(), count, seed)
            for name in study.networks:
                if np.isnan(study.accuracy[name][:, row, column]).any():
                    network = train_once(name, training[0][chosen], training[1][chosen], seed, steps)
                    for part, images in enumerate((test[0], moved)):
                        study.accuracy[name][part, row, column] = measure_accuracy(network, images, test[1])
                    if watch is not None:
                        watch(name, seed, count)


def describe_efficiency(study: EfficiencyStudy) -> list[str]:
    """A line a network: its mean accuracy from the fewest and from the most images, and on moved ones."""
    lines = []
    for name, parameters in zip(study.networks, study.parameters, strict=True):
        usual, moved = study.accuracy[name].mean(1)
        lines.append(
            f"{name} ({plural(parameters, 'parameter')}): {usual[0]:.1%} from {study.counts[0]} of each class, "
            f"{usual[-1]:.1%} from {study.counts[-1]}; moved by up to {SHIFT} pixels {moved[-1]:.1%}"
        )
    return lines


def empty_study(
    networks: Sequence[str], counts: Sequence[int], seeds: Sequence[int], meta: dict[str, Any]
) -> EfficiencyStudy:
    """A study of which nothing is trained yet. Raises UnknownName for a network that the catalogue has not."""
    import torch

    from cnnviz.models.catalogue.registry import build

    with torch.device("meta"):
        sizes = [sum(p.numel() for p in build(name).parameters()) for name in networks]
    values = {name: np.full((2, len(seeds), len(counts)), np.nan) for name in networks}
    return EfficiencyStudy(tuple(networks), tuple(sizes), tuple(counts), tuple(seeds), values, dict(meta))
