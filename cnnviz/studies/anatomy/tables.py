"""An anatomy as text: CSV with every figure to the unit, and tables for people."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING

from cnnviz.errors import BadInput

if TYPE_CHECKING:
    from cnnviz.studies.anatomy.rows import Anatomy, BlockRow, LayerRow

_LAYER_COLUMNS = ("#", "layer", "operation", "output", "parameters", "MACs", "memory", "field", "reads")
_BLOCK_COLUMNS = ("block", "kind", "output", "depth", "parameters", "MACs", "memory", "field")
_CSV_COLUMNS = (
    "index", "layer", "kind", "detail", "block", "output (C×H×W)", "kernel (h×w)", "stride (h×w)", "padding (h×w)",
    "groups", "parameters (with biases)", "weights (without biases)", "MACs (multiply-adds, one image)",
    "activations (values, one image)", "activation memory (bytes, float32)", "receptive field (pixels, h×w)",
    "reads (indices; empty: the image)",
)  # fmt: skip


def csv_text(anatomy: Anatomy) -> str:
    """Header and one line a layer; plain numbers, sizes as "64×224×224", parents as "3 5"."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV_COLUMNS)
    for row in anatomy.rows:
        sizes = [size(value) for value in (row.output, row.kernel, row.stride, row.padding)]
        counts = [row.groups, row.parameters, row.weights, row.macs, row.activations, row.activation_bytes]
        reads = " ".join(str(parent) for parent in row.parents)
        named = [row.index, row.layer, row.kind, row.detail, row.block]
        writer.writerow([*named, *sizes, *counts, size(row.receptive_field), reads])
    return text.getvalue()


def readable(anatomy: Anatomy, kind: str = "layers") -> list[list[str]]:
    """Header, one line a layer or block, and the totals. Raises BadInput for another kind."""
    total = [f"{anatomy.parameters:,}", amount(anatomy.macs), total_memory(anatomy.activations), ""]
    if kind == "layers":
        lines = [_layer_line(row) for row in anatomy.rows]
        return [list(_LAYER_COLUMNS), *lines, ["", "total", f"depth {anatomy.depth}", "", *total, ""]]
    if kind == "blocks":
        lines = [_block_line(row) for row in anatomy.blocks]
        return [list(_BLOCK_COLUMNS), *lines, ["total", "", "", str(anatomy.depth), *total]]
    raise BadInput(f'An anatomy has tables of "layers" and "blocks", got {kind!r}.')


def _layer_line(row: LayerRow) -> list[str]:
    reads = _runs(row.parents) if row.parents != (row.index - 1,) else ""  # the line above goes without saying
    cost = [f"{row.parameters:,}" if row.parameters else "", amount(row.macs), memory(row.activations)]
    return [str(row.index), row.layer, row.detail, size(row.output), *cost, size(row.receptive_field), reads]


def _block_line(row: BlockRow) -> list[str]:
    cost = [f"{row.parameters:,}" if row.parameters else "", amount(row.macs), memory(row.activations)]
    depth = str(row.depth) if row.depth else ""
    return [row.block, row.kind, size(row.output), depth, *cost, size(row.receptive_field)]


def _runs(parents: Sequence[int]) -> str:
    """ "3, 5–8" for (3, 5, 6, 7, 8), "0, 3 … 47" for very many; the image if it reads no layer."""
    runs: list[list[int]] = []
    for parent in sorted(parents):
        if runs and parent == runs[-1][1] + 1:
            runs[-1][1] = parent
        else:
            runs.append([parent, parent])
    texts = [f"{a}" if a == b else f"{a}–{b}" for a, b in runs]
    return f"{texts[0]}, {texts[1]} … {texts[-1]}" if len(texts) > 4 else ", ".join(texts) or "image"


def size(value: Sequence[int] | None) -> str:
    """ "64×56×56"; empty for None."""
    return "×".join(str(n) for n in value) if value else ""


def amount(count: int) -> str:
    """Three digits and a unit: 819 M, 15.5 G, 1.25 M; empty for 0."""
    for unit, name in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= unit * 0.9995:
            return f"{_digits(count / unit)} {name}"
    return str(count) if count else ""


def memory(values: int) -> str:
    """Float32 memory of so many values, in units of 1000 bytes: "12.8 MB"."""
    count = values * 4
    return f"{amount(count)}B" if count >= 1000 else f"{count} B" if count else ""


def total_memory(values: int) -> str:
    """As `memory`, with two decimals from a megabyte on: "60.95 MB"."""
    return f"{values * 4 / 1e6:,.2f} MB" if values * 4 >= 10**6 else memory(values)


def _digits(number: float) -> str:
    return f"{number:.2f}" if number < 9.995 else f"{number:.1f}" if number < 99.95 else f"{number:.0f}"


def aligned(lines: Sequence[Sequence[str]], right: Sequence[int], cut: Sequence[int], width: int = 120) -> list[str]:
    """`lines` as text in columns of at most `width` characters together.

    `right`: columns set to the right. `cut`: columns whose long cells lose their middle, the first until
    it is down to an eighth of the width, then the next."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for column in cut:
        excess = sum(widths) + 2 * (len(widths) - 1) - width
        widths[column] = max(min(widths[column], width // 8), widths[column] - max(excess, 0))
    return [
        "  ".join(
            _cut(cell, room).rjust(room) if i in right else _cut(cell, room).ljust(room)
            for i, (cell, room) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def _cut(text: str, room: int) -> str:
    if len(text) <= room:
        return text
    tail = (room - 1) * 2 // 3
    return f"{text[: room - 1 - tail]}…{text[len(text) - tail :]}"
