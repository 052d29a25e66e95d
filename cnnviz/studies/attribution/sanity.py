"""Sanity checks of attribution maps: the same map from randomised weights, and its rank correlation."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import nn

from cnnviz.attribution.attribute import Attribution, attribute
from cnnviz.display import Summarised
from cnnviz.models.model import LoadedModel
from cnnviz.probes.classifier import list_weighted_layers, trace_completion_order
from cnnviz.probes.predictions import predict_image, prepare_image
from cnnviz.progress import StudyWatcher, Ticker

POINTS = 12  # of a cascade at most


@dataclass(frozen=True, slots=True)
class SanityCheck:
    """One attribution from the trained and from the randomised network. `correlation`: Spearman's rank correlation
    of both maps; `absolute`: of their magnitudes, as signs may turn at random. NaN where a map is constant."""

    trained: Attribution
    random: Attribution
    correlation: float
    absolute: float


@dataclass(frozen=True, slots=True, repr=False)
class Cascade(Summarised):
    """The same attribution while layers are randomised one after another from the top. `layers` (K,): how far down
    each is randomised, "" for none; `found` (K,): the attributions; `correlation`, `absolute` (K,): with the first."""

    layers: tuple[str, ...]
    found: tuple[Attribution, ...]
    correlation: np.ndarray
    absolute: np.ndarray


def sanity_check(
    model: LoadedModel, image: Any, method: str, target: int | None = None, seed: int = 0, **options: Any
) -> SanityCheck:
    """`method` for one image with trained and with random weights, for the same class: the trained network's
    prediction unless `target` is given. `options`: of `attribute.attribute`, whose errors it raises.
    Source: Adebayo et al., NeurIPS 2018 (arXiv:1810.03292), section 3."""
    trained = attribute(model, image, target, method, **options)
    random = attribute(randomise(model, seed=seed), image, trained.target, method, **options)
    return SanityCheck(trained, random, *_correlate(trained, random))


def cascade(
    model: LoadedModel,
    image: Any,
    method: str,
    target: int | None = None,
    seed: int = 0,
    points: int = POINTS,
    progress: StudyWatcher | None = None,
    **options: Any,
) -> Cascade:
    """The cascading randomisation of Adebayo et al. 2018, section 3.1: from the classifier down to the first layer.

    Of a network with more layers than `points` − 1, evenly chosen depths are shown. `progress(Progress)` returns
    False to stop. Raises as `sanity_check` does, and Cancelled."""
    batch = prepare_image(model, image)
    target = predict_image(model, batch).check_label(target)
    down = list_weighted_layers(model)[::-1]
    shown = sorted(set(np.linspace(0, len(down), min(points, len(down) + 1)).round().astype(int).tolist()))
    ticker, found = Ticker(len(shown), progress), []
    for count in shown:
        weights = randomise(model, down[:count], seed) if count else model
        found.append(attribute(weights, batch, target, method, **options))
        ticker.tick("depths")
    alike = np.array([_correlate(found[0], one) for one in found])
    names = tuple("" if not count else down[count - 1] for count in shown)
    return Cascade(names, tuple(found), alike[:, 0], alike[:, 1])


def randomise(model: LoadedModel, layers: Sequence[str] | None = None, seed: int = 0) -> LoadedModel:
    """A copy of the model with fresh weights in these convolutions and linear layers, and in the norms that follow
    each of them; None: in all. The model itself is not changed.

    Kernels and matrices are drawn from N(0, 2 / fan-in) (He et al. 2015, arXiv:1502.01852), biases are 0, norms are
    as before training. A layer's values depend on `seed` and its name alone, so that cascades are nested."""
    with model.lock:
        module = deepcopy(model.module)
    chosen = None if layers is None else set(layers)
    modules, weighted, fresh = dict(module.named_modules()), set(list_weighted_layers(model)), chosen is None
    with torch.no_grad():
        for name, _shape in trace_completion_order(model):
            if name in weighted:
                fresh = chosen is None or name in chosen
            if fresh:
                _renew(modules[name], _generator(seed, name))
    names = list(model.class_names)
    return LoadedModel(module, model.name, model.preprocessing, names, model.device, origin="random", known=model.known)


def _generator(seed: int, name: str) -> torch.Generator:
    mixed = int.from_bytes(name.encode("utf-8"), "little") % (2**31 - 1)
    return torch.Generator().manual_seed(seed * 2**31 + mixed)


def _renew(module: nn.Module, generator: torch.Generator) -> None:
    """Fresh values for the parameters that are the module's own."""
    own = dict(module.named_parameters(recurse=False))
    if hasattr(module, "running_mean") or isinstance(module, nn.LayerNorm | nn.GroupNorm):
        reset: Any = module.reset_parameters
        reset()  # draws nothing
        return
    for name, values in own.items():
        if values.ndim >= 2:
            spread = (2 / prod(values.shape[1:])) ** 0.5
            values.copy_(torch.randn(values.shape, generator=generator) * spread)
        elif name == "bias":
            values.zero_()


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's ρ of two arrays of one shape: the correlation of their ranks, ties at their mean rank; −1 … 1, NaN
    if either is constant."""
    ranks = [_ranks(np.asarray(values, np.float64).ravel()) for values in (first, second)]
    a, b = (r - r.mean() for r in ranks)
    norm = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / norm) if norm > 0 else float("nan")


def _ranks(values: np.ndarray) -> np.ndarray:
    """1 … n, equal values at the mean of their places."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    return (last - (counts - 1) / 2)[places.ravel()]


def _correlate(first: Attribution, second: Attribution) -> tuple[float, float]:
    maps = first.map, second.map
    return rank_correlation(*maps), rank_correlation(*(np.abs(m) for m in maps))
