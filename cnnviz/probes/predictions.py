"""Prediction for one image: logits, probabilities, top classes, rank, and cross-entropy for a label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel


@dataclass(frozen=True, slots=True, repr=False)
class Prediction(Summarised):
    """The output for one image. `logits` (classes,) float64, before the softmax; `probabilities` (classes,): their
    softmax, or the logistic function of a single logit. `class_names`: one a class."""

    logits: np.ndarray
    probabilities: np.ndarray
    class_names: tuple[str, ...]

    def top(self, k: int = 5) -> list[int]:
        """The k classes with the highest logits, highest first."""
        return [int(c) for c in np.argsort(-self.logits, kind="stable")[:k]]

    def rank(self, label: int) -> int:
        """The place of a class among all, 1 for the most probable one."""
        return 1 + int((self.logits > self.logits[self.check_label(label)]).sum())

    def cross_entropy(self, label: int) -> float:
        """−log p(label) in nats: the loss of this image if `label` were its class. Finite however small p is."""
        label, highest = self.check_label(label), float(self.logits.max())
        if len(self.logits) == 1:
            return float(np.logaddexp(0.0, -self.logits[0]))
        return float(np.log(np.exp(self.logits - highest).sum()) + highest - self.logits[label])

    def check_label(self, label: int | None) -> int:
        """`label` if the network has it; None is the most probable class. Raises BadInput for another."""
        if label is None:
            return int(self.logits.argmax())
        if not 0 <= int(label) < len(self.logits):
            raise BadInput(f"The network has classes 0 to {len(self.logits) - 1}, got {label}.")
        return int(label)


def predict_image(model: LoadedModel, image: Any) -> Prediction:
    """Predict the classes of one image: RGB uint8 (H, W, 3), PIL, or a normalised tensor (C, H, W).

    Raises BadInput for several images."""
    return make_prediction(model, model.logits(prepare_image(model, image))[0])


def make_prediction(model: LoadedModel, scores: np.ndarray) -> Prediction:
    """The prediction given by the logits (classes,) of a network."""
    logits = scores.astype(np.float64)
    names = [*model.class_names[: len(logits)], *(f"class {c}" for c in range(len(model.class_names), len(logits)))]
    return Prediction(logits, model.probabilities(logits), tuple(names))


def prepare_image(model: LoadedModel, image: Any) -> Tensor:
    """(1, C, H, W) on the model's device. Raises BadInput for several images."""
    batch = model.batch(image)
    if len(batch) != 1:
        raise BadInput(f"Expected one image, got {len(batch)}. Call once for each.")
    return batch
