"""How transferable are features? A network cut after its n-th layer, and trained on from there on another task.

Source: Yosinski, Clune, Bengio, Lipson, How transferable are features in deep neural networks?, NIPS 2014. A data set
is split into two halves of its classes, A and B. A network is trained on each. Then its first n layers are taken over,
the others start anew, and the whole is trained on B: with layers of B ("BnB", a control) or of A ("AnB") that stay as
they are, or that are fine-tuned ("BnB+", "AnB+")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.models.bundled import assets
from cnnviz.store import read_json, write_json

KINDS = ("BnB", "BnB+", "AnB", "AnB+")
BASES = ("A", "B")
SPREAD = 2.0  # standard deviations over the seeds, beyond which a mean difference is said to show
BUNDLED = "transfer-cifar10.json"


@dataclass(frozen=True, slots=True, repr=False)
class TransferStudy(Summarised):
    """Accuracies of the trainings of a study; NaN = not trained yet.

    `layers`: (L,) names of the last layer that is taken over, input side first. `seeds`: (S,). `bases`: (S, 2) accuracy
    of the networks on A and on B, each on its own half, 0..1. `accuracy`: {kind of KINDS: (S, L) accuracy on B}.
    `meta`: architecture, recipe, halves, images, command."""

    layers: tuple[str, ...]
    seeds: tuple[int, ...]
    bases: np.ndarray
    accuracy: dict[str, np.ndarray]
    meta: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def empty(cls, layers: Sequence[str], seeds: Sequence[int], meta: dict[str, Any]) -> TransferStudy:
        """A study of which nothing is trained yet."""
        shape = (len(seeds), len(layers))
        bases, values = np.full((len(seeds), 2), np.nan), {kind: np.full(shape, np.nan) for kind in KINDS}
        return cls(tuple(layers), tuple(seeds), bases, values, dict(meta))

    @property
    def complete(self) -> bool:
        """Whether every network was trained."""
        return not any(np.isnan(values).any() for values in (self.bases, *self.accuracy.values()))

    def list_open(self) -> Iterator[tuple[int, str, int]]:
        """(row of the seed, kind, column of the layer) of the trainings that are left, seed by seed; for the kinds of
        BASES the column is -1."""
        for row in range(len(self.seeds)):
            for column, base in enumerate(BASES):
                if np.isnan(self.bases[row, column]):
                    yield row, base, -1
            for column in range(len(self.layers)):
                for kind in KINDS:
                    if np.isnan(self.accuracy[kind][row, column]):
                        yield row, kind, column

    def compare(self, kind: str, other: str = "B") -> Difference:
        """Accuracy of `kind` less that of `other`, a kind or the base "B", seed by seed."""
        against = self.bases[:, 1:] if other == "B" else self.accuracy[other]
        return Difference(kind, other, self.layers, self.accuracy[kind] - against)

    @property
    def co_adaptation(self) -> Difference:
        """BnB against the base B: where it falls, the frozen layers and those above had grown together, and the upper
        ones do not find back alone (section 4.1 of the paper)."""
        return self.compare("BnB")

    @property
    def specificity(self) -> Difference:
        """AnB against BnB: what it falls further is due to features that are specific to A's classes."""
        return self.compare("AnB", "BnB")

    def save(self, path: str | Path) -> None:
        """Write the study as JSON, whole or not at all. Raises CnnvizError if the file cannot be written."""
        write_json(path, _as_plain(self))

    @classmethod
    def load(cls, path: str | Path) -> TransferStudy:
        """Inverse of `save`. Raises BadInput for a file that is missing, damaged or of another kind."""
        return _from_plain(read_json(path), path)


@dataclass(frozen=True, slots=True)
class Difference:
    """Accuracies of one kind of networks less those of another, on the same images. `values`: (S, L), NaN = unknown."""

    kind: str
    other: str
    layers: tuple[str, ...]
    values: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """(L,) over the seeds."""
        return self.values.mean(0)

    @property
    def deviation(self) -> np.ndarray:
        """(L,) standard deviation over the seeds; NaN for a single one."""
        count = len(self.values)
        return self.values.std(0, ddof=1) if count > 1 else np.full(len(self.layers), np.nan)

    @property
    def falls(self) -> list[str]:
        """Layers where the mean difference is negative, and beyond SPREAD standard deviations over the seeds."""
        return [layer for layer, shown in zip(self.layers, self.mean < -SPREAD * self.deviation, strict=True) if shown]

    @property
    def rises(self) -> list[str]:
        """Layers where the mean difference is positive, and beyond SPREAD standard deviations over the seeds."""
        return [layer for layer, shown in zip(self.layers, self.mean > SPREAD * self.deviation, strict=True) if shown]


def describe_study(study: TransferStudy) -> list[str]:
    """What the study shows and what it does not, a sentence each, computed from its accuracies."""
    found = (
        (
            "Co-adaptation",
            study.co_adaptation,
            "new upper layers do not find back to the frozen ones of their own network",
        ),
        ("Specificity", study.specificity, "features of the other classes serve worse than those of the own ones"),
    )
    lines = [_say(name, difference, meaning) for name, difference, meaning in found]
    gain = study.compare("AnB+")
    if gain.rises:
        lines.append(
            f"Fine-tuned layers of the other half (AnB+) serve better than new ones: {_list(gain, gain.rises)}."
        )
    else:
        lines.append("Fine-tuned layers of the other half (AnB+) serve better nowhere beyond the spread over seeds.")
    return lines


def _say(name: str, difference: Difference, meaning: str) -> str:
    if difference.falls:
        return f"{name} shows: {meaning}: {_list(difference, difference.falls)}."
    pair = f"{difference.kind} falls below {difference.other}"
    return f"{name} does not show: {pair} nowhere beyond the spread over seeds."


def _list(difference: Difference, layers: list[str]) -> str:
    places = [difference.layers.index(layer) for layer in layers]
    return ", ".join(
        f"{layer} {_signed(100 * difference.mean[i])} ± {100 * difference.deviation[i]:.1f} points"
        for layer, i in zip(layers, places, strict=True)
    )


def _signed(points: float) -> str:
    return f"{points:+.1f}".replace("-", "−")


def bundled_study() -> TransferStudy | None:
    """The study on CIFAR-10 that comes with cnnviz; None where it was installed without its assets."""
    path = assets() / "studies" / BUNDLED
    return TransferStudy.load(path) if path.is_file() else None


def _as_plain(study: TransferStudy) -> dict[str, Any]:
    def rows(values: np.ndarray) -> list[list[float | None]]:
        return [[None if np.isnan(v) else round(float(v), 6) for v in row] for row in values]

    return {
        "study": "transfer",
        "layers": list(study.layers),
        "seeds": list(study.seeds),
        "bases": rows(study.bases),
        "accuracy": {kind: rows(values) for kind, values in study.accuracy.items()},
        "meta": study.meta,
    }


def _from_plain(plain: Any, path: str | Path) -> TransferStudy:
    try:
        layers, seeds = tuple(map(str, plain["layers"])), tuple(map(int, plain["seeds"]))
        bases = np.array(plain["bases"], float)
        accuracy = {kind: np.array(plain["accuracy"][kind], float) for kind in KINDS}
        shapes = {values.shape for values in accuracy.values()}
        whole = (
            plain["study"] == "transfer" and shapes == {(len(seeds), len(layers))} and bases.shape == (len(seeds), 2)
        )
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise BadInput(f"{path} holds no study of transfer. Compute it again: python -m benchmarks.transfer_study.")
    return TransferStudy(layers, seeds, bases, accuracy, dict(plain.get("meta", {})))
