"""Blocks of a drawn network: equal neighbours folded into one, branches merged, and the layers of a dense block side
by side."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cnnviz.figures.anatomy.layout import Layout, arrange
from cnnviz.figures.anatomy.nodes import GraphNode, build_nodes

if TYPE_CHECKING:
    from cnnviz.studies.anatomy.rows import Anatomy

LEAST = 3  # equal neighbours that are folded
FEW = 12  # blocks that are drawn as branches of each other at most
MANY = 120  # blocks that are drawn at most; more are folded whether asked for or not

_FACTOR = re.compile(r"\d+\.\d+")  # a fixed number that a layer multiplies by


@dataclass(frozen=True, slots=True)
class Unit:
    """One block, `repeat` equal blocks, the layers of a `dense` block, or blocks `merged` because they are
    branches of each other.

    `blocks`: indices of the blocks it stands for; `cells`: of the first or of all, or one a dense layer;
    `layout`: node 0 is the entry, node i + 1 the cell i; `reads`: units whose output enters. `varied`: the blocks
    have the same layers and each its own factors, of which the cells name the first and the last."""

    blocks: list[int]
    name: str
    output: tuple[int, ...]
    cells: list[GraphNode]
    layout: Layout
    reads: tuple[int, ...]
    dense: bool = False
    merged: bool = False
    varied: bool = False

    @property
    def repeat(self) -> int:
        return 1 if self.dense or self.merged else len(self.blocks)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of its output; vectors count as one pixel."""
        return (self.output[1], self.output[2]) if len(self.output) == 3 else (1, 1)


def group_blocks(anatomy: Anatomy, fold: bool) -> list[Unit]:
    """The units of a network in the order of the forward pass. `fold`: draw equal neighbours once."""
    cells = build_nodes(anatomy)
    groups = _group_by_block(cells)
    dense = _find_dense_runs(anatomy, cells, groups)
    taken = {block for run in dense for block in run}
    branches = _find_branches(cells, groups, taken)
    taken |= {block for run in branches for block in run}
    runs = _find_equal_runs(cells, groups, fold or len(groups) - len(taken) > MANY, taken)
    runs = sorted([*runs, *dense, *branches], key=lambda run: run[0])
    unit_of = {block: number for number, run in enumerate(runs) for block in run}
    made: list[Unit] = []
    for number, run in enumerate(runs):
        members = run if run in dense else run[:1]
        outside = {unit_of[cells[p].block] for b in members for c in groups[b] for p in cells[c].parents if p >= 0}
        if made and made[-1].dense:  # what the dense layers read comes out at their end
            outside -= set(made[-1].reads)
        reads = tuple(sorted(outside - {number}))
        if run in dense:
            made.append(_build_dense_unit(anatomy, cells, groups, run, reads))
        else:
            made.append(_build_unit(anatomy, cells, groups, run, reads, run in branches))
    return made


def choose_example_block(anatomy: Anatomy) -> int | None:
    """The block that shows best how the network is built: the fourth dense layer, else the first of those
    with most cells; None if no block has more than one."""
    counts: dict[int, int] = {}
    for cell in build_nodes(anatomy):
        counts[cell.block] = counts.get(cell.block, 0) + 1
    dense = [number for number, block in enumerate(anatomy.blocks) if block.kind == "dense"]
    if len(dense) > LEAST:
        return dense[LEAST]
    best = max(counts, key=counts.__getitem__, default=None)
    return best if best is not None and counts[best] > 1 else None


def _build_unit(
    anatomy: Anatomy,
    cells: list[GraphNode],
    groups: dict[int, list[int]],
    run: list[int],
    reads: tuple[int, ...],
    merged: bool,
) -> Unit:
    """A block, a run of equal ones, or branches in one."""
    inside = [c for block in run for c in groups[block]] if merged else groups[run[0]]
    output = cells[groups[run[-1]][-1]].output
    name = "" if merged else anatomy.blocks[run[0]].block
    first, last = [cells[c] for c in inside], [cells[c] for c in groups[run[-1]]]
    shown = first if merged else [_join_factors(*ends) for ends in zip(first, last, strict=True)]
    layout = arrange(local_parents(cells, inside))
    return Unit(run, name, output, shown, layout, reads, merged=merged, varied=shown != first)


def _join_factors(first: GraphNode, last: GraphNode) -> GraphNode:
    """The cell of the first of equal blocks, where the last one's has other factors with both: "× 0.991 … 0.833"."""

    def join(one: str, other: str) -> str:
        ends = iter(_FACTOR.findall(other))
        return _FACTOR.sub(lambda found: _span_text(found[0], next(ends, found[0])), one) if one != other else one

    return replace(first, label=join(first.label, last.label), notes=join(first.notes, last.notes))


