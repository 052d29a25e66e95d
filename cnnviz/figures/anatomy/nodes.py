"""Nodes of a drawn network: a convolution, a linear layer, a pool or a join, with the norms, rectifiers and dropouts
that only follow or precede it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from cnnviz.figures.base.charts import count_text
from cnnviz.figures.base.colors import KINDS
from cnnviz.figures.base.text import size_text
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.anatomy.rows import Anatomy, LayerRow

MAIN = ("conv", "linear", "pool")
JOINS = ("add", "multiply", "concat")
INPUT = -1  # as a parent: the image


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One shape of the drawing. `row`: index of its main row; `block`: index of its block; `paint`: key of
    colors.KINDS; `short`: two lines for a small cell; `label`: one line for a large one; `before`, `notes`:
    what was taken in ahead of it and behind it, e.g. "BN · ReLU"; `parents`: cells it reads, INPUT for the image."""

    row: int
    block: int
    kind: str
    paint: str
    short: tuple[str, ...]
    label: str
    before: str
    notes: str
    title: str
    output: tuple[int, ...]
    parents: tuple[int, ...]


def build_nodes(anatomy: Anatomy) -> list[GraphNode]:
    """The cells of a network in the order of the forward pass."""
    rows = anatomy.rows
    home = _find_homes(rows)
    block_of = {row: number for number, block in enumerate(anatomy.blocks) for row in block.rows}
    mains = sorted(set(home))
    number = {main: i for i, main in enumerate(mains)}
    taken: dict[int, list[int]] = {main: [] for main in mains}
    for row, main in enumerate(home):
        taken[main].append(row)
    made = []
    for main in mains:
        reads = {number[home[p]] for r in taken[main] for p in rows[r].parents if home[p] != main}
        image = any(not rows[r].parents for r in taken[main])
        parents = ((INPUT,) if image else ()) + tuple(sorted(reads))
        made.append(_build_node(rows, main, taken[main], block_of.get(main, 0), parents))
    return made


def _find_homes(rows: Sequence[LayerRow]) -> list[int]:
    """The main row that each row is drawn with: its own, or that of the neighbour it belongs to."""
    readers: list[list[int]] = [[] for _ in rows]
    for row in rows:
        for p in set(row.parents):
            readers[p].append(row.index)
    home = list(range(len(rows)))
    led: set[int] = set()  # convolutions that norms and rectifiers lead to
    for row in rows:
        if row.kind in (*MAIN, *JOINS):
            continue
        behind = row.parents[0] if len(set(row.parents)) == 1 else None
        if behind is not None and len(readers[behind]) != 1:
            behind = None
        ahead = _find_reader(rows, readers, row.index)
        if behind is None:
            home[row.index] = row.index if ahead is None else ahead
        elif row.kind == "norm" and ahead is not None and (rows[behind].kind in (*JOINS, "pool") or behind in led):
            home[row.index] = ahead  # pre-activation
        elif rows[behind].block == row.block:
            home[row.index] = home[behind]
        elif ahead is not None:
            home[row.index] = ahead
        if home[row.index] > row.index:
            led.add(home[row.index])
    return home


def _find_reader(rows: Sequence[LayerRow], readers: list[list[int]], index: int) -> int | None:
    """The convolution or linear layer that a chain of small rows leads to and nothing else."""
    while rows[index].kind not in (*MAIN, *JOINS):
        if len(readers[index]) != 1 or len(set(rows[readers[index][0]].parents)) != 1:
            return None
        index = readers[index][0]
    return index if rows[index].kind in ("conv", "linear") else None


def _build_node(
    rows: Sequence[LayerRow], main: int, taken: list[int], block: int, parents: tuple[int, ...]
) -> GraphNode:
    row = rows[main]
    ahead = [abbreviate(rows[r]) for r in taken if r < main]
    behind = [abbreviate(rows[r]) for r in taken if r > main]
    output = rows[max(taken)].output
    before, after = (" · ".join(dict.fromkeys(notes)) for notes in (ahead, behind))
    label, title = _label(row), _title(row, [*ahead, *behind])
    return GraphNode(
        main, block, row.kind, choose_paint(row), _short(row), label, before, after, title, output, parents
    )


def abbreviate(row: LayerRow) -> str:
    """A few letters for a row that is taken in: "BN", "ReLU", "LRN", "dropout"."""
    if row.kind == "norm":
        text = row.detail.lower()
        return "LN" if "layer" in text else "GN" if "group" in text else "BN"
    if row.kind == "lrn":
        return "LRN"
    if row.kind == "dropout":
        return "dropout"
    return re.split(r"[,(]", row.detail or row.kind)[0].strip()[:14]


def choose_paint(row: LayerRow) -> str:
    """Key of colors.KINDS."""
    if row.kind == "conv":
        window = prod(row.kernel or (0,))
        if row.groups > 1 and row.weights in (0, row.output[0] * window):  # 0: a shared layer's second call
            return "depthwise"
        return "conv1" if window == 1 else "conv"
    return row.kind if row.kind in KINDS else "other"


def _stride(row: LayerRow) -> str:
    return f" /{max(row.stride)}" if row.stride and max(row.stride) > 1 and len(row.output) > 1 else ""


def _pool(row: LayerRow) -> str:
    text = row.detail.lower()
    return "max" if "max" in text else "avg" if "av" in text or "mean" in text else "pool"


def _short(row: LayerRow) -> tuple[str, ...]:
    if row.kind == "conv":
        return size_text(row.kernel), f"{row.output[0]}{_stride(row)}"
    if row.kind == "linear":
        return "linear", str(row.output[-1])
    if row.kind == "pool":
        return _pool(row), "global" if prod(row.output[1:]) == 1 else f"{size_text(row.kernel)}{_stride(row)}"
    if row.kind in JOINS:
        return ({"add": "+", "multiply": "×", "concat": "concat"}[row.kind],)
    return (abbreviate(row),)


def _label(row: LayerRow) -> str:
    if row.kind == "conv":
        kind = "depthwise" if choose_paint(row) == "depthwise" else "conv"
        groups = f", {plural(row.groups, 'group')}" if row.groups > 1 and kind == "conv" else ""
        return f"{size_text(row.kernel)} {kind}, {row.output[0]}{_stride(row)}{groups}"
    if row.kind == "linear":
        return f"linear, {row.output[-1]}"
    if row.kind == "pool":
        size = "global" if prod(row.output[1:]) == 1 else size_text(row.kernel)
        return f"{size} {_pool(row)} pool{_stride(row) if size != 'global' else ''}"
    return "concat" if row.kind == "concat" else _short(row)[0]


def _title(row: LayerRow, notes: list[str]) -> str:
    """What is said when the mouse rests on the cell."""
    field = f"; receptive field {size_text(row.receptive_field)}" if row.receptive_field else ""
    cost = f"; {plural(count_text(row.parameters), 'parameter')}" if row.parameters else ""
    cost += f", {count_text(row.macs)} MACs" if row.macs else ""
    extra = f" (with {', '.join(notes)})" if notes else ""
    return f"{row.layer}: {row.detail}{extra}\noutput {shape_text(row.output)}{cost}{field}"


def shape_text(shape: tuple[int, ...]) -> str:
    """(64, 56, 56) → "56×56×64", as papers write it; (1000,) → "1000"."""
    return "×".join(str(n) for n in (*shape[1:], shape[0])) if len(shape) > 1 else str(shape[0])
