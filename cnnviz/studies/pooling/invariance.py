"""Pooling invariance on a real network: which units stay as they are when the image moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnnviz.device import doubled
from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.interventions.padding import check_padding, override_padding
from cnnviz.models.model import LoadedModel
from cnnviz.probes.capture import as_maps
from cnnviz.probes.layer_io import capture_io
from cnnviz.progress import StudyWatcher, Ticker
from cnnviz.studies.equivariance.shifting import check_shifts, make_shiftable, split_shifts

TOLERANCE = 0.05  # of the layer's largest absolute value


@dataclass(frozen=True, slots=True, repr=False)
class PoolingLayer(Summarised):
    """Units at their own place, before and after one pooling layer, under K shifts of the image. `before`, `after`
    (K,): share of unchanged units among the active ones (above the tolerance in either image): units that are 0 both
    times say nothing. `change_before`, `change_after` (K,): L2 norm of the change over that of the map. `sizes`:
    (C, H, W) of input and output. `kept_before`, `kept_after` (K, H, W): share of the channels unchanged at each
    place."""

    layer: str
    before: np.ndarray
    after: np.ndarray
    change_before: np.ndarray
    change_after: np.ndarray
    sizes: tuple[tuple[int, ...], tuple[int, ...]]
    kept_before: np.ndarray
    kept_after: np.ndarray


@dataclass(frozen=True, slots=True, repr=False)
class PoolingInvariance(Summarised):
    """`shifts` (K, 2). `tolerance`: a unit is unchanged if it differs by at most this part of the largest absolute
    value of the layer without a shift. `rows`: one a pooling layer, in order."""

    shifts: np.ndarray
    tolerance: float
    padding: str
    how: str
    rows: tuple[PoolingLayer, ...]


def pooling_invariance(
    model: LoadedModel,
    image: Any,
    shifts: Any,
    tolerance: float = TOLERANCE,
    layers: Sequence[str] | None = None,
    padding: str = "native",
    how: str = "circular",
    progress: StudyWatcher | None = None,
) -> PoolingInvariance:
    """Move the image and count the units before and after each pooling layer that do not change. Unlike
    equivariance, nothing is moved back: invariance asks for the same value at the same place.

    `layers`: pooling modules, by default all of them; pooling written as a function has no name. The other arguments
    and errors as for `shift.equivariance`; BadInput for a network without pooling modules."""
    names = model.layers("pool") if layers is None else list(layers)
    if not names:
        raise BadInput(f"{model.name} has no pooling layer that can be named. Try squeezenet1_0 or vgg16.")
    if not 0 <= tolerance < 1:
        raise BadInput(f"tolerance is a part of the largest value, 0 or more and below 1, got {tolerance}.")
    check_padding(padding)
    pairs = check_shifts(shifts)
    source = make_shiftable(model, image, how, max(abs(d) for pair in pairs for d in pair))

    def passed(batch: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        with model.lock, torch.inference_mode(), override_padding(padding):
            found = capture_io(model.module, batch, names, model.most_at_once)
        return {name: (as_maps(given), as_maps(made)) for name, (given, made) in found.items()}

    base = passed(source.at([(0, 0)]))
    counts: dict[str, list[tuple[_Count, _Count]]] = {name: [] for name in names}
    ticker = Ticker(len(pairs), progress)
    for part in split_shifts(pairs, source.size):
        for name, both in passed(source.at(part)).items():
            sides = (_counts(b[0], maps, tolerance) for b, maps in zip(base[name], both, strict=True))
            counts[name] += zip(*sides, strict=True)
        ticker.tick("shifts", len(part))
    rows = tuple(_row(name, base[name], counts[name]) for name in names)
    return PoolingInvariance(np.array(pairs), tolerance, padding, how, rows)


_Count = tuple[float, float, np.ndarray]


def _counts(base: Tensor, moved: Tensor, tolerance: float) -> list[_Count]:
    """(share, relative change, kept (H, W)) for each of `moved` (K, C, H, W) beside `base` (C, H, W)."""
    limit, norm = tolerance * base.abs().max(), doubled(base).norm().clamp_min(1e-30)
    found = []
    for maps in moved:
        same = (maps - base).abs() <= limit
        active = (maps.abs() > limit) | (base.abs() > limit)
        share = float(doubled(same[active]).mean()) if bool(active.any()) else 1.0
        change = float((doubled(maps) - doubled(base)).norm() / norm)
        found.append((share, change, same.float().mean(0).cpu().numpy()))
    return found


def _row(layer: str, base: tuple[Tensor, Tensor], counts: list[tuple[_Count, _Count]]) -> PoolingLayer:
    before, after = ([count[side] for count in counts] for side in (0, 1))
    return PoolingLayer(
        layer=layer,
        before=np.array([share for share, _, _ in before]),
        after=np.array([share for share, _, _ in after]),
        change_before=np.array([change for _, change, _ in before]),
        change_after=np.array([change for _, change, _ in after]),
        sizes=(tuple(base[0].shape[1:]), tuple(base[1].shape[1:])),
        kept_before=np.array([same for _, _, same in before]),
        kept_after=np.array([same for _, _, same in after]),
    )
