"""The classifier layer of a network, the last feature maps before it, and the features that enter it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel

_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_PASSING = ("Pool", "Dropout", "Identity", "Flatten", "Pad")  # parts of the names of modules that make no features
_ORDERS: WeakKeyDictionary[nn.Module, list[tuple[str, tuple[int, ...]]]] = WeakKeyDictionary()


def trace_completion_order(model: LoadedModel) -> list[tuple[str, tuple[int, ...]]]:
    """(name, shape of the output) of every sub-module, in the order in which they end in a forward pass: a block
    after its parts. A module that is used twice stands where it ends last. Measured once a network."""
    if model.module not in _ORDERS:
        seen: dict[str, tuple[int, ...]] = {}
        with model.lock, torch.inference_mode(), ExitStack() as hooks:
            for name, child in model.module.named_modules():
                if name:
                    hooks.callback(child.register_forward_hook(_record_shape(seen, name)).remove)
            model.module(torch.zeros(1, *model.input_size, device=model.device))
        _ORDERS[model.module] = list(seen.items())
    return _ORDERS[model.module]


def _record_shape(seen: dict[str, tuple[int, ...]], name: str) -> Callable[..., None]:
    def note(_module: nn.Module, _inputs: Any, output: Any) -> None:
        seen.pop(name, None)
        seen[name] = tuple(output.shape) if isinstance(output, Tensor) else ()

    return note


def list_weighted_layers(model: LoadedModel) -> list[str]:
    """Convolutions and linear layers in the order in which they run."""
    modules = dict(model.module.named_modules())
    return [name for name, _shape in trace_completion_order(model) if isinstance(modules[name], _WEIGHTED)]


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
        model.module(batch)
    (found,) = kept
    places = (1, 2) if isinstance(head, nn.Linear) else (2, 3)  # a linear layer reads maps (N, H, W, C)
    return (found.mean(places) if found.ndim == 4 else found.flatten(1)).float().cpu()
