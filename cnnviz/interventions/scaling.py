"""Multiply the outputs of layers during a pass: masks of dropout, factors of stochastic depth, branches set to zero."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cnnviz.errors import BadInput
from cnnviz.probes.forward import find_modules

Factors = Mapping[str, Tensor | float]


@contextmanager
def scale_outputs(module: nn.Module, factors: Factors) -> Iterator[None]:
    """Inside, every forward pass multiplies the output of each named layer by its factor: a number, or a tensor that
    fits beside the output (N, …), e.g. one mask an image. A factor of 0 gives 0, whatever the output was.

    The caller holds the model's lock. Raises UnknownName for a layer the network has not; in the pass, BadInput for an
    output that is no tensor or a factor of another shape."""
    wanted = find_modules(module, list(factors))

    def scale(layer: str, factor: Tensor | float) -> Callable[..., Tensor]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> Tensor:
            if not isinstance(output, Tensor):
                raise BadInput(f"Layer {layer!r} returns no single tensor, so its output cannot be multiplied.")
            by = torch.as_tensor(factor, dtype=output.dtype, device=output.device)
            try:
                return torch.where(by == 0, torch.zeros((), dtype=output.dtype, device=output.device), output * by)
            except RuntimeError as error:
                shapes = f"{tuple(by.shape)} beside the output {tuple(output.shape)}"
                raise BadInput(f"The factor of layer {layer!r} has shape {shapes}. Give one that fits.") from error

        return hook

    with ExitStack() as hooks:
        for layer, child in wanted.items():
            hooks.callback(child.register_forward_hook(scale(layer, factors[layer])).remove)
        yield
