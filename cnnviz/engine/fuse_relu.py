"""Fusing a sum and a ReLU into the convolution before them, on CPUs, where oneDNN can.

Beside narrow convolutions, reading and writing maps for `+` and ReLU takes as long as the convolution itself. Here
a convolution that is read by one of these alone answers with a promise; the sum joins it, the rectifier, or
whatever else asks first, has it computed in one go. No other code of the network needs to change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnviz.engine.fold_batchnorm import ConvNorm, find_readers
from cnnviz.tracing.graph import Graph, Node

_RELU = {F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}
_ADD = {torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__}


@dataclass(frozen=True, slots=True)
class Fusion:
    """A convolution that a sum or rectifier may join. `overwrites`: nothing reads what is added afterwards, so
    that the sum may take its place in memory."""

    conv: str
    overwrites: bool


def find_fusable(module: nn.Module, graph: Graph | None, folds: Iterable[ConvNorm]) -> tuple[Fusion, ...]:
    """The convolutions of `module` whose output, behind a folded normalisation, goes to a sum or ReLU and nowhere
    else. () where oneDNN is not at hand."""
    if graph is None or not torch.backends.mkldnn.is_available() or not hasattr(torch.ops, "mkldnn"):
        return ()
    modules, readers = dict(module.named_modules()), find_readers(graph)
    norms = {pair.norm: pair.conv for pair in folds}
    found = []
    for node in graph.nodes:
        after = readers[node.id]
        if not node.call or len(after) != 1 or after[0].operation.detail not in ("ReLU", "sum of 2"):
            continue
        conv = norms.get(node.module, node.module)
        if _is_plain(modules[conv]) and (conv != node.module or node.kind == "conv"):
            found.append(Fusion(conv, _may_overwrite(node, after[0], readers)))
    return tuple(found)


def _is_plain(conv: nn.Module) -> bool:
    return type(conv) is nn.Conv2d and conv.padding_mode == "zeros" and not isinstance(conv.padding, str)


def _may_overwrite(node: Node, joined: Node, readers: dict[int, list[Node]]) -> bool:
    """Whether the other summand comes from one layer whose other readers are done before, and so are theirs: a
    reader may be a promise that is kept only when it is read."""
    others = [parent for parent in joined.parents if parent != node.id]
    if joined.kind != "add" or len(others) != 1:
        return False
    before = [reader for reader in readers[others[0]] if reader.id != joined.id]
    behind = [later for reader in before for later in readers[reader.id]]
    return all(reader.id < joined.id for reader in [*before, *(n for n in behind if n.id != joined.id)])


def fuse(module: nn.Module, fusions: Iterable[Fusion]) -> None:
    """Let these convolutions of a private network answer with promises."""
    for fusion in fusions:
        conv = module.get_submodule(fusion.conv)
        conv.__class__ = _PromisingConv
        conv.__dict__["overwrites"] = fusion.overwrites


class _PromisingConv(nn.Conv2d):
    overwrites = False

    def forward(self, input: Any) -> Any:  # noqa: A002, the name that PyTorch uses
        return Promise(self, _settle(input).to(self.weight.dtype))


class Promise:
    """The output of a convolution that is still to be computed, perhaps with a tensor to be added."""

    def __init__(self, conv: nn.Conv2d, images: Tensor, added: Tensor | None = None) -> None:
        self._conv, self._images, self._added = conv, images, added
        self._kept: Tensor | None = None

    def _compute(self, after: str) -> Tensor:
        conv = self._conv
        tensors, how = (conv.weight, conv.bias), (conv.padding, conv.stride, conv.dilation, conv.groups)
        if self._added is None:
            return torch.ops.mkldnn._convolution_pointwise(self._images, *tensors, *how, after, [], "")
        unary = after if after != "none" else None
        more: tuple[Any, ...] = (*tensors, *how, "add", None, unary, [], "")
        if conv.overwrites and self._added.is_contiguous(memory_format=torch.channels_last):
            return torch.ops.mkldnn._convolution_pointwise_.binary(self._added, self._images, *more)
        return torch.ops.mkldnn._convolution_pointwise.binary(self._images, self._added, *more)

    def _value(self) -> Tensor:
        if self._kept is None:
            self._kept = self._compute("none")
        return self._kept

    def __add__(self, other: Any) -> Promise | Tensor:
        other = _settle(other)
        same = isinstance(other, Tensor) and other.dtype == self._conv.weight.dtype
        if not same or self._added is not None or other.dim() != 4 or other.shape[1] != self._conv.out_channels:
            return self._value() + other
        return Promise(self._conv, self._images, other)

    __radd__ = __add__

    def __getattr__(self, name: str) -> Any:
        return getattr(self._value(), name)

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function in _RELU and isinstance(args[0], Promise):
            return args[0]._compute("relu")
        if function in _ADD and len(args) == 2 and not kwargs:
            first, second = args if isinstance(args[0], Promise) else args[::-1]
            return first + second
        return function(*_settle(list(args)), **_settle(kwargs or {}))


def _settle(value: Any) -> Any:
    """`value` with every promise in it kept."""
    if isinstance(value, Promise):
        return value._value()
    if isinstance(value, list | tuple):
        return type(value)(_settle(part) for part in value)
    return {key: _settle(part) for key, part in value.items()} if isinstance(value, dict) else value
