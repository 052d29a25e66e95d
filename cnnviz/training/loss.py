"""The loss: cross-entropy, of networks that end in a sigmoid the binary one; label smoothing, auxiliary classifiers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor

from cnnviz.errors import BadInput
from cnnviz.models.output import LOG_SIGMOID, SIGMOID, to_logits

AUXILIARY_WEIGHT = 0.3  # of each auxiliary loss, Szegedy et al., CVPR 2015, section 5; see `auxiliary_weight`


def main_logits(output: Any) -> Tensor:
    """The logits (N, classes) that count: a network's output, or the first tensor of its tuple.

    Raises BadInput if there is none."""
    return _logits(output)[0]


def total_loss(
    output: Any,
    labels: Tensor,
    label_smoothing: float = 0.0,
    auxiliary_weight: float = AUXILIARY_WEIGHT,
    ending: str = "",
) -> Tensor:
    """Mean `cross_entropy` in nats of the main logits, plus `auxiliary_weight` times that of each other.

    `output`: logits (N, classes), or a tuple of them, also nested, named or with None: the main logits
    first, as GoogLeNet's auxiliary heads and the companions of deeply supervised nets. `labels`: (N,)
    class numbers. `ending`: of networks that give probabilities, see `models.output.find_ending`. Computed in float32.
    Raises BadInput for an output of another form."""
    parts = (to_logits(part.float(), ending) for part in _logits(output))
    main, *others = (cross_entropy(part, labels, ending, label_smoothing, "mean") for part in parts)
    return main + auxiliary_weight * sum(others) if others else main


def is_binary(outputs: int, ending: str) -> bool:
    """Whether each of several outputs is a question of its own, since the network ends in a sigmoid."""
    return outputs > 1 and ending in (SIGMOID, LOG_SIGMOID)


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    ending: str = "",
    label_smoothing: float = 0.0,
    reduction: Literal["none", "mean", "sum"] = "none",
) -> Tensor:
    """(N,) −log p(label) in nats, of logits (N, classes), or their mean or sum; of a single logit that of the answer
    "yes", label 1, or "no", label 0. Of a network that ends in a sigmoid the binary cross-entropy, mean over the
    classes, of "yes" for the label and "no" for all others: its outputs are no distribution over the classes.

    `label_smoothing`: the share of the target that is spread evenly over all classes."""
    classes = logits.shape[1]
    if classes > 1 and not is_binary(classes, ending):
        return F.cross_entropy(logits, labels, label_smoothing=label_smoothing, reduction=reduction)
    answers = F.one_hot(labels, classes) if classes > 1 else labels[:, None]
    targets = answers.to(logits.dtype) * (1 - label_smoothing) + label_smoothing / max(classes, 2)
    losses = F.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(1)
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()


def _logits(output: Any) -> list[Tensor]:
    found = list(_tensors(output))
    shapes = [tuple(tensor.shape) for tensor in found]
    if not found or len(shapes[0]) != 2 or len(set(shapes)) > 1:
        given = f"tensors of shapes {shapes}" if found else type(output).__name__
        raise BadInput(
            f"Training needs logits of shape (N, classes), or a tuple of such tensors with the main ones first; "
            f"the network returned {given}."
        )
    return found


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, tuple | list):
        for part in output:
            yield from _tensors(part)
