"""Gates as masks: the output of a sigmoid layer, between 0 and 1, multiplied into a map of the main path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel
from cnnviz.probes.capture import capture
from cnnviz.studies.anatomy.anatomy import anatomy
from cnnviz.studies.anatomy.rows import LayerRow

SIGMOIDS = ("sigmoid", "hard sigmoid")


@dataclass(frozen=True, slots=True)
class Gate:
    """A product of a mask and a map. `product`: its name in the anatomy. `sigmoid`: the layer whose output is the mask;
    `main`: the layer whose output is masked; `complement`: the mask is 1 − the sigmoid's output."""

    product: str
    sigmoid: str
    main: str
    complement: bool


@dataclass(frozen=True, slots=True)
class GateMaps:
    """`mask` (C, H, W), 0 to 1: the factor of every value, spread over the map where it is one for a whole channel;
    `main` and `product` (C, H, W). `channelwise`: one factor a channel."""

    mask: np.ndarray
    main: np.ndarray
    product: np.ndarray
    channelwise: bool


def find_gates(model: LoadedModel) -> tuple[Gate, ...]:
    """The network's products of a sigmoid layer's output and the output of another layer, in order; () for none.

    Products in which a sum or another product is masked, which no layer puts out, are left out. A sigmoid that is
    called as a function, without a layer, is not seen."""
    layers = dict(model.module.named_modules())
    rows = anatomy(model).rows
    found = []
    for row in rows:
        if row.kind != "multiply" or len(row.parents) != 2:
            continue
        for mask, main in (row.parents, row.parents[::-1]):
            sigmoid, complement = _find_sigmoid(rows, rows[mask])
            named = all(one is not None and _is_layer(one, layers) for one in (sigmoid, rows[main]))
            if sigmoid is not None and named:
                found.append(Gate(row.layer, sigmoid.layer, rows[main].layer, complement))
                break
    return tuple(found)


def _find_sigmoid(rows: tuple[LayerRow, ...], row: LayerRow) -> tuple[LayerRow | None, bool]:
    """The sigmoid layer that a factor is, or is 1 minus, and whether it is the latter."""
    if row.detail in SIGMOIDS:
        return row, False
    if row.detail == "1 − x" and len(row.parents) == 1 and rows[row.parents[0]].detail in SIGMOIDS:
        return rows[row.parents[0]], True
    return None, False


def _is_layer(row: LayerRow, layers: dict[str, Any]) -> bool:
    name, _, call = row.layer.partition(":")
    return name in layers and (not call or call.isdigit())


def capture_gate(model: LoadedModel, image: Any, gate: Gate) -> GateMaps:
    """Mask, map and their product for one image, as for `cnnviz.capture`.

    Source: Srivastava, Greff, Schmidhuber 2015 (arXiv:1505.00387), equation 2; He et al., ECCV 2016, section 3; Hu,
    Shen, Sun, CVPR 2018, section 3.1, where the mask is one number a channel. Raises BadInput where the two cannot be
    multiplied, and what `capture` raises."""
    maps = capture(model, image, [gate.sigmoid, gate.main])
    mask, main = maps[gate.sigmoid][0], maps[gate.main][0]
    factor = 1 - mask if gate.complement else mask
    try:
        spread = np.broadcast_to(factor, main.shape)
    except ValueError:
        raise BadInput(
            f"The mask of {gate.product} has the shape {factor.shape}, its map {main.shape}: they cannot be multiplied "
            "value by value. Choose another gate."
        ) from None
    return GateMaps(spread, main, spread * main, factor.shape[1:] == (1, 1) and main.shape[1:] != (1, 1))
