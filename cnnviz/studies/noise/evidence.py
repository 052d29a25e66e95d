"""Redundant evidence: what every feature adds to an answer, and what is left of it when dropout takes features away."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel
from cnnviz.probes.classifier import capture_top_features, find_classifier


@dataclass(frozen=True, slots=True, repr=False)
class ClassEvidence(Summarised):
    """What speaks for one class against another. `added` (D,): what each feature adds to the difference of their
    scores, (w_a − w_b) · x; `bias`: of the difference; `first`, `second`: numbers of the classes."""

    added: np.ndarray
    bias: float
    first: int
    second: int

    @property
    def margin(self) -> float:
        """Score of the first class less that of the second."""
        return float(self.added.sum() + self.bias)

    def under(self, keep: np.ndarray, rate: float) -> np.ndarray:
        """(T,) the margin under masks `keep` (T, D) of dropout: features that stay count 1 / (1 − rate)."""
        return np.asarray(keep @ self.added / (1 - rate) + self.bias)

    def spread(self, rate: float) -> float:
        """Standard deviation of the margin over all masks: √(rate / (1 − rate) · Σ added²)."""
        return float(math.sqrt(rate / (1 - rate) * (self.added**2).sum()))


def collect_evidence(model: LoadedModel, image: Any) -> ClassEvidence:
    """The evidence for the most probable class against the next, from the features that enter the classifier; maps that
    a convolution classifies are averaged first, as global pooling does behind it.

    `image`: as for `LoadedModel.batch`, one. Raises BadInput for a classifier that is neither linear nor a 1×1
    convolution, for one output, and where something behind the classifier reorders its classes."""
    name = find_classifier(model)
    head = dict(model.module.named_modules())[name]
    weight = getattr(head, "weight", None)
    if not isinstance(head, nn.Linear | nn.Conv2d) or weight is None or weight[0, 0].numel() > 1:
        raise BadInput(f"{model.name} ends in {type(head).__name__} {name!r}: its answer is no sum over features.")
    if getattr(head, "groups", 1) > 1 or len(weight) < 2:
        raise BadInput(f"{model.name} gives one score, or scores from groups of channels: nothing to set apart.")
    features = capture_top_features(model, image)[0].double().cpu().numpy()
    matrix = weight.detach().flatten(1).double().cpu().numpy()
    if len(features) != matrix.shape[1]:
        raise BadInput(f"The classifier of {model.name} reads {matrix.shape[1]} of {len(features)} features a place.")
    biases = np.zeros(len(matrix)) if head.bias is None else head.bias.detach().double().cpu().numpy()
    order = np.argsort(-(matrix @ features + biases), kind="stable")
    first, second = int(order[0]), int(order[1])
    difference = matrix[first] - matrix[second]
    return ClassEvidence(difference * features, float(biases[first] - biases[second]), first, second)


def draw_keeps(features: int, rate: float, masks: int, seed: int = 0) -> np.ndarray:
    """(masks, features) bool: True where a feature stays, with probability 1 − rate. Raises BadInput for a rate
    outside 0 < rate < 1."""
    if not 0 < rate < 1:
        raise BadInput(f"The rate is the share of features dropped, above 0 and below 1, got {rate}.")
    return np.random.default_rng(seed).random((masks, features)) >= rate
