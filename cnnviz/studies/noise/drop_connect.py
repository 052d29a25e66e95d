"""DropConnect beside dropout: masks on weights in place of units, and what both do to the outputs of one layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel
from cnnviz.probes.forward import find_modules
from cnnviz.probes.layer_io import capture_io

KINDS = ("dropout", "dropconnect")


@dataclass(frozen=True, slots=True, repr=False)
class LayerWindow(Summarised):
    """One place of a layer. `inputs` (K,): the values that its units read there, K = channels × window for a
    convolution; `weights` (C, K), `bias` (C,): of all output channels; `shape`: (channels, h, w) of the window."""

    inputs: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    shape: tuple[int, int, int]

    @property
    def outputs(self) -> np.ndarray:
        """(C,): w · x + b, without any mask."""
        return np.asarray(self.weights @ self.inputs + self.bias)


def list_masked_layers(model: LoadedModel) -> list[str]:
    """Layers whose weights can be masked here: linear layers and two-dimensional convolutions without groups."""
    return [
        name
        for name, child in model.module.named_modules()
        if isinstance(child, nn.Linear) or (isinstance(child, nn.Conv2d) and child.groups == 1)
    ]


def read_window(model: LoadedModel, image: Any, layer: str, row: int = 0, col: int = 0) -> LayerWindow:
    """What one place (row, col) of a layer's output is computed from, for one image; a linear layer's only place is
    (0, 0). Raises UnknownName, BadInput for another kind of layer, or a place outside of the map."""
    child = find_modules(model.module, [layer])[layer]
    if layer not in list_masked_layers(model):
        raise BadInput(f"{layer!r} is no linear layer or convolution without groups. Choose another layer.")
    with model.lock, torch.inference_mode():
        given, made = capture_io(model.module, model.batch(image), [layer])[layer]
        if isinstance(child, nn.Linear):
            inputs, shape, size = given[0].reshape(-1, given.shape[-1])[0], (int(given.shape[-1]), 1, 1), (1, 1)
        else:
            assert isinstance(child, nn.Conv2d)
            columns, size = _unfold(child, given), (int(made.shape[2]), int(made.shape[3]))
            shape = (int(given.shape[1]), int(child.weight.shape[2]), int(child.weight.shape[3]))
            inputs = columns[0, :, min(row * size[1] + col, columns.shape[2] - 1)]
        if not (0 <= row < size[0] and 0 <= col < size[1]):
            raise BadInput(f"{layer!r} has {size[0]}×{size[1]} places, got row {row}, column {col}.")
        weights = child.weight.flatten(1)
        bias = torch.zeros(len(weights)) if child.bias is None else child.bias
    values, matrix, added = (part.double().cpu().numpy() for part in (inputs, weights, bias))
    return LayerWindow(values, matrix, added, shape)


def _unfold(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """(N, K, places): the windows of a convolution, padding included."""
    if isinstance(conv.padding, str):
        whole = [
            d * (k - 1) if conv.padding == "same" else 0 for k, d in zip(conv.kernel_size, conv.dilation, strict=True)
        ]
        sides = (whole[1] // 2, whole[1] - whole[1] // 2, whole[0] // 2, whole[0] - whole[0] // 2)
    else:
        down, across = conv.padding
        sides = (across, across, down, down)
    mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
    return F.unfold(F.pad(x, sides, mode=mode), conv.kernel_size, conv.dilation, 0, conv.stride)


@dataclass(frozen=True, slots=True, repr=False)
class MaskedOutputs(Summarised):
    """Two outputs of one place under random masks. `values` (T, 2); `mean`, `deviation` (2,) and `correlation`: what
    the formulas expect of them. Masks are those of training, with 1 / (1 − rate) for what stays."""

    kind: str
    values: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    correlation: float

    @property
    def measured(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Mean and standard deviation (2,) of the values, and their correlation; 0 where one does not vary."""
        deviation = self.values.std(0, ddof=1)
        joint = float(((self.values - self.values.mean(0)).prod(1)).sum() / (len(self.values) - 1))
        product = float(deviation.prod())
        return self.values.mean(0), deviation, joint / product if product > 0 else 0.0


def draw_outputs(
    window: LayerWindow, channels: tuple[int, int], kind: str, rate: float, draws: int, seed: int = 0
) -> MaskedOutputs:
    """Two output channels of a window under `draws` masks. "dropout" masks the inputs, once for all channels;
    "dropconnect" masks each weight by itself.

    Both have the same mean w · x + b and the same variance rate / (1 − rate) · Σ (w x)², an output alone cannot tell
    them apart. Two outputs can: under dropout they miss the same inputs, covariance rate / (1 − rate) · Σ w_a w_b x²;
    under DropConnect they are independent.
    Raises BadInput for another kind, rate or number. Source: Wan et al., ICML 2013, section 3 and equation 9."""
    if kind not in KINDS or not 0 < rate < 1 or draws < 2 or channels[0] == channels[1]:
        raise BadInput(
            f"Expected one of {', '.join(KINDS)}, 0 < rate < 1, two draws or more and two channels; got {kind!r}, "
            f"{rate}, {draws}, {channels}."
        )
    generator, products = np.random.default_rng(seed), window.weights[list(channels)] * window.inputs  # (2, K)
    values = np.empty((draws, 2))
    for draw in range(draws):
        rows = 1 if kind == "dropout" else 2
        keep = generator.random((rows, products.shape[1])) >= rate
        values[draw] = (products * keep).sum(1) / (1 - rate)
    bias = window.bias[list(channels)]
    ratio = rate / (1 - rate)
    deviation = np.sqrt(ratio * (products**2).sum(1))
    joint = ratio * float(products.prod(0).sum()) if kind == "dropout" else 0.0
    product = float(deviation.prod())
    correlation = joint / product if product > 0 else 0.0
    return MaskedOutputs(kind, values + bias, products.sum(1) + bias, deviation, correlation)


def find_partner(window: LayerWindow, channel: int) -> int:
    """The other channel whose output dropout binds most closely to that of `channel`: the largest absolute correlation
    of `draw_outputs`. Raises BadInput for a layer of one channel."""
    if len(window.weights) < 2:
        raise BadInput("This layer has one output only: there is none to compare it with.")
    products = window.weights * window.inputs
    norms = np.linalg.norm(products, axis=1)
    cosines = products @ products[channel] / np.maximum(norms * norms[channel], 1e-30)
    cosines[channel] = 0.0
    return int(np.abs(cosines).argmax() if np.abs(cosines).any() else (channel + 1) % len(window.weights))
