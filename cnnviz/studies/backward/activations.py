"""Activation functions with their slopes, where they are flat, and what they are given in a network."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from cnnviz.display import Summarised
from cnnviz.errors import BadInput, unknown
from cnnviz.models.model import LoadedModel
from cnnviz.models.variants.changes import list_activations
from cnnviz.probes.capture import capture
from cnnviz.probes.forward import count_calls
from cnnviz.probes.layer_io import capture_io

FLAT = 0.05  # a slope between -FLAT and FLAT lets less than a twentieth of the gradient through
Curve = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class ActivationFunction:
    """`value`, `slope`: f and f′ of an array, float64. At a kink the slope is the one that PyTorch takes. `formula`: in
    LaTeX. `words`: where it is flat, and since when it is used."""

    title: str
    value: Curve
    slope: Curve
    formula: str
    words: str


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0.0, -x))


def _cdf(x: np.ndarray) -> np.ndarray:
    """Of the standard normal distribution."""
    return 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def _bell(x: np.ndarray) -> np.ndarray:
    return np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


ACTIVATIONS = {
    "sigmoid": ActivationFunction(
        "Sigmoid",
        _sigmoid,
        lambda x: _sigmoid(x) * _sigmoid(-x),
        r"\sigma(x)=\frac{1}{1+e^{-x}},\quad \sigma'=\sigma(1-\sigma)\le\tfrac14",
        "It saturates on both sides, and its slope is 1/4 at most.",
    ),
    "tanh": ActivationFunction(
        "tanh",
        np.tanh,
        lambda x: 1 - np.tanh(x) ** 2,
        r"\tanh x=2\sigma(2x)-1,\quad \tanh'=1-\tanh^2\le1",
        "It saturates on both sides; at 0 its slope is 1.",
    ),
    "relu": ActivationFunction(
        "ReLU",
        lambda x: np.maximum(x, 0.0),
        lambda x: (x > 0).astype(float),
        r"\max(0,x),\quad f'=1\ (x>0),\ 0\ (x<0)",
        "Its slope is exactly 0 below 0 and exactly 1 above; at 0, where it has none, PyTorch takes 0.",
    ),
    "leaky": ActivationFunction(
        "Leaky ReLU",
        lambda x: np.where(x > 0, x, 0.01 * x),
        lambda x: np.where(x > 0, 1.0, 0.01),
        r"\max(0.01\,x,\,x),\quad f'=0.01\ (x<0)",
        "Below 0 its slope is small and not 0: a unit that is never active can still recover.",
    ),
    "elu": ActivationFunction(
        "ELU",
        lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))),
        lambda x: np.where(x > 0, 1.0, np.exp(np.minimum(x, 0.0))),
        r"x\ (x>0),\ e^{x}-1\ (x\le0)",
        "It saturates at −1, far below 0 only.",
    ),
    "gelu": ActivationFunction(
        "GELU",
        lambda x: x * _cdf(x),
        lambda x: _cdf(x) + x * _bell(x),
        r"x\,\Phi(x),\quad f'=\Phi(x)+x\,\varphi(x)",
        "A smooth ReLU whose slope is below 0 for x < −0.75 and a little above 1 for larger x.",
    ),
    "silu": ActivationFunction(
        "SiLU",
        lambda x: x * _sigmoid(x),
        lambda x: _sigmoid(x) * (1 + x * _sigmoid(-x)),
        r"x\,\sigma(x),\quad f'=\sigma(1+x(1-\sigma))",
        "Also called swish; a smooth ReLU.",
    ),
    "maxout": ActivationFunction(
        "Maxout",
        lambda x: np.maximum(x, -0.5 * x - 0.5),
        lambda x: np.where(x >= -0.5 * x - 0.5, 1.0, -0.5),
        r"\max_k\,(w_k x+b_k),\ \text{here}\ \max(x,\,-\tfrac12x-\tfrac12)",
        "The maximum of linear pieces whose weights are learned; these two are an example. It is flat nowhere, at the "
        "price of several times the weights.",
    ),
}


@dataclass(frozen=True, slots=True, repr=False)
class PreActivations(Summarised):
    """What an activation is given for one image. `values`: (n,) float32, at every unit. `name`: of the activation, or
    of the layer. `kind`: the key in ACTIVATIONS of what the network applies there, "" where that is not known."""

    name: str
    kind: str
    values: np.ndarray

    def flat_share(self, kind: str) -> float:
        """0 … 1: units at which the slope of the activation `kind` is between -FLAT and FLAT."""
        return float((np.abs(find_activation(kind).slope(self.values.astype(float))) < FLAT).mean())

    def mean_slope(self, kind: str) -> float:
        """Root of the mean square of the slopes at these units: what a gradient's norm is multiplied by on average, if
        it does not depend on the unit."""
        return float(np.sqrt((find_activation(kind).slope(self.values.astype(float)) ** 2).mean()))


def find_activation(kind: str) -> ActivationFunction:
    """The function of this name. Raises UnknownName with the closest ones."""
    if kind not in ACTIVATIONS:
        unknown("activation", kind, ACTIVATIONS)
    return ACTIVATIONS[kind]


def list_activation_layers(model: LoadedModel) -> dict[str, str]:
    """{module: key in ACTIVATIONS, "" for another} of the hidden activations that are modules and run, in order; of a
    network that calls its activations as functions {}."""
    kinds = dict(Sigmoid="sigmoid", Tanh="tanh", ReLU="relu", LeakyReLU="leaky", ELU="elu", GELU="gelu", SiLU="silu")
    hidden = {id(one) for one in list_activations(model.module)}
    with model.lock, torch.inference_mode():
        calls = count_calls(model.module, torch.zeros(1, *model.input_size, device=model.device))
    named = [(name, one) for name, one in model.module.named_modules() if id(one) in hidden and calls.get(name)]
    return {name: kinds.get(type(one).__name__, "") for name, one in named}


def pre_activations(model: LoadedModel, image: Any, layer: str) -> PreActivations:
    """What enters the activation module `layer` at its last call; of any other layer its output. `image`: as for
    `cnnviz.capture`. Raises UnknownName, BadInput for a layer that does not run."""
    kinds = list_activation_layers(model)
    if layer not in kinds:
        return PreActivations(layer, "", capture(model, image, [layer])[layer].ravel())
    with model.lock:
        entered, _ = capture_io(model.module, model.batch(image), [layer])[layer]
    values = entered.float().cpu().numpy().ravel()
    if not values.size:
        raise BadInput(f"Nothing enters {layer!r} of {model.name}.")
    return PreActivations(layer, kinds[layer], values)


def slope_products(slope: float, layers: int) -> np.ndarray:
    """(layers,) slope, slope², …: what is left of a gradient behind so many activations at which the slope is the same.

    Raises BadInput for fewer than one layer."""
    if layers < 1:
        raise BadInput(f"The number of layers is 1 or more, got {layers}.")
    return np.power(float(slope), np.arange(1, layers + 1))
