"""Max-pooling in a recorded pass: what it gives stays the same, and less of memory is read for it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, Node

from cnnviz.index.search.topk import WHOLE_NUMBERS

_POOL, _CAT = "aten.max_pool2d.default", "aten.cat.default"
_RELU = ("aten.relu.default", "aten.relu_.default")
LEAST = 16  # channels of a part, for which a pooling of its own pays


def pools_first(graph: Graph, shown: dict[str, Node]) -> dict[str, Node]:
    """Move every max-pooling that alone reads maps laid side by side in front of that: the parts are pooled, and what
    is laid side by side is as many times smaller as its strides leave out. Nodes of `shown` stay, or have a successor
    in the dict that is returned."""
    for node in list(graph.nodes):
        side_by_side = node.args[0] if _is(node, _POOL) else None
        if not _is(side_by_side, _CAT) or side_by_side in shown.values() or not _pays(side_by_side, node):
            continue
        with graph.inserting_before(node):
            pooled = [graph.call_function(node.target, (part, *node.args[1:])) for part in side_by_side.args[0]]
            together = graph.call_function(side_by_side.target, (pooled, 1))
        together.meta = node.meta
        node.replace_all_uses_with(together)
        graph.erase_node(node)
        graph.erase_node(side_by_side)
        shown = {call: together if at is node else at for call, at in shown.items()}
    return shown


def _pays(side_by_side: Node, pool: Node) -> bool:
    """Whether the pooling can be moved, and less has to be read and written then."""
    parts, axis = (*side_by_side.args, 0)[:2]
    shapes = [part.meta.get("shape", ()) for part in parts]
    kinds = {part.meta.get("dtype") for part in parts}
    if list(side_by_side.users) != [pool] or axis not in (1, -3) or not all(len(shape) == 4 for shape in shapes):
        return False
    if min(shape[1] for shape in shapes) < LEAST or len(kinds) > 1 or len(set(parts)) < len(parts):
        return False
    smaller = 2 * pool.meta["shape"][2:].numel() <= shapes[0][2:].numel()
    return smaller and not any(map(writes, _between(side_by_side, pool)))


def rectified_pools(graph: Graph) -> set[Node]:
    """The max-poolings of maps that are rectified and in which nobody has written since."""
    rectified, found = set[Node](), set[Node]()
    for node in graph.nodes:
        if writes(node) and not _is(node, *_RELU):
            rectified.clear()  # it may be into a view of any of them
        elif _is(node, *_RELU) or (_is(node, _CAT) and rectified.issuperset(node.args[0])):
            rectified.add(node)
        elif _is(node, _POOL) and node.args[0] in rectified:
            rectified.add(node)
            found.add(node)
    return found


def pooled_whole(maps: Tensor, *how: Any) -> Tensor:
    """`torch.max_pool2d` of maps (N, C, H, W) of which no unit is below 0, nor NaN, but for the sign of a zero:
    bfloat16 values are compared as whole numbers, see `running.peaks`, in half the time."""
    if maps.dtype != torch.bfloat16 or maps.shape[-2:].numel() > WHOLE_NUMBERS:
        return torch.ops.aten.max_pool2d.default(maps, *how)
    return torch.ops.aten.max_pool2d.default(maps.view(torch.int16), *how).view(maps.dtype)


def writes(node: Node) -> bool:
    """Whether it changes a tensor that it is given."""
    return node.op == "call_function" and bool(schema := getattr(node.target, "_schema", None)) and schema.is_mutable


def _between(first: Node, last: Node) -> list[Node]:
    found, node = [], first.next
    while node is not last:
        found.append(node)
        node = node.next
    return found


def _is(node: Any, *names: str) -> bool:
    return isinstance(node, Node) and node.op == "call_function" and not node.kwargs and str(node.target) in names
