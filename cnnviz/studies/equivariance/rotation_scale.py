"""Equivariance to rotation and scale: feature maps of turned and scaled images, compared like shifted ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cnnviz.display import Summarised
from cnnviz.errors import BadInput, unknown
from cnnviz.interventions.padding import check_padding, override_padding
from cnnviz.models.model import LoadedModel
from cnnviz.probes.capture import as_maps, capture_tensors
from cnnviz.probes.forward import count_calls, find_modules
from cnnviz.studies.equivariance.distances import measure_distances
from cnnviz.studies.equivariance.shifting import make_shiftable

KINDS = ("quarter", "rotation", "scale")


@dataclass(frozen=True, slots=True, repr=False)
class LayerTransform(Summarised):
    """One layer under K transforms T. `cosine`, `relative` (K,): the distance of T(f(x)) and f(T(x)) over the units
    `inside` (K, H, W), to which something of the old map was brought; NaN if there are none. `resampling` (K,): the
    relative distance of the map to itself brought there and back, the loss by interpolation alone. `moved` T(f(x)),
    `after` f(T(x)): (K, C, H, W)."""

    layer: str
    cosine: np.ndarray
    relative: np.ndarray
    resampling: np.ndarray
    inside: np.ndarray
    moved: np.ndarray
    after: np.ndarray

    @property
    def difference(self) -> np.ndarray:
        """(K, C, H, W) f(T(x)) - T(f(x)), signed."""
        return self.after - self.moved


@dataclass(frozen=True, slots=True, repr=False)
class TransformComparison(Summarised):
    """One image under K transforms. `kind`: of KINDS. `amounts` (K,): quarter turns, degrees (counter-clockwise), or
    factors. `images` (K, C, H, W): the transformed input, normalised. `rows`: one a layer; `result[layer]`."""

    kind: str
    amounts: np.ndarray
    padding: str
    images: np.ndarray
    rows: tuple[LayerTransform, ...]

    def __getitem__(self, layer: str) -> LayerTransform:
        """The row of `layer`. Raises UnknownName."""
        found = next((row for row in self.rows if row.layer == layer), None)
        return found or unknown("layer", layer, [row.layer for row in self.rows])


def compare_transforms(
    model: LoadedModel,
    image: Any,
    kind: str,
    amounts: Sequence[float],
    layers: Sequence[str] | str,
    padding: str = "native",
) -> TransformComparison:
    """Compare T(f(x)) with f(T(x)) where T turns or scales image and maps about their centres.

    "quarter": exact turns by 90° counter-clockwise (a square input). "rotation", "scale": bilinear, zeros from
    outside. `image`: as for `equivariance`. A layer without location has the identity for T. Nothing in a convolution
    asks for these to agree. Raises UnknownName, BadInput."""
    names = [layers] if isinstance(layers, str) else list(layers)
    find_modules(model.module, names)
    check_padding(padding)
    values = _check_amounts(model, kind, amounts)
    x = make_shiftable(model, image, "circular", 0).pixels
    images = torch.stack([apply_transform(x, kind, amount) for amount in values])
    with model.lock, torch.inference_mode():
        count_calls(model.module, x[None])
        with override_padding(padding):
            base = capture_tensors(model.module, model.lay_out(x[None]), names)
            after = capture_tensors(model.module, model.lay_out(images), names, model.most_at_once)
    rows = tuple(_compare_layer(name, as_maps(base[name])[0], as_maps(after[name]), kind, values) for name in names)
    return TransformComparison(kind, np.array(values), padding, images.float().cpu().numpy(), rows)


def apply_transform(maps: Tensor, kind: str, amount: float) -> Tensor:
    """(C, H, W) turned by `amount` quarters or degrees, or scaled by the factor `amount`; a map of one unit stays."""
    if maps.shape[-2:] == (1, 1):
        return maps
    if kind == "quarter":
        return maps.rot90(int(amount), (-2, -1))
    height, width = maps.shape[-2:]
    angle, factor = (math.radians(amount), 1.0) if kind == "rotation" else (0.0, 1.0 / amount)
    cos, sin, ratio = factor * math.cos(angle), factor * math.sin(angle), height / width
    theta = torch.tensor([[cos, -sin * ratio, 0.0], [sin / ratio, cos, 0.0]], dtype=maps.dtype, device=maps.device)
    places = F.affine_grid(theta[None], [1, 1, height, width], align_corners=False)
    return F.grid_sample(maps[None].contiguous(), places, align_corners=False)[0]


def _check_amounts(model: LoadedModel, kind: str, amounts: Sequence[float]) -> list[float]:
    if kind not in KINDS:
        raise BadInput(f"No transform named {kind!r}. Choose one of: {', '.join(KINDS)}.")
    values = [float(amount) for amount in amounts]
    if not values or not all(math.isfinite(v) for v in values):
        raise BadInput(f"Expected at least one finite amount, got {list(amounts)!r:.80}.")
    if kind == "scale" and min(values) <= 0:
        raise BadInput(f"A scale is a factor above 0, got {min(values)}.")
    if kind == "quarter" and (any(v != int(v) for v in values) or len(set(model.input_size[1:])) > 1):
        raise BadInput(f"Quarter turns are whole numbers and need a square input; got {values} for {model.input_size}.")
    return values


def _compare_layer(layer: str, base: Tensor, after: Tensor, kind: str, amounts: list[float]) -> LayerTransform:
    moved = torch.stack([apply_transform(base, kind, amount) for amount in amounts])
    ones = torch.ones_like(base[:1])
    inside = np.stack([(apply_transform(ones, kind, amount)[0] > 0.999).cpu().numpy() for amount in amounts])
    found = [measure_distances(m, a, mask) for m, a, mask in zip(moved, after, inside, strict=True)]
    returned = [_undo(m, kind, amount) for m, amount in zip(moved, amounts, strict=True)]
    whole = [_twice(ones, kind, amount) for amount in amounts]
    losses = [measure_distances(base, maps, mask).relative for maps, mask in zip(returned, whole, strict=True)]
    cosine, relative = (np.array(errors) for errors in zip(*found, strict=True))
    moved_maps, after_maps = (part.float().cpu().numpy() for part in (moved, after))
    return LayerTransform(layer, cosine, relative, np.array(losses), inside, moved_maps, after_maps)


def _undo(maps: Tensor, kind: str, amount: float) -> Tensor:
    return apply_transform(maps, kind, 1 / amount if kind == "scale" else -amount)


def _twice(ones: Tensor, kind: str, amount: float) -> np.ndarray:
    """Units that keep their whole weight on the way there and back."""
    return (_undo(apply_transform(ones, kind, amount), kind, amount)[0] > 0.999).cpu().numpy()
