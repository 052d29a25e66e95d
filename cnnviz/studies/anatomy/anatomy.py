"""Anatomy of a network: layers, shapes, parameters, multiply-adds and memory for one image."""

from __future__ import annotations

from functools import lru_cache
from math import prod

import torch
from torch import nn

from cnnviz.errors import CnnvizError
from cnnviz.models.catalogue.architecture import Architecture
from cnnviz.models.catalogue.registry import find
from cnnviz.models.model import LoadedModel
from cnnviz.models.state import NetworkCache
from cnnviz.studies.anatomy.blocks import block_rows, name_blocks
from cnnviz.studies.anatomy.rows import Anatomy, BlockRow, LayerRow, measure_depth
from cnnviz.tracing.graph import Graph, Node, trace_graph

__all__ = ["Anatomy", "BlockRow", "LayerRow", "anatomy"]

_FLOAT = 4  # bytes of a float32
_KEPT = ("conv", "pool", "linear")  # what needs memory of its own: the rest works in place
_LOADED: NetworkCache[Anatomy] = NetworkCache()


def anatomy(model: LoadedModel | str) -> Anatomy:
    """The layers and blocks of a network at its default input.

    `model`: a loaded model, or a name of `cnnviz.architectures()`, which is built without memory for its
    weights. Multiply-adds count convolutions and linear layers, attention's projections and other products of a matrix
    with learned values among them, without biases; they are what papers call FLOPs. Products of two activations, as of
    attention's queries with its keys, are not counted. One forward pass is followed, so functional code, shared
    layers and branches are counted as they run in evaluation; what a branch without the image costs stands with
    the layer that uses it. Remembered per architecture and per network.
    Raises UnknownName for a name that the catalogue has not.

    Example:
        >>> import cnnviz
        >>> table = cnnviz.anatomy("lenet5")
        >>> table.parameters, table.macs
        (61706, 416520)
        >>> [(row.layer, row.output, row.parameters) for row in table if row.kind == "conv"]
        [('conv1', (6, 28, 28), 156), ('conv2', (16, 10, 10), 2416)]
    """
    if isinstance(model, str):
        return _build_anatomy(find(model))

    def follow() -> Anatomy:
        graph = trace_graph(model.module, model.input_size)
        return _assemble(model.name, _find_title(model.name), model.input_size, model.module, graph)

    with model.lock:
        return _LOADED.get(model.module, follow, model.input_size)


def _find_title(name: str) -> str:
    try:
        return find(name).title
    except CnnvizError:  # a network of the user's own
        return name


@lru_cache(maxsize=128)
def _build_anatomy(entry: Architecture) -> Anatomy:
    try:
        with torch.device("meta"):
            module = entry.builder(entry.classes).eval()
        graph = trace_graph(module, entry.input_size)
    except Exception:  # its code looks at values, in any way: then they must exist
        module = entry.builder(entry.classes).eval()
        graph = trace_graph(module, entry.input_size)
    return _assemble(entry.name, entry.title, entry.input_size, module, graph)


def _assemble(name: str, title: str, input_size: tuple[int, int, int], module: nn.Module, graph: Graph) -> Anatomy:
    parameters = {key: tensor.numel() for key, tensor in module.named_parameters()}
    weights = {key: tensor.numel() for key, tensor in module.named_parameters() if _is_weight(key, tensor)}
    blocks = name_blocks(module, graph)
    rows = tuple(_make_row(node, blocks[node.id], parameters, weights) for node in graph.nodes)
    held = prod(input_size) + sum(row.activations for row in rows if _is_held(row, graph.nodes[row.index]))
    return Anatomy(
        name=name,
        title=title,
        input_size=input_size,
        rows=rows,
        blocks=block_rows(module, rows),
        parameters=sum(parameters.values()),
        weights=sum(weights.values()),
        macs=sum(row.macs for row in rows),
        depth=measure_depth(rows),
        activations=held,
        activation_bytes=held * _FLOAT,
    )


def _make_row(node: Node, block: str, parameters: dict[str, int], weights: dict[str, int]) -> LayerRow:
    operation, values = node.operation, prod(node.output)
    return LayerRow(
        index=node.id,
        layer=node.label,
        kind=operation.kind,
        detail=operation.detail,
        block=block,
        output=node.output,
        kernel=operation.kernel,
        stride=operation.stride,
        padding=operation.padding,
        groups=operation.groups,
        parameters=sum(parameters[key] for key in node.parameters),
        weights=sum(weights.get(key, 0) for key in node.parameters),
        macs=operation.macs,
        activations=values,
        activation_bytes=values * _FLOAT,
        receptive_field=node.receptive_field,
        parents=node.parents,
    )


def _is_weight(name: str, parameter: torch.Tensor) -> bool:
    """Kernels and matrices, unlike biases and the scales of norms."""
    return parameter.ndim > 1 and name.rpartition(".")[2] != "bias"


def _is_held(row: LayerRow, node: Node) -> bool:
    """Whether the layer's output is a map of its own; an adaptive pool at its own size changes nothing."""
    same = row.kind == "pool" and row.output == node.inputs and "changes nothing" in row.detail
    return row.kind in _KEPT and not same
