"""Random directions in weight space, normalised filter by filter.

Source: Li, Xu, Taylor, Studer, Goldstein, NeurIPS 2018 (arXiv:1712.09913), section 4."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel

TINY = 1e-10  # keeps a filter of zeros from dividing by zero, as in the paper's code


def filter_directions(model: LoadedModel, seed: int = 0) -> dict[str, Tensor]:
    """A random direction with the norm of every filter, {name of a parameter: float32 tensor of its shape, CPU}.

    Gaussian; each filter (each index of the first dimension, also each row of a linear layer) is scaled to
    the norm of the network's own. Parameters of one dimension or none (biases, batch normalisation) get
    zeros. Drawn on the CPU in the order of the parameters, so that a seed means the same on every device.
    A plane needs two directions of different seeds: `plane_directions`. Raises BadInput for a seed that is
    no whole number.

    Example:
        >>> import cnnviz
        >>> model = cnnviz.load("lenet5", device="cpu")
        >>> step, weights = cnnviz.filter_directions(model)["conv1.weight"], model.module.conv1.weight
        >>> [round(float(tensor[0].norm()), 4) for tensor in (step, weights)]
        [1.7603, 1.7603]
    """
    generator = torch.Generator().manual_seed(_check_seed(seed))
    weights = copy_parameters(model)
    noise = {name: torch.randn(tensor.shape, generator=generator) for name, tensor in weights.items()}
    return normalise_filters(weights, noise)


def plane_directions(model: LoadedModel, seed: int = 0) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The two directions of plane `seed`: those of the seeds 2 × seed and 2 × seed + 1, so that no two planes
    share one. They are not made orthogonal to each other, as in the paper; see `cosine`."""
    return filter_directions(model, 2 * _check_seed(seed)), filter_directions(model, 2 * _check_seed(seed) + 1)


def copy_parameters(model: LoadedModel) -> dict[str, Tensor]:
    """A copy of the network's parameters, float32 on the CPU, in order; shared ones once."""
    with model.lock:
        return {name: p.detach().to("cpu", torch.float32, copy=True) for name, p in model.module.named_parameters()}


def normalise_filters(weights: Mapping[str, Tensor], direction: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`direction`, each filter scaled to the norm of that of `weights`; zeros where a tensor has fewer than two
    dimensions, and for parameters that `direction` leaves out. Neither argument is changed.

    Raises BadInput for names or shapes that the weights do not have."""
    for name, noise in direction.items():
        if name not in weights or weights[name].shape != noise.shape:
            there = f"shape {tuple(weights[name].shape)}" if name in weights else "no such parameter"
            raise BadInput(f"The direction's {name!r} has shape {tuple(noise.shape)}, the network has {there}.")
    moved = {name for name in direction if weights[name].dim() > 1}
    return {n: _scale_filters(w, direction[n]) if n in moved else torch.zeros_like(w) for n, w in weights.items()}


def cosine(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> float:
    """Cosine of the angle between two directions over all their tensors; NaN if one is zero."""
    dot = sum(float((first[name].double() * second[name].double()).sum()) for name in first if name in second)
    sizes = [math.sqrt(sum(float(t.double().square().sum()) for t in d.values())) for d in (first, second)]
    return dot / (sizes[0] * sizes[1]) if all(sizes) else math.nan


def _scale_filters(weight: Tensor, noise: Tensor) -> Tensor:
    """In float64: with squares of many small weights, float32 norms would be off by more than 1e-6."""
    across = tuple(range(1, weight.dim()))
    want, have = (t.double().square().sum(across, keepdim=True).sqrt() for t in (weight, noise))
    return (noise.double() * (want / (have + TINY))).to(weight.dtype)


def _check_seed(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise BadInput(f"The seed must be a whole number from 0, got {seed!r}.")
    return int(seed)
