"""Training loss: cross-entropy with label smoothing, and auxiliary classifiers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from cnnviz.errors import BadInput
from cnnviz.models.output import to_logits

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
    """Mean cross-entropy in nats of the main logits, plus `auxiliary_weight` times that of each other.

    `output`: logits (N, classes), or a tuple of them, also nested, named or with None: the main logits
    first, as GoogLeNet's auxiliary heads and the companions of deeply supervised nets. `labels`: (N,)
    class numbers. `ending`: of networks that give probabilities, see `models.output.find_ending`. Computed in float32.
    Raises BadInput for an output of another form."""
    parts = (to_logits(part.float(), ending) for part in _logits(output))
    main, *others = (F.cross_entropy(part, labels, label_smoothing=label_smoothing) for part in parts)
    return main + auxiliary_weight * sum(others) if others else main


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
