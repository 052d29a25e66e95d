"""Feature maps: the outputs of named layers for one or several images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cnnviz.device import halving
from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel
from cnnviz.probes.axes import find_record
from cnnviz.probes.forward import ForwardStopped, find_modules, name_call, visit_layers


def capture(model: LoadedModel, images: Any, layers: list[str] | str) -> dict[str, np.ndarray]:
    """{layer: (N, C, H, W) float32} outputs of the named sub-modules; linear layers give (N, C, 1, 1), or
    (N, C, H, W) where they are applied to every place of a map.

    `images`: RGB uint8 (H, W, 3), PIL images, several of either, or a normalised tensor (N, C, H, W).
    A module used more than once gives the output of its last call; "name:1" asks for the first. Values are
    those before any later in-place operation. The pass ends after the last wanted layer.
    Raises UnknownName for a layer the network has not, BadInput for one that never runs, DeviceLost where memory is
    short even with one image at a time.

    Example:
        >>> import cnnviz
        >>> model, three = cnnviz.load("lenet5", device="cpu"), cnnviz.corpus("digits").image(3)
        >>> maps = cnnviz.capture(model, three, ["conv1", "conv2", "fc3"])
        >>> [values.shape for values in maps.values()]
        [(1, 6, 28, 28), (1, 16, 10, 10), (1, 10, 1, 1)]
    """
    names = [layers] if isinstance(layers, str) else list(layers)
    return halving(lambda size: _capture_batches(model, images, names, size), model.at_once(images), model.device)


def _capture_batches(model: LoadedModel, images: Any, names: list[str], size: int) -> dict[str, np.ndarray]:
    parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
    with model.lock, torch.no_grad():
        for batch in model.batches(images, size):
            for name, output in capture_tensors(model.module, batch, names).items():
                parts[name].append(as_maps(output).float().contiguous().cpu().numpy())
    return {name: found[0] if len(found) == 1 else np.concatenate(found) for name, found in parts.items()}


def capture_tensors(module: nn.Module, batch: Tensor, layers: list[str], most: int = 0) -> dict[str, Tensor]:
    """{layer: clone of its output, channels as axis 1} of one pass over `batch` (N, C, H, W), on the module's device;
    with at most so many images in a pass, `most`, where not all may share one.

    The caller holds the model's lock."""
    if 0 < most < len(batch):
        parts = [capture_tensors(module, part, layers) for part in batch.split(most)]
        return {layer: torch.cat([part[layer] for part in parts]) for layer in parts[0]}
    kept: dict[str, Tensor] = {}
    find_modules(module, layers)  # names are checked before anything runs
    record = find_record(module, batch)
    names = {layer: name_call(module, layer) for layer in layers}
    # A network that looks at values may call a layer again for other images: then it runs to its end.
    often = {layer: math.inf if record.reads else record.calls[name] for layer, (name, _call) in names.items()}
    remaining = {layer: often[layer] if call is None else 1 for layer, (_name, call) in names.items()}

    def keep(layer: str, output: Tensor) -> None:
        kept[layer] = output.clone()  # the next layer may work in place
        remaining[layer] -= 1
        if all(count <= 0 for count in remaining.values()):
            raise ForwardStopped

    with visit_layers(module, layers, keep) as faults:
        try:
            module(batch.clone())  # the network may write into it
        except ForwardStopped:
            pass
    for layer in layers:
        if layer not in kept:
            raise BadInput(faults.get(layer) or describe_absence(layer))
    return kept


def describe_absence(layer: str) -> str:
    """What is said of a layer that was not seen in a forward pass."""
    return f"Layer {layer!r} did not run in the forward pass. It may be a branch used only in training."


def layer_shapes(model: LoadedModel) -> dict[str, tuple[int, int, int]]:
    """{layer: (C, H, W)} of `model.layers()` at the default input, for those that run in a forward pass and give a
    tensor of real numbers."""
    shapes: dict[str, tuple[int, int, int]] = {}

    def note(layer: str, output: Tensor) -> None:
        channels, height, width = as_maps(output).shape[1:]
        shapes[layer] = (channels, height, width)

    layers = model.layers()
    with model.lock, torch.inference_mode(), visit_layers(model.module, layers, note):
        model.module(torch.zeros(1, *model.input_size, device=model.device))
    return {layer: shapes[layer] for layer in layers if layer in shapes}


def as_maps(output: Tensor) -> Tensor:
    """(N, C, H, W) view of a layer's output, channels as axis 1: vectors get 1×1 maps, one number an image one channel,
    tokens (N, T, C) a T×1 map. What a visit of a layer hands on has its channels there already."""
    if output.ndim == 4:
        return output
    if output.ndim < 3:
        return output.reshape(len(output) if output.ndim else 1, -1)[:, :, None, None]
    if output.ndim == 3:
        return output.transpose(1, 2)[:, :, :, None]
    return output.reshape(output.shape[0], output.shape[1], -1, 1)
