"""A network with perturbed weights, to look at a point of a landscape with every other probe."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel


def perturb(
    model: LoadedModel, directions: Sequence[Mapping[str, Tensor]], alpha: float, beta: float = 0.0
) -> LoadedModel:
    """The network at (alpha, beta) of the plane through `model`'s weights: weights + alpha d1 + beta d2.

    `directions`: one or two, {name of a parameter or running statistic: tensor of its shape}; names that are
    left out stay. `alpha`, `beta`: steps in units of the directions (filter norms for
    `filter_directions`). The result is a private network with a lock of its own, and the same classes and
    preprocessing; `model` is not changed. Raises BadInput for a step that is not finite, more than two
    directions, unknown names or other shapes."""
    steps = (alpha, beta)
    if not 1 <= len(directions) <= 2:
        raise BadInput(f"A point of a plane needs one or two directions, got {len(directions)}.")
    if not all(math.isfinite(step) for step in steps):
        raise BadInput(f"The steps must be finite numbers, got {steps}.")
    with model.lock:
        module = copy.deepcopy(model.module)
    state = module.state_dict()
    with torch.no_grad():
        for direction, step in zip(directions, steps, strict=False):
            check_direction(direction, state)
            for name, change in direction.items():
                state[name].add_(change.to(state[name]), alpha=step)
    where = f"({alpha:+.2f}, {beta:+.2f})" if len(directions) == 2 else f"{alpha:+.2f}"
    notes = {**model.notes, "perturbed": {"alpha": alpha, "beta": beta, "from": model.fingerprint}}
    origin = f"{model.origin}, moved by {where}"
    names = list(model.class_names)
    return LoadedModel(
        module, model.name, model.preprocessing, names, model.device, origin, model.report, notes, known=model.known
    )


def check_direction(direction: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Raise BadInput, naming the first tensor, unless every one has a floating-point counterpart of its shape
    in the network's `state`."""
    for name, change in direction.items():
        if name not in state or not state[name].is_floating_point():
            raise BadInput(f"The direction has a tensor {name!r}, which is no weight of this network.")
        if change.shape != state[name].shape:
            raise BadInput(
                f"The direction's {name!r} has shape {tuple(change.shape)}, the network's {tuple(state[name].shape)}."
            )
