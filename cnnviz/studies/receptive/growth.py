"""Growth of receptive fields with depth: theoretical and effective size, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel, layer_kinds
from cnnviz.probes.forward import visit_layers
from cnnviz.progress import StudyWatcher, Ticker
from cnnviz.studies.receptive.effective import measure_field
from cnnviz.tracing.receptive_field import receptive_field

Pair = tuple[int, int]
FEW = 3  # fewer main layers than these say nothing of growth: then all layers are taken


@dataclass(frozen=True, slots=True)
class LayerField:
    """The receptive field of the unit in the middle of one layer's map, in pixels of the network's input.

    `kind`: "conv", "pool", "block" or "linear". `size` (h, w), padding included. `stride` (h, w). `padding` (h, w):
    by how much the field of unit (0, 0) begins outside the image. `units` (rows, cols) of the map. `whole`: every
    unit sees all that the layer before sees, as behind global pooling; size is then that of what is seen."""

    layer: str
    kind: str
    size: Pair
    stride: tuple[float, float]
    padding: Pair
    units: Pair
    whole: bool


@dataclass(frozen=True, slots=True)
class Growth:
    """The fields of several layers in the order in which the forward pass finishes them. `image` (H, W) pixels.
    Source of the terms: Araujo, Norris, Sim, Distill 2019."""

    network: str
    image: Pair
    rows: tuple[LayerField, ...]

    def __getitem__(self, layer: str) -> LayerField:
        """The row of a layer. Raises BadInput for one that is not among the rows."""
        for row in self.rows:
            if row.layer == layer:
                return row
        raise BadInput(f"{layer!r} is not among the layers of this growth: {', '.join(r.layer for r in self.rows)}.")

    @property
    def spatial(self) -> tuple[LayerField, ...]:
        """The rows whose units still have places of their own."""
        return tuple(row for row in self.rows if not row.whole)

    @property
    def exceeding(self) -> LayerField | None:
        """The first layer with places whose field is larger than the image on one axis; None if there is none."""
        return next((r for r in self.spatial if r.size[0] > self.image[0] or r.size[1] > self.image[1]), None)


def measure_growth(model: LoadedModel, layers: Sequence[str] | None = None) -> Growth:
    """The receptive field of each of `layers`: by default all of `find_main_layers`.

    Layers that never run, and those that do not depend on the image, are left out."""
    chosen = list(find_main_layers(model) if layers is None else layers)
    kinds, rows = layer_kinds(model.module), []
    for layer in order_layers(model, chosen):
        try:
            field = receptive_field(model, layer)
        except BadInput:  # it does not depend on the image
            continue
        rows.append(
            LayerField(
                layer=layer,
                kind=kinds.get(layer, "other"),
                size=field.size,
                stride=field.stride,
                padding=field.padding,
                units=field.shape,
                whole=not any(field.stride),
            )
        )
    return Growth(model.name, model.input_size[1:], tuple(rows))


def find_main_layers(model: LoadedModel) -> list[str]:
    """The layers that tell of growth in a few rows: blocks, and what stands outside of blocks, in running order.

    All layers where that leaves fewer than three, as in a network wrapped into one module."""
    kinds = layer_kinds(model.module)
    blocks = [name for name, kind in kinds.items() if kind == "block"]
    outer = [name for name in kinds if not any(name.startswith(f"{block}.") for block in blocks)]
    found = order_layers(model, outer)
    return found if len(found) >= FEW else order_layers(model, list(kinds))


def order_layers(model: LoadedModel, layers: Sequence[str]) -> list[str]:
    """`layers` in the order in which one forward pass finishes them for the last time; a block comes after what is
    inside it. Those that do not run are left out. Raises UnknownName for a layer the network has not."""
    finished: dict[str, None] = {}

    def note(layer: str, _output: Tensor) -> None:
        finished.pop(layer, None)
        finished[layer] = None

    with model.lock, torch.inference_mode(), visit_layers(model.module, list(layers), note):
        model.module(torch.zeros(1, *model.input_size, device=model.device))
    return list(finished)


@dataclass(frozen=True, slots=True)
class EffectiveSize:
    """The effective field of the unit in the middle of one layer's map. `half`, `most`: sides (h, w) of the boxes that
    hold 50 % and 95 % of the mean absolute gradient. `sigma` (rows, cols): its standard deviation; all in pixels, 0
    where no gradient arrives."""

    layer: str
    half: Pair
    most: Pair
    sigma: tuple[float, float]


def measure_effective_growth(
    model: LoadedModel, images: Tensor, layers: Sequence[str], progress: StudyWatcher | None = None
) -> tuple[EffectiveSize, ...]:
    """The effective field of the unit in the middle of each of `layers`, averaged over `images`, normalised (N, C, H,
    W), each with another channel of the layer.

    `progress(Progress)` returns False to stop. Raises Cancelled, and as `effective.measure_field` does.
    Source: Luo, Li, Urtasun, Zemel, NeurIPS 2016, arXiv:1701.04128."""
    ticker, found = Ticker(len(layers), progress), []
    for layer in layers:
        rows, cols = receptive_field(model, layer).shape
        one = measure_field(model, images, layer, None, (rows // 2, cols // 2))
        boxes = [one.box(share) for share in (0.5, 0.95)]
        if not one.weight.any():
            boxes = [(0, 0, 0, 0)] * 2
        half, most = ((bottom - top, right - left) for top, left, bottom, right in boxes)
        found.append(EffectiveSize(layer, half, most, one.sigma))
        ticker.tick("layers")
    return tuple(found)
