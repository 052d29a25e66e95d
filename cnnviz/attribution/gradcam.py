"""Grad-CAM: the feature maps of a late layer, weighted by the gradient of the class score."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel
from cnnviz.probes.axes import find_record
from cnnviz.probes.classifier import find_last_maps
from cnnviz.probes.forward import find_modules, first_tensor, lay_out_output, name_call


def grad_cam(model: LoadedModel, batch: Tensor, target: int, layer: str | None = None) -> tuple[np.ndarray, str]:
    """(h, w) float32 ≥ 0, and the layer: ReLU(Σₖ αₖ Aᵏ), where Aᵏ are the layer's maps and αₖ is the mean over the
    map of the derivative of the target's logit by Aᵏ.

    `batch` (1, C, H, W); `layer`: None takes `classifier.find_last_maps`. Raises UnknownName for a layer the
    network has not, BadInput for one without a map or on which the class score does not depend.
    Source: Selvaraju et al., ICCV 2017, section 3 (arXiv:1610.02391)."""
    layer = find_last_maps(model) if layer is None else layer
    child = find_modules(model.module, [layer])[layer]
    name, asked = name_call(model.module, layer)
    call = asked or 0
    with model.gradients():
        leaf = batch.clone().requires_grad_()
        record = find_record(model.module, leaf)
        with _outputs(model.module, layer) as kept:
            score = model.compute_logits(leaf.clone())[0, target]
        if len(kept) < max(call, 1):
            raise BadInput(f"Layer {layer!r} did not run in the forward pass, or not as often as asked.")
        output, at = kept[call - 1], call or len(kept)
        maps = lay_out_output(record, name, at, output, child)
        if maps.ndim != 4 or maps.shape[2] * maps.shape[3] < 2:
            raise BadInput(f"The output of {layer!r} is no map with rows and columns. Choose an earlier layer.")
        depends = score.requires_grad and output.requires_grad
        slope = torch.autograd.grad(score, output, allow_unused=True)[0] if depends else None
        if slope is None:
            raise BadInput(f"The answer does not depend on {layer!r} in a differentiable way. Choose another layer.")
        weights = lay_out_output(record, name, at, slope, child).mean((2, 3), keepdim=True)
        found = (weights * maps.detach()).sum(1).clamp_min(0)[0]
    return found.float().cpu().numpy(), layer


@contextmanager
def _outputs(module: nn.Module, layer: str) -> Iterator[list[Tensor]]:
    """Inside, the list takes the layer's output at every call; the network goes on with a copy, so that what is
    kept survives an in-place operation and the gradient is by the layer's own values."""
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> Tensor | None:
        kept.append(first_tensor(output, layer))
        return output.clone() if isinstance(output, Tensor) else None

    hook = find_modules(module, [layer])[layer].register_forward_hook(keep)
    try:
        yield kept
    finally:
        hook.remove()
