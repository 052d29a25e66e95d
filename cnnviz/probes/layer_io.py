"""Input and output of a layer in one forward pass."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from cnnviz.errors import BadInput
from cnnviz.probes.forward import find_modules, first_tensor


def capture_io(module: nn.Module, batch: Tensor, layers: list[str], most: int = 0) -> dict[str, tuple[Tensor, Tensor]]:
    """{layer: (its input, its output)} of the last call of each layer in one pass over `batch` (N, C, H, W); with at
    most so many images in a pass, `most`, where not all may share one.

    Clones, so that later in-place operations do not show. The caller holds the model's lock. Raises UnknownName for a
    layer the network has not, BadInput for one that does not run or is given no tensor."""
    if 0 < most < len(batch):
        parts = [capture_io(module, part, layers) for part in batch.split(most)]
        ends = {layer: [part[layer] for part in parts] for layer in parts[0]}
        return {
            layer: (torch.cat([a for a, _ in pairs]), torch.cat([b for _, b in pairs])) for layer, pairs in ends.items()
        }
    inputs: dict[str, Tensor] = {}
    found: dict[str, tuple[Tensor, Tensor]] = {}
    wanted = find_modules(module, layers)

    def before(layer: str, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        inputs[layer] = first_tensor((*given, *named.values()), layer).clone()

    def after(layer: str, output: Any) -> None:
        found[layer] = (inputs[layer], first_tensor(output, layer).clone())

    with ExitStack() as hooks, torch.no_grad():
        for layer, child in wanted.items():
            enter = child.register_forward_pre_hook(
                lambda _m, given, named, layer=layer: before(layer, given, named), with_kwargs=True
            )
            leave = child.register_forward_hook(lambda _m, _i, output, layer=layer: after(layer, output))
            hooks.callback(enter.remove)
            hooks.callback(leave.remove)
        module(batch.clone())  # the network may write into it
    missing = [layer for layer in layers if layer not in found]
    if missing:
        raise BadInput(f"Layer {missing[0]!r} did not run in the forward pass. It may be used only in training.")
    return found
