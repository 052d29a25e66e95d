"""A batch-norm layer on real activations: what enters it, the statistics of the batch, and the running ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel
from cnnviz.probes.forward import count_calls
from cnnviz.probes.layer_io import capture_io
from cnnviz.studies.normalisation.company import normalise_batch


@dataclass(frozen=True, slots=True, repr=False)
class NormChannel(Summarised):
    """One channel of a batch-norm layer. `values` (N, places) float64: what enters it. `mean`, `var`: of the batch over
    all of them, the variance with divisor n, as the layer normalises in training. `running_mean`, `running_var`: what
    it normalises by in evaluation; NaN where it keeps none. `gamma`, `beta`: learned; 1 and 0 where there are none.
    `eps`: added to the variance. `momentum`: weight of the newest batch in the running statistics; NaN for a plain
    average over all batches."""

    values: np.ndarray
    mean: float
    var: float
    running_mean: float
    running_var: float
    gamma: float
    beta: float
    eps: float
    momentum: float

    def normalise(self, running: bool = False) -> np.ndarray:
        """(N, places) float64: (x − μ) / √(σ² + ε), by the batch's statistics or the running ones."""
        mean, var = (self.running_mean, self.running_var) if running else (self.mean, self.var)
        return (self.values - mean) / math.sqrt(var + self.eps)

    def identity(self, running: bool = False) -> tuple[float, float]:
        """γ = √(σ² + ε) and β = μ, which give back what entered.

        Source: Ioffe and Szegedy, ICML 2015 (arXiv:1502.03167), section 3."""
        mean, var = (self.running_mean, self.running_var) if running else (self.mean, self.var)
        return math.sqrt(var + self.eps), mean

    def update(self) -> tuple[float, float]:
        """Running mean and variance after one step of training on this batch: (1 − m)·old + m·new, where PyTorch takes
        the new variance with divisor n − 1."""
        count = self.values.size
        fresh = self.mean, self.var * count / max(count - 1, 1)
        old = self.running_mean, self.running_var
        first, second = ((1 - self.momentum) * o + self.momentum * f for o, f in zip(old, fresh, strict=True))
        return first, second


def find_batch_norms(model: LoadedModel) -> dict[str, int]:
    """{name: channels} of the batch-norm layers that run in a forward pass, in the order of definition."""
    with model.lock, torch.inference_mode():
        calls = count_calls(model.module, torch.zeros(1, *model.input_size, device=model.device))
    norms = {name: child for name, child in model.module.named_modules() if isinstance(child, _BatchNorm)}
    return {name: norm.num_features for name, norm in norms.items() if calls.get(name)}


def capture_norm_input(model: LoadedModel, received: Sequence[np.ndarray], layer: str) -> np.ndarray:
    """(N, C, places) float32: what enters a layer, channels as its axis 1, in a pass in evaluation; of a layer without
    location there is one place.

    `received`: uint8 (H, W, C) each, as `LoadedModel.receive` gives them. Raises UnknownName for a layer the network
    has not, BadInput for one that does not run."""
    with model.lock, torch.inference_mode():
        given, _ = capture_io(model.module, normalise_batch(model, received), [layer], model.most_at_once)[layer]
    maps = given.flatten(2) if given.ndim > 2 else given.reshape(len(given), -1, 1)
    found: np.ndarray = maps.float().contiguous().cpu().numpy()
    return found


def channel_statistics(model: LoadedModel, layer: str, channel: int, given: np.ndarray) -> NormChannel:
    """A channel of batch norm `layer`, of `given` (N, C, places) that enters it, see `capture_norm_input`.

    Raises BadInput if the layer is no batch norm, or has no such channel."""
    norm = dict(model.module.named_modules()).get(layer)
    if not isinstance(norm, _BatchNorm):
        raise BadInput(f"{layer!r} is {type(norm).__name__}, no batch norm. Choose one of: {_listed(model.module)}.")
    if not 0 <= channel < given.shape[1]:
        raise BadInput(f"{layer} has channels 0 to {given.shape[1] - 1}, got {channel}.")
    values = given[:, channel].astype(np.float64)

    def entry(tensor: torch.Tensor | None, otherwise: float) -> float:
        return otherwise if tensor is None else float(tensor[channel])

    return NormChannel(
        values=values,
        mean=float(values.mean()),
        var=float(values.var()),
        running_mean=entry(norm.running_mean, math.nan),
        running_var=entry(norm.running_var, math.nan),
        gamma=entry(norm.weight, 1.0),
        beta=entry(norm.bias, 0.0),
        eps=norm.eps,
        momentum=math.nan if norm.momentum is None else norm.momentum,
    )


def _listed(module: nn.Module) -> str:
    names = [name for name, child in module.named_modules() if isinstance(child, _BatchNorm)]
    return ", ".join(names[:6]) or "none, this network has no batch norm"
