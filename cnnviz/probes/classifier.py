"""The classifier layer of a network, the last feature maps before it, and the features that enter it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel
from cnnviz.probes.axes import find_record

WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_PASSING = ("Pool", "Dropout", "Identity", "Flatten", "Pad")  # parts of the names of modules that make no features


def trace_completion_order(model: LoadedModel) -> list[tuple[str, tuple[int, ...]]]:
    """(name, shape of the output) of every sub-module, in the order in which they end in a forward pass: a block
    after its parts. A module that is used twice stands where it ends last."""
    names = dict(model.module.named_modules())  # each module under one name
    with model.lock:
        record = find_record(model.module, torch.zeros(1, *model.input_size, device=model.device))
    return [(name, shape) for name, shape in record.order.items() if name in names]


def list_weighted_layers(model: LoadedModel) -> list[str]:
    """Convolutions and linear layers in the order in which they run."""
    modules = dict(model.module.named_modules())
    return [name for name, _shape in trace_completion_order(model) if isinstance(modules[name], WEIGHTED)]


def find_classifier(model: LoadedModel) -> str:
    """The last convolution or linear layer to run: its outputs are the classes. Raises BadInput if there is none."""
    layers = list_weighted_layers(model)
    if not layers:
        raise BadInput(f"{model.name} has neither a convolution nor a linear layer, so there is no classifier.")
    return layers[-1]


def find_last_maps(model: LoadedModel) -> str:
    """The last layer before the classifier whose output is a map of more than one unit: a block, a rectifier or a
    convolution, no pooling; of a network that is one convolution, this one.

    Raises BadInput for a network without maps, e.g. a multilayer perceptron."""
    modules, head = dict(model.module.named_modules()), find_classifier(model)
    found = ""
    for name, shape in trace_completion_order(model):
        is_map = len(shape) == 4 and shape[2] * shape[3] > 1
        passing = any(part in type(modules[name]).__name__ for part in _PASSING)
        if is_map and not passing and not isinstance(modules[name], _CONTAINERS) and (name != head or not found):
            found = name
        if name == head:
            break
    if not found:
        raise BadInput(
            f"{model.name} has no layer whose output is a map with rows and columns: without convolutions nothing "
            "says where something is. Choose a network with convolutions, or another method."
        )
    return found


def find_top_layer(model: LoadedModel) -> str:
    """`find_last_maps`, or the last layer before the classifier where there are no maps."""
    try:
        return find_last_maps(model)
    except BadInput:
        return list_weighted_layers(model)[-2:][0] if list_weighted_layers(model) else find_classifier(model)


def capture_top_features(model: LoadedModel, images: Any) -> Tensor:
    """(N, D) float32 on the CPU: what the classifier is fed with, the activations of the top hidden layer. Maps that
    a convolution classifies are averaged over their rows and columns first.

    `images`: as for `LoadedModel.batch`. Raises BadInput for a network without a classifier."""
    head = dict(model.module.named_modules())[find_classifier(model)]
    kept: list[Tensor] = []

    def keep(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
        kept[:] = [inputs[0].clone()]  # of the last call

    with model.lock, torch.inference_mode(), ExitStack() as hooks:
        batch = model.batch(images)
        hooks.callback(head.register_forward_pre_hook(keep).remove)
        parts = []
        for part in batch.split(model.most_at_once):
            model.module(part)
            parts += kept
    found = torch.cat(parts)
    places = (1, 2) if isinstance(head, nn.Linear) else (2, 3)  # a linear layer reads maps (N, H, W, C)
    return (found.mean(places) if found.ndim == 4 else found.flatten(1)).float().cpu()
