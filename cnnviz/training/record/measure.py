"""What is measured of a layer in training: the norms of its gradient and weights, and how far a step moves it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class LayerMoment:
    """One layer after one step. Norms are L2 norms over its trainable parameters; NaN: not known.

    `gradient`: of the step's gradient; `weight`: of the weights after it; `update`: of their change over that of the
    weights before, the ratio that a healthy training keeps near 1e-3."""

    gradient: float
    weight: float
    update: float


def group_parameters(module: nn.Module) -> dict[str, list[Tensor]]:
    """{layer: its own trainable parameters}, in the order of the network; a layer is a module that owns some."""
    found: dict[str, list[Tensor]] = {}
    for name, part in module.named_modules():
        own = [p for p in part.parameters(recurse=False) if p.requires_grad and p.is_floating_point()]
        if own:
            found[name or "network"] = own
    return found


@torch.no_grad()
def copy_weights(groups: dict[str, list[Tensor]]) -> dict[str, list[Tensor]]:
    """The weights as they are now."""
    return {name: [p.detach().clone() for p in own] for name, own in groups.items()}


@torch.no_grad()
def measure_layers(groups: dict[str, list[Tensor]], before: dict[str, list[Tensor]] | None) -> dict[str, LayerMoment]:
    """{layer: what this step did to it}. `before`: the weights before the step; None if they were not kept."""
    names = list(groups)
    gradients = [_norm([p.grad for p in groups[name] if p.grad is not None]) for name in names]
    weights = [_norm(groups[name]) for name in names]
    updates = [torch.tensor(float("nan"))] * len(names)
    if before is not None:
        pairs = [(before[name], groups[name]) for name in names]
        updates = [_norm([p - q for p, q in zip(new, old, strict=True)]) / _norm(old) for old, new in pairs]
    columns = [torch.stack([one.cpu() for one in column]).tolist() for column in (gradients, weights, updates)]
    return {name: LayerMoment(*values) for name, *values in zip(names, *columns, strict=True)}


def _norm(tensors: list[Tensor]) -> Tensor:
    """L2 norm over several tensors, float32; NaN for none."""
    if not tensors:
        return torch.tensor(float("nan"))
    return torch.stack([torch.linalg.vector_norm(t.float()) for t in tensors]).norm()
