"""What stands before a layer: the modules that have run when it ends, and the parameters that its output depends on."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cnnviz.errors import BadInput
from cnnviz.models.output import walk_tensors
from cnnviz.probes.forward import find_modules


class Upstream(NamedTuple):
    """`modules`: names of those that have ended at least once when the layer ends (for the last time), its own parts
    among them. `parameters`: names of those of them, and of those of any other module that the layer's output depends
    on, such as the table of positions of a transformer that has not ended yet."""

    modules: frozenset[str]
    parameters: frozenset[str]


def find_upstream(module: nn.Module, images: Tensor, layer: str) -> Upstream:
    """Whatever stands before `layer` and in it, by the order of one pass in eval mode over `images` (N, C, H, W).

    The mode is left as it was. Raises UnknownName for a layer the network has not, BadInput for one that does not
    run."""
    target = find_modules(module, [layer])[layer]
    names = {part: name for name, part in module.named_modules()}
    ended: list[nn.Module] = []
    found: list[tuple[set[nn.Module], Tensor | None]] = []

    def after(part: nn.Module, output: Any) -> None:
        ended.append(part)
        if part is target:
            sums = [t.sum() for t in walk_tensors(output) if t.is_floating_point() and t.requires_grad]
            found[:] = [(set(ended), torch.stack(sums).sum() if sums else None)]

    modes = {part: part.training for part in names}
    parameters = dict(module.named_parameters())
    with ExitStack() as stack, torch.enable_grad():
        for part in names:
            stack.callback(part.register_forward_hook(lambda m, _i, output: after(m, output)).remove)
        try:
            module.eval()(images.clone())
        finally:
            for part, mode in modes.items():
                part.training = mode
    if not found:
        raise BadInput(f"Layer {layer!r} did not run in the forward pass. It may be used only in training.")
    before, total = found[0]
    before |= set(target.modules())
    own = {id(p) for part in before for p in part.parameters(recurse=False)} | _list_used(total, parameters)
    return Upstream(
        frozenset(name for part, name in names.items() if part in before),
        frozenset(name for name, parameter in parameters.items() if id(parameter) in own),
    )


def _list_used(total: Tensor | None, parameters: dict[str, nn.Parameter]) -> set[int]:
    """Identities of the parameters that `total` depends on."""
    asked = [parameter for parameter in parameters.values() if parameter.requires_grad]
    if total is None or not asked:
        return set()
    gradients = torch.autograd.grad(total, asked, allow_unused=True)
    return {id(p) for p, gradient in zip(asked, gradients, strict=True) if gradient is not None}