def _span_text(first: str, last: str) -> str:
    return first if first == last else f"{float(first):.3g} … {float(last):.3g}"


def _build_dense_unit(
    anatomy: Anatomy, cells: list[GraphNode], groups: dict[int, list[int]], run: list[int], reads: tuple[int, ...]
) -> Unit:
    """One cell a layer: its last one, which reads what the layer reads."""
    place = {block: i + 1 for i, block in enumerate(run)}
    last = [cells[groups[block][-1]] for block in run]
    graph: list[list[int]] = [[]]
    for block in run:
        parents = {cells[p].block if p >= 0 else p for c in groups[block] for p in cells[c].parents}
        graph.append(sorted({place.get(parent, 0) for parent in parents - {block}} or {0}))
    first, _, rest = anatomy.blocks[run[0]].block.rpartition(".")
    name = first or rest
    return Unit(run, f"{name}: {len(run)} dense layers", last[-1].output, last, arrange(graph), reads, True)


def local_parents(cells: list[GraphNode], inside: list[int]) -> list[list[int]]:
    """Parents of the cells `inside` a block, as `arrange` takes them: 0 is what enters the block."""
    place = {c: i + 1 for i, c in enumerate(inside)}
    return [[], *([place.get(p, 0) for p in cells[c].parents] or [0] for c in inside)]


def _group_by_block(cells: list[GraphNode]) -> dict[int, list[int]]:
    """{block: its cells}, in the order in which blocks begin."""
    groups: dict[int, list[int]] = {}
    for index, cell in enumerate(cells):
        groups.setdefault(cell.block, []).append(index)
    return groups


def _find_dense_runs(anatomy: Anatomy, cells: list[GraphNode], groups: dict[int, list[int]]) -> list[list[int]]:
    """Runs of dense layers of one map size, each of which reads the one before it."""
    runs: list[list[int]] = []
    before = None
    for block, inside in groups.items():
        size = cells[inside[-1]].output[1:]
        reads = {cells[p].block for c in inside for p in cells[c].parents if p >= 0} - {block}
        if anatomy.blocks[block].kind == "dense":
            if runs and before == size and runs[-1][-1] in reads:
                runs[-1].append(block)
            else:
                runs.append([block])
            before = size
        else:
            before = None
    return [run for run in runs if len(run) >= LEAST]


def _find_branches(cells: list[GraphNode], groups: dict[int, list[int]], leave: set[int]) -> list[list[int]]:
    """Neighbouring blocks that are no chain, e.g. branches that one concatenation joins; a few at most."""
    order = [block for block in groups if block not in leave]
    reads = {b: {cells[p].block if p >= 0 else -1 for c in groups[b] for p in cells[c].parents} - {b} for b in order}
    runs, run = [], []
    for place, block in enumerate(order):
        run.append(block)
        later = order[place + 1 :]
        past = {-1, *order[:place]}
        if not any(reads[b] & past for b in later):  # all that follows reads this block alone
            runs.append(run)
            run = []
    return [run for run in runs if 1 < len(run) <= FEW]


def _find_equal_runs(
    cells: list[GraphNode], groups: dict[int, list[int]], fold: bool, leave: set[int]
) -> list[list[int]]:
    """Blocks in runs of equal ones; without `fold` every run is one block. `leave`: drawn otherwise."""
    runs: list[list[int]] = []
    last: tuple | None = None
    for block, inside in groups.items():
        if block in leave:
            last = None
            continue
        looks = _describe_block(cells, inside)
        if runs and looks == last:
            runs[-1].append(block)
        else:
            runs.append([block])
        last = looks
    if fold:
        return [part for run in runs for part in ([run] if len(run) >= LEAST else [[b] for b in run])]
    return [[block] for run in runs for block in run]


def _describe_block(cells: list[GraphNode], inside: list[int]) -> tuple:
    """What two equal blocks share: every cell with its place, and where it reads. Fixed factors may differ."""
    graph = local_parents(cells, inside)[1:]
    looks = []
    for c, reads in zip(inside, graph, strict=True):
        cell = cells[c]
        label = cell.label if cell.paint != "other" else re.sub(r"\d[\d.]*", "n", cell.label)
        notes = re.sub(r"\d+\.\d+", "n", cell.notes)
        looks.append((label, cell.before, notes, cell.output, tuple(reads)))
    return tuple(looks)
