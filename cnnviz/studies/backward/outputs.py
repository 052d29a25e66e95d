"""Output units with their losses: softmax, sigmoid and linear, and the gradient of each by the scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from cnnviz.display import Summarised
from cnnviz.errors import BadInput

KINDS = ("softmax", "sigmoid", "linear")


@dataclass(frozen=True, slots=True, repr=False)
class OutputLoss(Summarised):
    """One example. (K,) float64: `scores` z; `outputs` ŷ; `target` y, 1 at the class and 0 elsewhere; `terms` of the
    loss, which is their sum, in nats for cross-entropies; `gradient` ∂L/∂z. `error`: the largest difference between
    `gradient` and what autograd finds."""

    kind: str
    scores: np.ndarray
    outputs: np.ndarray
    target: np.ndarray
    terms: np.ndarray
    gradient: np.ndarray
    error: float

    @property
    def loss(self) -> float:
        return float(self.terms.sum())


def output_loss(scores: np.ndarray, label: int, kind: str = "softmax", temperature: float = 1.0) -> OutputLoss:
    """Output and loss of scores (K,) for the class `label`; z / `temperature` enters the output unit.

    - "softmax": ŷ = softmax(z/T), L = −Σ y log ŷ = −log ŷ_label, ∂L/∂z = (ŷ − y)/T;
    - "sigmoid": ŷ = σ(z/T) for each class, L = −Σ [y log ŷ + (1 − y) log(1 − ŷ)], ∂L/∂z = (ŷ − y)/T;
    - "linear": ŷ = z/T, L = ½ Σ (ŷ − y)², ∂L/∂z = (ŷ − y)/T.
    Raises BadInput for another kind, a label that is no class, or a temperature that is not above 0.
    Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, section 6.2.2."""
    z = np.asarray(scores, np.float64)
    if kind not in KINDS or z.ndim != 1 or not np.isfinite(z).all():
        raise BadInput(f"Expected scores (K,) and one of {', '.join(KINDS)}, got shape {z.shape} and {kind!r}.")
    if not 0 <= label < len(z) or not temperature > 0:
        raise BadInput(f"label is 0 to {len(z) - 1} and the temperature above 0, got {label} and {temperature:g}.")
    target, a = np.eye(len(z))[label], z / temperature
    if kind == "softmax":
        log = a - np.logaddexp.reduce(a)
        outputs, terms = np.exp(log), np.where(target > 0, -log, 0.0)
    elif kind == "sigmoid":
        outputs = np.exp(-np.logaddexp(0.0, -a))
        terms = np.logaddexp(0.0, np.where(target > 0, -a, a))
    else:
        outputs, terms = a, (a - target) ** 2 / 2
    gradient = (outputs - target) / temperature
    error = float(np.abs(gradient - _autograd(z, label, kind, temperature)).max())
    return OutputLoss(kind, z, outputs, target, terms, gradient, error)


def _autograd(z: np.ndarray, label: int, kind: str, temperature: float) -> np.ndarray:
    """The gradient by PyTorch's own losses."""
    with torch.inference_mode(False), torch.enable_grad():
        leaf = torch.tensor(z, requires_grad=True)
        a, target = leaf / temperature, torch.zeros(len(z), dtype=torch.float64)
        target[label] = 1.0
        if kind == "softmax":
            loss = F.cross_entropy(a[None], torch.tensor([label]))
        elif kind == "sigmoid":
            loss = F.binary_cross_entropy_with_logits(a, target, reduction="sum")
        else:
            loss = F.mse_loss(a, target, reduction="sum") / 2
        (found,) = torch.autograd.grad(loss, leaf)
    return found.numpy()
