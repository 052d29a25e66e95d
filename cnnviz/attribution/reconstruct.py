"""Back-projection of one unit to the input: gradient, deconvnet or guided backpropagation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cnnviz.errors import BadInput
from cnnviz.interventions.relu_rules import RectifierRule, check_rule
from cnnviz.models.model import LoadedModel
from cnnviz.probes.axes import find_record
from cnnviz.probes.capture import as_maps
from cnnviz.probes.forward import ForwardStopped, find_modules, name_call, visit_layers
from cnnviz.wording import plural


def reconstruct(
    model: LoadedModel,
    image: Any,
    layer: str,
    channel: int,
    row: int = 0,
    col: int = 0,
    rule: str = "deconvnet",
) -> np.ndarray:
    """(C, H, W) float32, signed: the part of the normalised input to which unit (channel, row, col) responds.

    All other units of `layer` are set to zero, this one to 1, and the signal is sent down: through
    transposed filters, through max pooling by the switches of this image, through rectifiers by `rule`
    ("gradient", "deconvnet", "guided"; see `relu_rules.RectifierRule`). So without rectifiers the three are
    equal; times the unit's value they are the map of Zeiler and Fergus. `image`: RGB uint8 (H, W, 3),
    PIL, or a normalised tensor (C, H, W). Linear layers: row = col = 0.
    `model.notes["unjudged"]` then names the elementwise functions that keep their true gradient since they are no
    known rectifier.
    Raises UnknownName for a layer the network has not, BadInput for a rule or unit that does not exist.
    Source: Zeiler and Fergus, ECCV 2014, section 2.1.

    Example:
        >>> import cnnviz
        >>> model, three = cnnviz.load("lenet5", device="cpu"), cnnviz.corpus("digits").image(3)
        >>> cnnviz.reconstruct(model, three, "conv2", channel=7, row=4, col=4, rule="guided").shape
        (1, 28, 28)
    """
    if isinstance(image, Tensor) and image.ndim == 4 and len(image) != 1:
        raise BadInput(f"Expected one image, got a batch of {len(image)}. Use reconstruct_batch for several.")
    return reconstruct_batch(model, image, layer, [(channel, row, col)], rule)[0]


def reconstruct_batch(
    model: LoadedModel,
    images: Any,
    layer: str,
    units: Sequence[tuple[int, int, int]],
    rule: str = "deconvnet",
) -> np.ndarray:
    """(N, C, H, W) float32: `reconstruct` for one unit (channel, row, col) of each of N images, in one
    forward and one backward pass. Raises as `reconstruct` does, and BadInput unless there is one unit an
    image."""
    check_rule(rule)
    find_modules(model.module, [layer])
    batch = model.batch(images)
    if len(units) != len(batch):
        raise BadInput(
            f"Expected one (channel, row, col) an image, got {len(units)} for {plural(len(batch), 'image')}."
        )
    signals, most = [], model.most_at_once if not model.trial.together else len(batch)
    with model.gradients():
        for start in range(0, len(batch), most):
            leaf = batch[start : start + most].clone().requires_grad_()
            signals.append(_project(model, leaf, layer, units[start : start + most], rule))
    return torch.cat(signals).float().cpu().numpy()


def suggest_rule(model: LoadedModel) -> str:
    """The rule whose pictures say most of this network: "guided" where it has depthwise convolutions whose kernel is no
    multiple of their stride, else "deconvnet".

    A transposed convolution of stride s reaches its outputs by unequal numbers of taps (Odena, Dumoulin, Olah, Distill
    2016). Elsewhere the sum over many channels hides that; a depthwise kernel has one channel, and the deconvnet rule
    lets the grid pass whatever the image: with EfficientNet-Lite0 nothing else is left. Guided backpropagation keeps
    what the forward pass of this image let through, and shows the motif."""
    convolutions = (module for module in model.module.modules() if isinstance(module, nn.Conv2d))
    depthwise = [conv for conv in convolutions if conv.groups == conv.in_channels > 1]
    uneven = any(k % s for conv in depthwise for k, s in zip(conv.kernel_size, conv.stride, strict=True))
    return "guided" if uneven else "deconvnet"


def find_unjudged(model: LoadedModel, layer: str) -> tuple[str, ...]:
    """The elementwise functions on the way down from `layer` that are neither linear nor a known rectifier, such as
    "mul(x, sigmoid(x))": under every rule they keep their true gradient. Empty where all are known. One pass over an
    empty image. Raises as `reconstruct` does."""
    find_modules(model.module, [layer])
    with model.gradients():
        image = torch.zeros(1, *model.input_size, device=model.device)
        _output(model, model.lay_out(image).requires_grad_(), layer, "deconvnet")
    return tuple(model.notes["unjudged"])


def _project(model: LoadedModel, leaf: Tensor, layer: str, units: Sequence[tuple[int, int, int]], rule: str) -> Tensor:
    maps = as_maps(_output(model, leaf, layer, rule))
    if not maps.requires_grad:
        raise BadInput(f"Layer {layer!r} does not depend on the image in a differentiable way.")
    _check(layer, units, maps)
    channels, rows, cols = torch.as_tensor(units, device=maps.device).unbind(1)
    chosen = maps[torch.arange(len(maps), device=maps.device), channels, rows, cols]
    (signal,) = torch.autograd.grad(chosen.sum(), leaf, allow_unused=True)
    return torch.zeros_like(leaf) if signal is None else signal


def _output(model: LoadedModel, leaf: Tensor, layer: str, rule: str) -> Tensor:
    """The layer's output at its last (or named) call, with its graph; the pass ends there."""
    kept: list[Tensor] = []
    name, call = name_call(model.module, layer)
    record = find_record(model.module, leaf.detach())
    wanted = record.calls[name] if call is None else 1

    def keep(_layer: str, output: Tensor) -> None:
        kept.append(output)
        if len(kept) >= wanted and (call is not None or not record.reads):
            raise ForwardStopped

    with visit_layers(model.module, [layer], keep) as faults, RectifierRule(rule) as rules:
        try:
            model.module(leaf.clone())  # a network may begin with an in-place operation
        except ForwardStopped:
            pass
        kept[:] = [rules.resolve(output) for output in kept[-1:]]
    model.notes["unjudged"] = tuple(rules.unjudged)
    if not kept:
        absent = f"Layer {layer!r} did not run in the forward pass, or not as often as asked."
        raise BadInput(faults.get(layer) or absent)
    return kept[-1]


def _check(layer: str, units: Sequence[tuple[int, int, int]], maps: Tensor) -> None:
    channels, rows, cols = maps.shape[1:]
    for channel, row, col in units:
        if not (0 <= channel < channels and 0 <= row < rows and 0 <= col < cols):
            raise BadInput(
                f"Layer {layer!r} has {plural(channels, 'channel')} of {rows}×{cols} units, got channel {channel} at "
                f"({row}, {col}). Choose channel 0..{channels - 1}, row 0..{rows - 1}, column 0..{cols - 1}."
            )


def find_support(reconstruction: np.ndarray) -> tuple[int, int, int, int]:
    """(top, left, bottom, right), half open, of the pixels of a (C, H, W) reconstruction that are not 0;
    all zeros if there are none. It lies inside the unit's receptive field."""
    rows, cols = np.nonzero(np.any(reconstruction != 0, axis=0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(rows.min()), int(cols.min()), int(rows.max()) + 1, int(cols.max()) + 1
