"""Global pooling: what is left of location under shifts, and which input sizes a network accepts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from cnnviz.device import doubled
from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.interventions.padding import check_padding, override_padding
from cnnviz.models.model import LoadedModel
from cnnviz.probes.capture import as_maps, capture_tensors
from cnnviz.probes.forward import count_calls, find_modules
from cnnviz.studies.equivariance.shifting import check_shifts, make_shiftable, split_shifts


@dataclass(frozen=True, slots=True, repr=False)
class GlobalPooling(Summarised):
    """What is left of location. `shifts` (K, 2). Relative L2 change with each shift, (K,): of the last map as it is
    (`flat`, what a fully connected head reads), of its global average and of its global maximum."""

    layer: str
    shifts: np.ndarray
    flat: np.ndarray
    average: np.ndarray
    maximum: np.ndarray


def global_pooling(
    model: LoadedModel,
    image: Any,
    shifts: Any,
    layer: str | None = None,
    padding: str = "native",
    how: str = "circular",
) -> GlobalPooling:
    """Move the image and compare the last map, rectified, with its global pooling. `layer`: by default the last
    convolution. The rest as for `shift.equivariance`."""
    name = layer or _last(model)
    check_padding(padding)
    find_modules(model.module, [name])
    pairs = check_shifts(shifts)
    source = make_shiftable(model, image, how, max(abs(d) for pair in pairs for d in pair))
    parts = []
    with model.lock, torch.inference_mode():
        count_calls(model.module, source.at([(0, 0)]))
        for part in ([(0, 0)], *split_shifts(pairs, source.size)):
            batch = source.at(part)
            with override_padding(padding):
                found = as_maps(capture_tensors(model.module, batch, [name], model.most_at_once)[name])
                parts.append(doubled(found).clamp_min(0))
    maps = torch.cat(parts)
    seen = (maps.flatten(1), maps.mean((2, 3)), maps.amax((2, 3)))
    changes = [((s[1:] - s[:1]).norm(dim=1) / s[0].norm().clamp_min(1e-30)).cpu().numpy() for s in seen]
    return GlobalPooling(name, np.array(pairs), *changes)


@dataclass(frozen=True, slots=True)
class SizeRun:
    """One input size. `size` (H, W). `map_size`: (C, H, W) of the last convolution. `answer`: most probable class, and
    its `probability`; None, and `problem` in words, if the network cannot take this size."""

    size: tuple[int, int]
    map_size: tuple[int, ...] | None
    answer: str | None
    probability: float | None
    problem: str = ""


def input_sizes(model: LoadedModel, image: Any, sizes: Sequence[int]) -> tuple[SizeRun, ...]:
    """The same photograph at several input sizes: a network that ends in global (or adaptive) pooling takes them all,
    one that flattens its last map only its own. Raises BadInput for sizes below 1."""
    if not len(sizes) or min(sizes) < 1:
        raise BadInput(f"Sizes are 1 pixel or more, got {list(sizes)}.")
    with model.lock, torch.inference_mode():  # at a size that runs, so that maps are seen where the end does not run
        count_calls(model.module, torch.zeros(1, *model.input_size, device=model.device))
    return tuple(_at_size(model, image, int(side)) for side in sizes)


def _at_size(model: LoadedModel, image: Any, side: int) -> SizeRun:
    batch, layer, shape = _resize(model, image, side), _last(model), None
    try:
        with model.lock, torch.inference_mode():
            shape = tuple(as_maps(capture_tensors(model.module, batch, [layer])[layer]).shape[1:])
        answers = model.predict(batch)[0]
    except RuntimeError as error:  # PyTorch's message for shapes that do not meet
        return SizeRun((side, side), shape, None, None, _why(shape, str(error)))
    best = int(answers.argmax())
    return SizeRun((side, side), shape, model.class_names[best], float(answers[best]))


def _resize(model: LoadedModel, image: Any, side: int) -> torch.Tensor:
    """(1, C, side, side): the image for an input of another size, cut out in the same proportion."""
    usual = model.preprocessing
    ratio = usual.side / max(usual.size)
    resized = replace(usual, size=(side, side), resize=round(ratio * side))
    return resized.normalise(torch.from_numpy(resized.receive(image)))[None].to(model.device)


def maps_at_sizes(model: LoadedModel, image: Any, layer: str, sizes: Sequence[int]) -> tuple[np.ndarray, ...]:
    """(C, h, w) float32 maps of `layer` for the same photograph at several input sizes; what comes behind the layer
    need not take them. Raises BadInput for sizes below 1 or whose maps shrink away before the layer; UnknownName."""
    if not len(sizes) or min(sizes) < 1:
        raise BadInput(f"Sizes are 1 pixel or more, got {list(sizes)}.")
    found = []
    with model.lock, torch.inference_mode():
        count_calls(model.module, torch.zeros(1, *model.input_size, device=model.device))
        for side in sizes:
            try:
                seen = capture_tensors(model.module, _resize(model, image, int(side)), [layer])[layer]
            except RuntimeError as error:  # PyTorch's message for shapes that do not meet
                raise BadInput(f"{layer} cannot be reached with an input of {side}×{side} pixels: {error}") from error
            found.append(as_maps(seen)[0].float().cpu().numpy())
    return tuple(found)


def _last(model: LoadedModel) -> str:
    layers = model.layers("conv")
    if not layers:
        raise BadInput(f"{model.name} has no convolution, so no map to pool.")
    return layers[-1]


def _why(shape: tuple[int, ...] | None, error: str) -> str:
    if shape is None:
        return f"The maps shrink away before the last convolution: {error[:100]}"
    return (
        f"The last convolution gives {shape[0]}×{shape[1]}×{shape[2]} values; after pooling and flattening "
        "their number is another than the dense layer was built for."
    )
