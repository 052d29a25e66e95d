"""Convergence of filters: how near each layer is to its final filters at every kept moment of a training, and which
layers arrive early, computed and put into words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.errors import BadInput
from cnnviz.progress import StudyWatcher, Ticker
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.training.record.result import RecordedRun

LEVELS = (0.9, 0.5)  # of the cosine: the first at which the layers differ is told


@dataclass(frozen=True, slots=True)
class Convergence:
    """Cosine between the filters of a layer at each kept moment and the same filters at the last one.

    `layers`: (L,) names, in the network's order; `filters`: (L,) how many each has. `steps`: (T,) ascending. `mean`,
    `low`, `high`: (T, L) mean, first and third quartile over a layer's filters, -1 to 1, without those that are 0 or no
    number; NaN where none is left."""

    layers: tuple[str, ...]
    filters: np.ndarray
    steps: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def find_arrivals(self, level: float) -> np.ndarray:
        """(L,) the row of the first kept moment from which on the mean cosine of a layer stays at `level` or above."""
        below = ~(self.mean >= level)
        return np.where(below.any(0), len(self.steps) - np.argmax(below[::-1], axis=0), 0)


def measure_convergence(
    snapshots: Mapping[int, Path], order: Sequence[str] = (), progress: StudyWatcher | None = None
) -> Convergence:
    """Compare each kept moment of a training with its last. `snapshots`: {step: file}, read one at a time. `order`: the
    names of the network's tensors, in its order; what it does not name comes last, by name.

    A filter is what one output channel sees: a row of a weight tensor of two or more axes, flattened. Of transposed
    convolutions, whose first axis counts inputs, it is what one input channel writes. Batch norm rescales whatever
    comes in, so that the direction is what a filter looks for, and its length says little.
    Raises BadInput for fewer than two moments, moments of different networks, and files that cannot be read."""
    steps = sorted(snapshots)
    if len(steps) < 2:
        raise BadInput(
            f"Weights are kept of {plural(len(steps), 'moment')} of this training; to compare, two are needed."
        )
    ticker = Ticker(len(steps), progress)
    final = {name: _normalise(rows) for name, rows in _read_filters(snapshots[steps[-1]]).items()}
    if not final:
        raise BadInput("This network has no layer with filters: no tensor of its weights has two axes or more.")
    names, found = _sort(final, order), []
    for step in steps:
        rows = _read_filters(snapshots[step])
        if {name: one.shape for name, one in rows.items()} != {name: one.shape for name, one in final.items()}:
            raise BadInput(
                f"The weights of step {step:,} are of another network than those of step {steps[-1]:,}: their tensors "
                "differ."
            )
        found.append([_summarise(rows[name], final[name]) for name in names])
        ticker.tick("moments")
    mean, low, high = np.moveaxis(np.array(found, float), 2, 0)
    layers = tuple(name.removesuffix(".weight") for name in names)
    counts = np.array([len(final[name]) for name in names])
    return Convergence(layers, counts, np.array(steps), mean, low, high)


def _read_filters(path: Path) -> dict[str, np.ndarray]:
    """{tensor: (filters, weights of each) float32} of a file."""
    from cnnviz.models.checkpoint.read import read_weights

    tensors = read_weights(path).tensors
    kept = {name: tensor for name, tensor in tensors.items() if tensor.ndim > 1 and tensor.is_floating_point()}
    return {name: tensor.float().numpy().reshape(len(tensor), -1) for name, tensor in kept.items()}


def _normalise(rows: np.ndarray) -> np.ndarray:
    """Each row with length 1; NaN where it has no direction."""
    wide = rows.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        unit: np.ndarray = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    return unit


def _summarise(rows: np.ndarray, final: np.ndarray) -> tuple[float, float, float]:
    """Mean and quartiles of the cosines, row by row."""
    with np.errstate(invalid="ignore"):
        cosines = (_normalise(rows) * final).sum(1)
    known = cosines[np.isfinite(cosines)]
    if not known.size:
        return (float("nan"),) * 3
    low, high = np.percentile(known, [25, 75])
    return float(known.mean()), float(low), float(high)


def _sort(names: Iterable[str], order: Sequence[str]) -> list[str]:
    places = {name: place for place, name in enumerate(order)}

    def key(name: str) -> tuple[int, list[tuple[int, str]]]:
        parts = re.split(r"([0-9]+)", name)
        return places.get(name, len(places)), [(int(part), "") if part.isdigit() else (-1, part) for part in parts]

    return sorted(names, key=key)


def find_layer_order(run: RecordedRun) -> list[str]:
    """The names of a run's tensors in the network's order, as far as it tells or its network is known; else []."""
    told = run.about.get("tensors")
    if isinstance(told, dict):
        return list(told)
    import torch

    from cnnviz.models.catalogue.registry import build, is_known

    if not run.architecture or not is_known(run.architecture):
        return []
    with torch.device("meta"):
        return list(build(run.architecture).state_dict())


def describe_convergence(found: Convergence, name: Callable[[int], str]) -> list[str]:
    """What the cosines show, a sentence each, computed from them alone: how near the layers are early on, which arrives
    first and last, and whether an order shows. `name(step)`: "epoch 3"."""
    known = np.flatnonzero(np.isfinite(found.mean).all(0))
    if not len(known):
        return ["No layer has filters with a direction at every moment: its weights are 0, or no numbers."]
    layers, mean = [found.layers[place] for place in known], found.mean[:, known]
    early = min(1, len(found.steps) - 2)  # the first after the start
    lines = [_tell_early(layers, mean[early], name(int(found.steps[early])))]
    if len(known) > 1:
        lines += _tell_arrivals(found, known, name)
    return lines


def _tell_early(layers: list[str], row: np.ndarray, when: str) -> str:
    if len(layers) < 3:
        told = ", ".join(f"`{layer}` {value:.2f}" for layer, value in zip(layers, row, strict=True))
        return f"Cosine to the final filters, {when}: {told}."
    parts = np.array_split(row[1:], 2)
    return (
        f"Cosine to the final filters, {when}: `{layers[0]}` {row[0]:.2f}; the nearer half of the other layers "
        f"{parts[0].mean():.2f}, the deeper half {parts[1].mean():.2f} on average."
    )


def _tell_arrivals(found: Convergence, known: np.ndarray, name: Callable[[int], str]) -> list[str]:
    """Which layer is there first and which last, at the highest level where that differs, and whether depth decides."""
    for level in LEVELS:
        rows = found.find_arrivals(level)[known]
        if rows.min() == rows.max():
            continue
        exact = _place_arrivals(found.mean[:, known], level)
        first, last = int(np.argmin(exact)), int(np.argmax(exact))
        words = [name(int(found.steps[rows[place]])) for place in (first, last)]
        told = (
            f"From {level:g} on a layer is said to have arrived: `{found.layers[known[first]]}` is the first, at "
            f"{words[0]}; `{found.layers[known[last]]}` the last, at {words[1]}."
        )
        return [told, *_tell_order(exact)]
    rows = found.find_arrivals(LEVELS[0])[known]
    if not rows[0]:
        return [f"All layers are at {LEVELS[0]:g} or above from the first kept moment on: none has far to go."]
    when = name(int(found.steps[rows[0]]))
    return [f"All layers come to {LEVELS[0]:g} at the same kept moment, {when}: none is seen to arrive earlier."]


def _place_arrivals(mean: np.ndarray, level: float) -> np.ndarray:
    """(L,) in kept moments, with parts: where the straight line between two of them comes up to `level` for good."""
    below = ~(mean >= level)
    after = np.where(below.any(0), len(mean) - np.argmax(below[::-1], axis=0), 0)
    found = np.zeros(mean.shape[1])
    for layer, row in enumerate(after):
        if row:
            low, high = mean[row - 1, layer], mean[row, layer]
            found[layer] = row - 1 + (level - low) / (high - low)
    return found


def _tell_order(arrivals: np.ndarray) -> list[str]:
    """Whether layers arrive in the order of depth: a rank correlation, which shows where it is beyond two standard
    deviations of what chance gives, 1 / sqrt(L - 1). Of fewer than five layers nothing could be said."""
    count = len(arrivals)
    if count < 5:
        return []
    value, bound = correlate_ranks(np.arange(count), arrivals), 2 / np.sqrt(count - 1)
    told = f"rank correlation of depth and arrival {value:+.2f}".replace("-", "−")
    if abs(value) < bound - 1e-9:
        return [f"No order of depth shows over {plural(count, 'layer')}: {told}, by chance within ±{bound:.2f}."]
    which = "The layers near the image arrive before the deep ones" if value > 0 else "The deep layers arrive first"
    return [f"{which}, over {plural(count, 'layer')}: {told} (by chance within ±{bound:.2f})."]


def correlate_ranks(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation, -1 to 1; equal values share the mean of their ranks."""
    return float(np.corrcoef(_rank(first), _rank(second))[0, 1])


def _rank(values: np.ndarray) -> np.ndarray:
    _unique, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: np.ndarray = (ends - (counts - 1) / 2)[place]
    return ranks
