"""Layer rows and block rows of a network's anatomy, as CSV and as text tables."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO

from cnnviz.display import Displayed
from cnnviz.errors import BadInput
from cnnviz.studies.anatomy.text import format_count, format_memory, format_size, format_total_memory
from cnnviz.wording import plural

Pair = tuple[int, int]
_LAYER_COLUMNS = ("#", "layer", "operation", "output", "parameters", "MACs", "memory", "field", "reads")
_BLOCK_COLUMNS = ("block", "kind", "output", "depth", "parameters", "MACs", "memory", "field")
_CSV_COLUMNS = (
    *("index", "layer", "kind", "detail", "block"),
    *("output (C×H×W)", "kernel (h×w)", "stride (h×w)", "padding (h×w)"),
    *("groups", "parameters (with biases)", "weights (without biases)", "MACs (multiply-adds, one image)"),
    *("activations (values, one image)", "activation memory (bytes, float32)"),
    *("receptive field (pixels, h×w)", "reads (indices; empty: the image)"),
)


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer, as the forward pass meets it; counts are of one image.

    `index`: place in the forward pass. `layer`: name of the module, "name:2" for the second call of a
    shared one, "layer1.0 +" for a join that has no module. `kind`: "conv", "linear", "pool", "norm",
    "lrn", "activation", "dropout", "add", "multiply", "concat" or "other". `detail`: "3×3 conv, 64,
    stride 2". `block`: the block it belongs to. `output`: (C, H, W) or (F,). `parameters`: with biases;
    a shared module is counted at its first call. `weights`: kernels and matrices, without biases and the
    scales of norms. `macs`: multiply-adds of convolutions and linear layers. `activations`: values of the
    output. `activation_bytes`: as float32. `kernel`, `stride`, `padding`: (h, w), of one-dimensional layers (w,), of
    three-dimensional ones (d, h, w). `receptive_field`: (h, w) pixels, None without one. `parents`:
    indices of the rows it reads, empty if it reads the image."""

    index: int
    layer: str
    kind: str
    detail: str
    block: str
    output: tuple[int, ...]
    kernel: tuple[int, ...] | None
    stride: tuple[int, ...] | None
    padding: tuple[int, ...] | None
    groups: int
    parameters: int
    weights: int
    macs: int
    activations: int
    activation_bytes: int
    receptive_field: Pair | None
    parents: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BlockRow:
    """One block of the network: a residual unit, an Inception module, a dense layer, a plain layer.

    `kind`: "conv", "inception", "residual", "dense", "linear", "pool", … `output`: of its last row.
    `depth`: convolutions and linear layers on its longest path. `rows`: indices of its layers. `parents`:
    indices of the blocks it reads, empty if it reads the image. The rest as in `LayerRow`, summed."""

    block: str
    kind: str
    output: tuple[int, ...]
    depth: int
    parameters: int
    weights: int
    macs: int
    activations: int
    receptive_field: Pair | None
    rows: tuple[int, ...]
    parents: tuple[int, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Anatomy(Displayed):
    """What a network is made of, and what each part costs for one image.

    `input_size`: (C, H, W). `depth`: convolutions and linear layers with parameters on the longest path.
    `activations`: values of the input and of the outputs of convolutions, pools and linear layers;
    rectifiers, norms and dropout work in place. `activation_bytes`: as float32."""

    name: str
    title: str
    input_size: tuple[int, int, int]
    rows: tuple[LayerRow, ...]
    blocks: tuple[BlockRow, ...]
    parameters: int
    weights: int
    macs: int
    depth: int
    activations: int
    activation_bytes: int

    def __repr__(self) -> str:
        counts = f"{plural(len(self.rows), 'row')}, {plural(self.parameters, 'parameter')}, {plural(self.macs, 'MAC')}"
        return f"<anatomy of {self.name}: {counts}>"

    def __iter__(self) -> Iterator[LayerRow]:
        return iter(self.rows)

    def csv(self) -> str:
        """One line a layer; the header names the units."""
        return _write_csv(self)

    def table(self, kind: str = "layers") -> list[list[str]]:
        """Header and lines for people, with units and a line of totals. `kind`: "layers" or "blocks".

        Raises BadInput for another kind."""
        return _format_table(self, kind)


def measure_depth(rows: Sequence[LayerRow]) -> int:
    """Convolutions and linear layers on the longest path through `rows`, which may be a part of a network."""
    depth: dict[int, int] = {}
    for row in rows:
        before = max((depth.get(parent, 0) for parent in row.parents), default=0)
        depth[row.index] = before + (row.kind in ("conv", "linear"))
    return max(depth.values(), default=0)


def _write_csv(anatomy: Anatomy) -> str:
    """Header and one line a layer; plain numbers, sizes as "64×224×224", parents as "3 5"."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV_COLUMNS)
    for row in anatomy.rows:
        sizes = [format_size(value) for value in (row.output, row.kernel, row.stride, row.padding)]
        counts = [row.groups, row.parameters, row.weights, row.macs, row.activations, row.activation_bytes]
        reads = " ".join(str(parent) for parent in row.parents)
        named = [row.index, row.layer, row.kind, row.detail, row.block]
        writer.writerow([*named, *sizes, *counts, format_size(row.receptive_field), reads])
    return text.getvalue()


def _format_table(anatomy: Anatomy, kind: str = "layers") -> list[list[str]]:
    """Header, one line a layer or block, and the totals. Raises BadInput for another kind."""
    total = [f"{anatomy.parameters:,}", format_count(anatomy.macs), format_total_memory(anatomy.activations), ""]
    if kind == "layers":
        lines = [_layer_line(row) for row in anatomy.rows]
        return [list(_LAYER_COLUMNS), *lines, ["", "total", f"depth {anatomy.depth}", "", *total, ""]]
    if kind == "blocks":
        lines = [_block_line(row) for row in anatomy.blocks]
        return [list(_BLOCK_COLUMNS), *lines, ["total", "", "", str(anatomy.depth), *total]]
    raise BadInput(f'An anatomy has tables of "layers" and "blocks", got {kind!r}.')


def _layer_line(row: LayerRow) -> list[str]:
    reads = _format_runs(row.parents) if row.parents != (row.index - 1,) else ""  # the line above goes without saying
    cost = [f"{row.parameters:,}" if row.parameters else "", format_count(row.macs), format_memory(row.activations)]
    names = [str(row.index), row.layer, row.detail, format_size(row.output)]
    return [*names, *cost, format_size(row.receptive_field), reads]


def _block_line(row: BlockRow) -> list[str]:
    cost = [f"{row.parameters:,}" if row.parameters else "", format_count(row.macs), format_memory(row.activations)]
    depth = str(row.depth) if row.depth else ""
    return [row.block, row.kind, format_size(row.output), depth, *cost, format_size(row.receptive_field)]


def _format_runs(parents: Sequence[int]) -> str:
    """ "3, 5–8" for (3, 5, 6, 7, 8), "0, 3 … 47" for very many; the image if it reads no layer."""
    runs: list[list[int]] = []
    for parent in sorted(parents):
        if runs and parent == runs[-1][1] + 1:
            runs[-1][1] = parent
        else:
            runs.append([parent, parent])
    texts = [f"{a}" if a == b else f"{a}–{b}" for a, b in runs]
    return f"{texts[0]}, {texts[1]} … {texts[-1]}" if len(texts) > 4 else ", ".join(texts) or "image"
