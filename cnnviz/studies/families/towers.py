"""AlexNet's two towers: what each layer reads of the other tower, and its units and parameters."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from cnnviz.studies.anatomy.anatomy import anatomy

NAMES = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
PRINTED = {"input": 150_528, "conv1": 253_440}  # section 3.5 of the paper, for 224 pixels


@dataclass(frozen=True, slots=True)
class TowerLayer:
    """One layer of both towers together. `output`: (C, H, W) or (F,). `crosses`: whether its units read the other
    tower, too; conv1 reads the image, which both have. `units`: values of its output. `printed`: the paper's count
    where it differs, else 0."""

    name: str
    detail: str
    output: tuple[int, ...]
    crosses: bool
    units: int
    parameters: int
    printed: int


def alexnet_towers() -> tuple[TowerLayer, ...]:
    """The input and the eight layers with weights of the registered alexnet_2012.

    Source: Krizhevsky, Sutskever, Hinton, NIPS 2012, sections 3.2 and 3.5, figure 2."""
    found = anatomy("alexnet_2012")
    rows = [row for row in found.rows if row.kind in ("conv", "linear")]
    layers = [
        TowerLayer(
            name,
            row.detail,
            row.output,
            crosses=row.groups == 1 and bool(row.parents),
            units=row.activations,
            parameters=row.parameters,
            printed=PRINTED.get(name, 0),
        )
        for name, row in zip(NAMES, rows, strict=True)
    ]
    size = found.input_size
    return (TowerLayer("input", "image", size, False, prod(size), 0, PRINTED["input"]), *layers)
