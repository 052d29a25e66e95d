"""Max-pooling in a recorded pass: what it gives stays the same, and less of memory is read for it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, Node

_POOL, _CAT = "aten.max_pool2d.default", "aten.cat.default"
_RELU = ("aten.relu.default", "aten.relu_.default")


def pools_first(graph: Graph, shown: dict[str, Node]) -> dict[str, Node]:
    """Move every max-pooling that alone reads maps laid side by side in front of that: the parts are pooled, and what
    is laid side by side is as many times smaller as its strides leave out. Nodes of `shown` stay, or have a successor
    in the dict that is returned."""
    moved: dict[Node, Node] = {}
    for node in list(graph.nodes):
        if not (_is(node, _POOL) and _is(node.args[0], _CAT)):
            continue
        side_by_side = node.args[0]
        parts, axis = (*side_by_side.args, 0)[:2]
        if list(side_by_side.users) != [node] or side_by_side in shown.values() or axis not in (1, -3):
            continue
        with graph.inserting_before(node):
            pooled = [graph.call_function(node.target, (part, *node.args[1:])) for part in parts]
            moved[node] = graph.call_function(side_by_side.target, (pooled, axis))
        node.replace_all_uses_with(moved[node])
        graph.erase_node(node)
        graph.erase_node(side_by_side)
    return {call: moved.get(node, node) for call, node in shown.items()}


def compare_whole(graph: Graph) -> None:
    """Let every max-pooling of maps behind a rectifier, where there is no NaN, compare bfloat16 values as whole
    numbers, see `running.peaks`: in half the time."""
    rectified: set[Node] = set()
    for node in graph.nodes:
        if _is(node, *_RELU) or (_is(node, _CAT) and rectified.issuperset(node.args[0])):
            rectified.add(node)
        elif _is(node, _POOL) and node.args[0] in rectified:
            node.target = pooled_whole
            rectified.add(node)


def pooled_whole(maps: Tensor, *how: Any) -> Tensor:
    """`torch.max_pool2d` of maps (N, C, H, W) of which no unit is below 0, nor NaN."""
    if maps.dtype != torch.bfloat16:
        return torch.ops.aten.max_pool2d.default(maps, *how)
    return torch.ops.aten.max_pool2d.default(maps.view(torch.int16), *how).view(maps.dtype)


def _is(node: Any, *names: str) -> bool:
    return isinstance(node, Node) and node.op == "call_function" and not node.kwargs and str(node.target) in names
