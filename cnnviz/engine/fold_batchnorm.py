"""Folding batch normalisation into the convolution before it, so that a point of a landscape costs less.

With frozen statistics, normalisation multiplies each filter by γ / √(σ² + ε) and shifts its output. While a
direction leaves γ and σ² alone, these factors are constants: weights and directions are folded once, and
every point of a plane is a linear combination of what was folded."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnnviz.errors import CnnvizError
from cnnviz.tracing.graph import Graph, Node, trace_graph

State = Mapping[str, Tensor]
_FOLDABLE = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True, slots=True)
class ConvNorm:
    """A convolution (or linear layer) whose output goes to one batch normalisation and nowhere else."""

    conv: str
    norm: str
    epsilon: float

    def scale(self, state: State) -> Tensor:
        """(F,) factors of the filters, γ / √(σ² + ε), in float64 where the device has it."""
        scale = (_widen(state[f"{self.norm}.running_var"]) + self.epsilon).rsqrt()
        gamma = state.get(f"{self.norm}.weight")
        return scale if gamma is None else scale * _widen(gamma)


def try_trace(module: nn.Module, input_size: tuple[int, int, int]) -> Graph | None:
    """The graph of a network in eval mode that the caller owns; None if it cannot be followed."""
    try:
        return trace_graph(module, input_size)
    except (CnnvizError, RuntimeError, TypeError, ValueError):  # it is then evaluated as it is
        return None


def find_foldable(module: nn.Module, graph: Graph | None) -> tuple[ConvNorm, ...]:
    """Where batch normalisation can be folded. `graph`: of `module`, see `try_trace`.

    Left out are layers that are called twice, share their weights or are not exactly PyTorch's own, outputs
    that something else reads too, and normalisations without running statistics."""
    if graph is None:
        return ()
    modules, shared = dict(module.named_modules()), _find_shared(module)
    calls = Counter(node.module for node in graph.nodes if node.call)
    readers = find_readers(graph)
    found = []
    for node in graph.nodes:
        after = readers[node.id]
        if not node.call or len(after) != 1 or after[0].parents != (node.id,) or not after[0].call:
            continue
        norm = after[0]
        conv, batch_norm = modules[node.module], modules[norm.module]
        once = calls[node.module] == calls[norm.module] == 1 and norm.call == 1
        if once and _fits(conv, batch_norm) and node.output == norm.output and not shared & {node.module, norm.module}:
            found.append(ConvNorm(node.module, norm.module, batch_norm.eps))
    return tuple(found)


def find_readers(graph: Graph) -> dict[int, list[Node]]:
    """{id of a node: the nodes that read its output}."""
    children: dict[int, list[Node]] = {node.id: [] for node in graph.nodes}
    for node in graph.nodes:
        for parent in node.parents:
            children[parent].append(node)
    return children


def _fits(conv: nn.Module, norm: nn.Module) -> bool:
    weight = conv._parameters.get("weight")
    if type(conv) not in _FOLDABLE or type(norm) not in _NORMS or weight is None:
        return False
    return norm.running_var is not None and bool(norm.num_features == len(weight))


def _find_shared(module: nn.Module) -> set[str]:
    """Names of the layers that hold a tensor which another layer holds too."""
    holders: dict[int, set[str]] = {}
    for name, child in module.named_modules(remove_duplicate=False):
        for tensor in child.parameters(recurse=False):
            holders.setdefault(id(tensor), set()).add(name)
    return set().union(*(names for names in holders.values() if len(names) > 1))


def copy_folded(module: nn.Module, folds: Iterable[ConvNorm]) -> nn.Module:
    """A copy of `module` in which folded normalisations pass their input on and their convolutions have a
    bias. Its tensors are to be set by `fold`."""
    twin = copy.deepcopy(module)
    for pair in folds:
        conv = twin.get_submodule(pair.conv)
        if conv.bias is None:
            conv.bias = nn.Parameter(conv.weight.new_zeros(len(conv.weight)), requires_grad=False)
        path, _, leaf = pair.norm.rpartition(".")
        setattr(twin.get_submodule(path), leaf, nn.Identity())
    return twin


def fold(state: State, folds: Iterable[ConvNorm]) -> dict[str, Tensor]:
    """The tensors of the folded network at one point. `state`: all tensors of the network there, float32."""
    folded = dict(state)
    for pair in folds:
        scale = pair.scale(state)
        weight, bias = f"{pair.conv}.weight", f"{pair.conv}.bias"
        folded[weight] = _scale_filters(state[weight], scale)
        shift = -_widen(state[f"{pair.norm}.running_mean"])
        if bias in state:
            shift = shift + _widen(state[bias])
        shift = shift * scale
        if f"{pair.norm}.bias" in state:
            shift = shift + _widen(state[f"{pair.norm}.bias"])
        folded[bias] = shift.to(state[weight].dtype)
        for name in _list_tensors(pair):
            folded.pop(name, None)
    return folded


def folds_linearly(direction: Iterable[str], folds: Iterable[ConvNorm]) -> bool:
    """Whether a move of these tensors leaves the factors of all filters alone."""
    factors = {f"{pair.norm}.{name}" for pair in folds for name in ("weight", "running_var")}
    return not factors & set(direction)


def fold_direction(direction: State, state: State, folds: Iterable[ConvNorm]) -> dict[str, Tensor]:
    """`direction` as the folded network sees it, where `folds_linearly` holds: the change of its tensors for
    a step of 1. `state`: all tensors of the network."""
    folded = dict(direction)
    for pair in folds:
        scale = pair.scale(state)
        weight, bias = f"{pair.conv}.weight", f"{pair.conv}.bias"
        shifts = [(bias, scale), (f"{pair.norm}.running_mean", -scale), (f"{pair.norm}.bias", torch.ones_like(scale))]
        moved = [_widen(direction[name]) * factor for name, factor in shifts if name in direction]
        for name in _list_tensors(pair):
            folded.pop(name, None)
        if weight in direction:
            folded[weight] = _scale_filters(direction[weight], scale)
        if moved:
            folded[bias] = sum(moved[1:], moved[0]).to(state[weight].dtype)
    return folded


def _widen(tensor: Tensor) -> Tensor:
    return tensor if tensor.device.type == "mps" else tensor.double()  # MPS has no float64


def _scale_filters(weight: Tensor, scale: Tensor) -> Tensor:
    return (_widen(weight) * scale.view(-1, *[1] * (weight.dim() - 1))).to(weight.dtype)


def _list_tensors(pair: ConvNorm) -> list[str]:
    kinds = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    return [f"{pair.norm}.{kind}" for kind in kinds]
