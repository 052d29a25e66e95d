"""The blocks of a network: residual units, Inception modules, dense layers, and what lies between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from cnnviz.studies.anatomy.rows import BlockRow, LayerRow, measure_depth

if TYPE_CHECKING:
    from torch import nn

    from cnnviz.tracing.graph import Graph, Node

_JOINS = ("add", "multiply", "concat")
_HEADS = ("conv", "linear", "pool", *_JOINS)  # what starts a block of its own; norms and rectifiers follow
_PLAIN = ("Sequential", "ModuleList", "ModuleDict")
_MOST_CONVOLUTIONS = 4  # of a repeated module without branches that still counts as one block
_WORDS = ("fire", "transition", "highway", "fractal", "dense")  # kinds that classes or names tell


def name_blocks(module: nn.Module, graph: Graph) -> list[str]:
    """The block of each node: a module of the network, or the first layer of a plain run of layers."""
    units = _find_units(module, graph)
    names: list[str] = []
    for node in graph.nodes:
        unit = next((path for path in _ancestors(node.module) if path in units), None)
        names.append(unit or _find_run(node, graph, names, units))
    names = _assign_concatenations(graph, names, units)
    return _name_runs(graph, names, units)


def _find_run(node: Node, graph: Graph, names: list[str], units: set[str]) -> str:
    """Block of a layer outside all units: that of the layer it follows, or a new one, "#7"."""
    parents = {names[parent] for parent in node.parents}
    if node.kind in _HEADS or len(parents) != 1:
        return f"#{node.id}"
    in_unit = parents & units and node.kind not in ("activation", "dropout")  # the norm of a head is no part of it
    reshapes = node.kind == "other" and node.output != graph.nodes[node.parents[0]].output
    return f"#{node.id}" if in_unit or reshapes else parents.pop()


def _assign_concatenations(graph: Graph, names: list[str], units: set[str]) -> list[str]:
    """A concatenation that a single block reads belongs to it: a dense layer collects what it reads."""
    readers: dict[int, set[str]] = {}
    for parent, child in graph.edges:
        readers.setdefault(parent, set()).add(names[child])
    alone = Counter(names)
    found = list(names)
    for node in graph.nodes:
        read_by = readers.get(node.id, set())
        if node.kind == "concat" and alone[names[node.id]] == 1 and len(read_by) == 1 and read_by <= units:
            found[node.id] = next(iter(read_by))
    return found


def _name_runs(graph: Graph, names: list[str], units: set[str]) -> list[str]:
    """Runs are called after their first convolution, linear layer, pool or join, or the module around it
    that holds nothing else."""
    members: dict[str, list[Node]] = {}
    inside: dict[str, set[str]] = {}
    for node, name in zip(graph.nodes, names, strict=True):
        members.setdefault(name, []).append(node)
        for path in _ancestors(node.module):
            inside.setdefault(path, set()).add(name)
    called: dict[str, str] = {name: name for name in members if name in units}
    for name, nodes in members.items():
        if name not in units:
            head = next((node for node in nodes if node.kind in _HEADS), nodes[0])
            whole = next((path for path in _ancestors(head.module) if inside[path] == {name}), head.label)
            called[name] = _make_unique(whole, set(called.values()))
    return [called[name] for name in names]


def _make_unique(name: str, taken: set[str]) -> str:
    count = 2
    while name in taken:
        name, count = f"{name.rpartition(':')[0] if count > 2 else name}:{count}", count + 1
    return name


def _ancestors(path: str) -> list[str]:
    """["a", "a.b", "a.b.c"] for "a.b.c"; the network itself is no block."""
    parts = path.split(".") if path else []
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


def _find_units(module: nn.Module, graph: Graph) -> set[str]:
    """Paths of the modules that are one block each, never one within another."""
    joins, convolutions = Counter[str](), Counter[str]()
    own = Counter((node.module, node.kind) for node in graph.nodes if not node.call)
    for node in graph.nodes:
        for path in _ancestors(node.module)[: None if node.call == 0 else -1]:
            joins[path] += node.kind in _JOINS
            convolutions[path] += node.kind in ("conv", "linear")
    classes = {path: type(child).__name__ for path, child in module.named_modules()}
    repeated = Counter(classes[path] for path in convolutions)
    found: set[str] = set()
    for path in sorted(convolutions, key=lambda path: -path.count(".")):  # innermost first
        inside = {unit for unit in found if unit.startswith(f"{path}.")}
        branching = [unit for unit in inside if joins[unit]]
        dense = 1 < len(inside) <= own[path, "concat"]  # a concatenation for each block within
        plain = classes[path] in _PLAIN and not any(own[path, kind] for kind in _JOINS)
        plain = plain and "transition" not in path.rpartition(".")[2]
        if plain or dense or len(branching) > 1:  # a stage of several blocks
            continue
        small = convolutions[path] <= _MOST_CONVOLUTIONS and repeated[classes[path]] > 1
        if convolutions[path] and (joins[path] or small):
            found = found - inside | {path}
    return found


def block_rows(module: nn.Module, rows: Sequence[LayerRow]) -> tuple[BlockRow, ...]:
    """The blocks in the order in which the pass reaches them."""
    members: dict[str, list[LayerRow]] = {}
    for row in rows:
        members.setdefault(row.block, []).append(row)
    place = {name: i for i, name in enumerate(members)}
    classes = {path: type(child).__name__.lower() for path, child in module.named_modules()}
    return tuple(
        _block(name, classes.get(name, "") + name.rpartition(".")[2].lower(), found, _parents(found, rows, place))
        for name, found in members.items()
    )


def _block(name: str, words: str, rows: list[LayerRow], parents: tuple[int, ...]) -> BlockRow:
    last = rows[-1]
    return BlockRow(
        block=name,
        kind=_kind(words, rows),
        output=last.output,
        depth=measure_depth(rows),
        parameters=sum(row.parameters for row in rows),
        weights=sum(row.weights for row in rows),
        macs=sum(row.macs for row in rows),
        activations=sum(row.activations for row in rows if row.kind in ("conv", "linear", "pool")),
        receptive_field=last.receptive_field,
        rows=tuple(row.index for row in rows),
        parents=parents,
    )


def _kind(words: str, rows: list[LayerRow]) -> str:
    """What a block is called: as its class says where the field has a word, else by its joins and layers."""
    kinds = [row.kind for row in rows]
    convolutions = [row for row in rows if row.kind == "conv"]
    named = next((word for word in _WORDS if word in words), None)
    if named and convolutions:
        return named
    if "add" in kinds and {"conv", "linear"} & set(kinds):
        return "residual"
    if "concat" in kinds and len({row.kernel for row in convolutions}) > 1:
        return "inception"
    if any(row.groups > 1 and row.weights == row.output[0] * prod(row.kernel or ()) for row in convolutions):
        return "separable"
    if len(convolutions) > 1 and "concat" not in kinds:
        return "plain"
    return next((kind for kind in kinds if kind in _HEADS), kinds[0])


def _parents(block: list[LayerRow], rows: Sequence[LayerRow], place: dict[str, int]) -> tuple[int, ...]:
    """Blocks that `block` reads."""
    own = block[0].block
    read = dict.fromkeys(parent for row in block for parent in row.parents if rows[parent].block != own)
    return tuple(sorted({place[rows[parent].block] for parent in read}))
