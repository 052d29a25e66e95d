"""The tables of a network's anatomy: one row a layer, one row a block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cnnviz.display import Displayed

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer, as the forward pass meets it; counts are of one image.

    `index`: place in the forward pass. `layer`: name of the module, "name:2" for the second call of a
    shared one, "layer1.0 +" for a join that has no module. `kind`: "conv", "linear", "pool", "norm",
    "lrn", "activation", "dropout", "add", "multiply", "concat" or "other". `detail`: "3×3 conv, 64,
    stride 2". `block`: the block it belongs to. `output`: (C, H, W) or (F,). `parameters`: with biases;
    a shared module is counted at its first call. `weights`: kernels and matrices, without biases and the
    scales of norms. `macs`: multiply-adds of
    convolutions and linear layers. `activations`: values of the output. `activation_bytes`: as float32.
    `receptive_field`: (h, w) pixels, None without one. `parents`: indices of the rows it reads, empty if
    it reads the image."""

    index: int
    layer: str
    kind: str
    detail: str
    block: str
    output: tuple[int, ...]
    kernel: Pair | None
    stride: Pair | None
    padding: Pair | None
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
        return f"<anatomy of {self.name}: {len(self.rows)} rows, {self.parameters:,} parameters, {self.macs:,} MACs>"

    def __iter__(self) -> Iterator[LayerRow]:
        return iter(self.rows)

    def csv(self) -> str:
        """One line a layer; the header names the units."""
        from cnnviz.studies.anatomy.tables import csv_text

        return csv_text(self)

    def table(self, kind: str = "layers") -> list[list[str]]:
        """Header and lines for people, with units and a line of totals. `kind`: "layers" or "blocks".

        Raises BadInput for another kind."""
        from cnnviz.studies.anatomy.tables import readable

        return readable(self, kind)


def longest(rows: Sequence[LayerRow]) -> int:
    """Convolutions and linear layers on the longest path through `rows`, which may be a part of a network."""
    depth: dict[int, int] = {}
    for row in rows:
        before = max((depth.get(parent, 0) for parent in row.parents), default=0)
        depth[row.index] = before + (row.kind in ("conv", "linear"))
    return max(depth.values(), default=0)
