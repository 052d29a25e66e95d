"""Finding the layers whose units have a place in the image: those whose maps agree with their receptive fields."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cnnviz.device import halving
from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel
from cnnviz.probes.capture import as_maps
from cnnviz.probes.forward import visit_layers
from cnnviz.tracing.receptive_field import receptive_field
from cnnviz.wording import plural


def find_spatial(model: LoadedModel, layers: Sequence[str]) -> list[str]:
    """Those of `layers`, which all run, that `find_misplaced` has nothing against."""
    found = find_misplaced(model, layers)
    return [layer for layer in layers if layer not in found]


def find_misplaced(model: LoadedModel, layers: Sequence[str]) -> dict[str, str]:
    """{layer: why} of those of `layers` whose values cannot be told apart by image and place: what does not depend on
    the image (a table of positions), what mixes images and windows in its first axis (attention inside windows), and
    maps whose rows and columns are not those of the receptive field.

    One pass and one trace, which `receptive_field` remembers: so a search learns it before it begins, not at its end.
    Raises UnknownName for a layer the network has not."""
    faults: dict[str, str] = {}
    shapes = halving(
        lambda size: _measure_shapes(model, layers, size, faults), min(2, model.most_at_once), model.device
    )
    return {layer: why for layer in layers if (why := faults.get(layer) or _find_fault(model, layer, *shapes[layer]))}


def _measure_shapes(
    model: LoadedModel, layers: Sequence[str], count: int, faults: dict[str, str]
) -> dict[str, tuple[tuple[int, ...], int]]:
    """{layer: (shape of its maps, images in the pass)}; why of those that have none goes into `faults`."""
    found: dict[str, tuple[tuple[int, ...], int]] = {}

    def note(layer: str, output: Tensor) -> None:
        found[layer] = (tuple(as_maps(output).shape), count)

    with model.lock, torch.inference_mode(), visit_layers(model.module, list(layers), note) as without:
        model.module(torch.zeros(count, *model.input_size, device=model.device))
    faults.update(without)
    return found


def _find_fault(model: LoadedModel, layer: str, shape: tuple[int, ...], count: int) -> str:
    try:
        field = receptive_field(model, layer)
    except BadInput as error:
        return str(error)
    images, _channels, rows, cols = shape
    if images != count:
        return (
            f"Layer {layer!r} answers {images} times to {plural(count, 'image')}: it works on windows, or on "
            "all images as one, "
            "so its units have no place in an image. Leave it out."
        )
    if (rows, cols) != field.extent:
        return (
            f"The output of layer {layer!r} was read as maps of {rows}×{cols} units, but its receptive field has "
            f"{field.extent[0]}×{field.extent[1]}: its axes are not (N, C, H, W). Leave it out, or name another layer."
        )
    return ""
