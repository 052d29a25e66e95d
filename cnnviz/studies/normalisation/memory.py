"""Activations that training holds: bytes kept until the backward pass, layer by layer, for a batch of any size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch.func import functional_call

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.interventions.batch_statistics import BatchStatisticsMode
from cnnviz.models.model import LoadedModel
from cnnviz.probes.saved_tensors import record_saved
from cnnviz.studies.normalisation.company import normalise_batch

_FEW = (2, 3)  # images of the two passes that are measured


@dataclass(frozen=True, slots=True, repr=False)
class ActivationMemory(Summarised):
    """`layers`: those that keep something, in the order in which they run. `per_image`, `per_batch` (L,) int64: bytes
    for every image, and once a batch, such as a batch norm's mean and deviation."""

    layers: tuple[str, ...]
    per_image: np.ndarray
    per_batch: np.ndarray

    def held(self, images: int) -> np.ndarray:
        """(L,) bytes that a batch of so many images holds in each layer when all have gone through the network."""
        held: np.ndarray = self.per_batch + images * self.per_image
        return held


def activation_memory(model: LoadedModel, received: np.ndarray) -> ActivationMemory:
    """What a training step keeps of its forward pass for the gradients of all weights, as PyTorch's autograd says: the
    inputs of convolutions and batch norms, the outputs of rectifiers, the places of maxima; each once where layers
    share it. Weights, gradients and the optimiser's state are not counted.

    Two passes of 2 and 3 images are measured, with batch statistics and without dropout; bytes are linear in the number
    of images. `received`: one of them, uint8 (H, W, C) as `LoadedModel.receive` gives it. Raises BadInput if images
    cannot share a pass.
    Source: Ioffe and Szegedy, ICML 2015 (arXiv:1502.03167), section 3, for why a batch has to go through together."""
    if model.most_at_once == 1:
        raise BadInput(
            f"{model.name} answers an image otherwise beside others, in evaluation too: images go one at a time."
        )
    found = [measure_saved(model, received, count) for count in _FEW]
    layers = tuple(found[1])
    few, more = (np.array([part.get(layer, 0) for layer in layers], np.int64) for part in found)
    each = (more - few) // (_FEW[1] - _FEW[0])
    return ActivationMemory(layers, each, few - _FEW[0] * each)


def measure_saved(model: LoadedModel, received: np.ndarray, count: int) -> dict[str, int]:
    """{layer: bytes} that one pass over `count` copies of an image keeps, see `activation_memory`."""
    module, batch = model.module, normalise_batch(model, [received] * count)
    fixed = [*module.parameters(), *module.buffers()]
    with model.gradients():  # aliases of the weights take the gradients: those of the network are frozen, and stay so
        weights = {name: tensor.detach().requires_grad_() for name, tensor in module.named_parameters()}
        with record_saved(module, fixed) as saved, BatchStatisticsMode():
            functional_call(module, weights, (batch,))
    return saved
