"""Translation equivariance: does the map of a shifted image equal the shifted map of the image?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnnviz.display import Summarised
from cnnviz.errors import BadInput, unknown
from cnnviz.interventions.padding import PaddingMode, check_padding, override_padding
from cnnviz.models.model import LoadedModel
from cnnviz.probes.capture import as_maps, capture_tensors
from cnnviz.probes.forward import Visitor, count_calls, find_modules, visit_layers
from cnnviz.progress import StudyWatcher, Ticker
from cnnviz.studies.equivariance.distances import Distances, measure_distances, stack_maps
from cnnviz.studies.equivariance.shifting import (
    Grid,
    Shift,
    Shiftable,
    check_shifts,
    find_grid,
    make_shiftable,
    move_maps,
    split_shifts,
)

EXACT = 1e-5  # relative L2 below which float32 maps are equal but for rounding
MOST_KEPT = 2 << 30  # bytes of maps in one result


@dataclass(frozen=True, slots=True, repr=False)
class LayerEquivariance(Summarised):
    """One layer under K shifts T. Errors compare T(f(x)) with f(T(x)); NaN where no unit is left to compare.

    `stride`: (rows, columns) pixels from one unit to the next; 0 in a layer without location, whose T is the identity.
    `steps` (K, 2) int: units by which T moves the map, the shift over the stride, rounded to the nearest.
    `cosine` (K,): 1 - cos of the angle between both maps as vectors of all channels and places, 0 … 2.
    `relative` (K,): L2 norm of the difference over that of T(f(x)).
    `cosine_inside`, `relative_inside` (K,): of the units `inside` (K, H, W) alone: no padding in their field, in
    either image. `moved` T(f(x)), `after` f(T(x)): (K, C, H, W) float32, or None if not kept.
    Source: internal feature distance of Zhang, ICML 2019 (arXiv:1904.11486), section 3.1."""

    layer: str
    stride: tuple[float, float]
    steps: np.ndarray
    cosine: np.ndarray
    relative: np.ndarray
    cosine_inside: np.ndarray
    relative_inside: np.ndarray
    inside: np.ndarray
    moved: np.ndarray | None
    after: np.ndarray | None

    @property
    def difference(self) -> np.ndarray | None:
        """(K, C, H, W) f(T(x)) - T(f(x)), signed; None if the maps were not kept."""
        return None if self.moved is None or self.after is None else self.after - self.moved

    @property
    def exact(self) -> np.ndarray:
        """(K,) True where both maps are equal but for the rounding of float32."""
        return self.relative <= EXACT


@dataclass(frozen=True, slots=True, repr=False)
class Equivariance(Summarised):
    """One image, K shifts, several layers. `shifts` (K, 2) int: (rows, columns), pixels of the input, positive is
    down and right. `padding`, `how`: as given. `result["layer2.0"]` or iteration gives the layers."""

    shifts: np.ndarray
    padding: str
    how: str
    rows: tuple[LayerEquivariance, ...]

    @property
    def layers(self) -> tuple[str, ...]:
        """Names, in the order asked for."""
        return tuple(row.layer for row in self.rows)

    def __getitem__(self, layer: str) -> LayerEquivariance:
        """The row of `layer`. Raises UnknownName."""
        found = next((row for row in self.rows if row.layer == layer), None)
        return found or unknown("layer", layer, self.layers)


@dataclass(frozen=True, slots=True, repr=False)
class ShiftMap(Summarised):
    """The error of one layer over a square of shifts. `offsets` (n,): pixels, -reach … reach. `cosine`, `relative`,
    `cosine_inside`, `relative_inside`: (n, n), first index the rows' shift; see LayerEquivariance."""

    layer: str
    stride: tuple[float, float]
    offsets: np.ndarray
    cosine: np.ndarray
    relative: np.ndarray
    cosine_inside: np.ndarray
    relative_inside: np.ndarray
    padding: str
    how: str


def equivariance(
    model: LoadedModel,
    image: Any,
    shifts: Any,
    layers: Sequence[str] | str,
    padding: str = "native",
    how: str = "circular",
    maps: bool = True,
    progress: StudyWatcher | None = None,
) -> Equivariance:
    """Compare T(f(x)) with f(T(x)) for every shift T and layer f.

    `image`: RGB uint8 (H, W, 3), PIL, or a normalised tensor (C, H, W). `shifts`: (rows, columns) in pixels of the
    input, one or many. `how`: "circular" rolls what the network receives; "crop" cuts both images out of the larger
    photograph. `padding`: "native", "circular", "torus", "reflect", "valid": what every layer pads with in both
    passes; see `interventions.padding`. `maps`: keep both maps, not only the errors. The theory says 0 for circular
    shifts by multiples of the layer's total stride if the network lives on a torus, and for all units `inside`
    otherwise; between the multiples the map can only be compared at the nearest one, and the error rises.
    `progress(Progress)` returns False to stop. Raises UnknownName, Cancelled, and BadInput for shifts, words
    and layers that do not fit, or maps beyond MOST_KEPT bytes.

    Example:
        >>> import cnnviz
        >>> model, three = cnnviz.load("lenet5", device="cpu"), cnnviz.corpus("digits").image(3)
        >>> found = cnnviz.equivariance(model, three, [(0, 1), (0, 2)], ["conv1", "pool1"], padding="circular")
        >>> found["conv1"].exact, found["pool1"].exact  # a stride of 2 follows even shifts alone
        (array([ True,  True]), array([False,  True]))
    """
    names, pairs = [layers] if isinstance(layers, str) else list(layers), check_shifts(shifts)
    if not names:
        raise BadInput("Name at least one layer. List them: `model.layers()`.")
    check_padding(padding)
    find_modules(model.module, names)
    reach = max(abs(d) for pair in pairs for d in pair)
    source = make_shiftable(model, image, how, reach)
    passes = _Passes(model, source, names, padding)
    base = passes.of([(0, 0)])
    if maps and (size := 2 * len(pairs) * sum(m.numel() for m in base.values()) * 4) > MOST_KEPT:
        raise BadInput(f"The maps would take {size / 2**30:.1f} GiB: fewer shifts or layers, or maps=False.")
    grids = {n: find_grid(model, n, (m.shape[-2], m.shape[-1]), padding, passes.closed[n]) for n, m in base.items()}
    found: dict[str, list[_Comparison]] = {name: [] for name in names}
    ticker = Ticker(len(pairs), progress)
    for part in split_shifts(pairs, source.size):
        for name, output in passes.of(part).items():
            found[name] += [
                _compare(base[name][0], o, d, grids[name], how, maps) for o, d in zip(output, part, strict=True)
            ]
        ticker.tick("shifts", len(part))
    rows = tuple(_make_row(name, grids[name], found[name]) for name in names)
    return Equivariance(np.array(pairs), padding, how, rows)


def equivariance_map(
    model: LoadedModel,
    image: Any,
    layer: str,
    reach: int = 8,
    padding: str = "native",
    how: str = "circular",
    progress: StudyWatcher | None = None,
) -> ShiftMap:
    """The error of `layer` for all shifts from -reach to reach pixels in both directions, computed in batches.

    Arguments and errors as for `equivariance`; BadInput for reach < 1."""
    if reach < 1:
        raise BadInput(f"reach must be at least 1 pixel, got {reach}.")
    offsets = np.arange(-reach, reach + 1)
    shifts = np.stack(np.meshgrid(offsets, offsets, indexing="ij"), -1).reshape(-1, 2)
    row = equivariance(model, image, shifts, layer, padding, how, maps=False, progress=progress)[layer]
    square = (len(offsets), len(offsets))
    return ShiftMap(
        layer,
        row.stride,
        offsets,
        row.cosine.reshape(square),
        row.relative.reshape(square),
        row.cosine_inside.reshape(square),
        row.relative_inside.reshape(square),
        padding,
        how,
    )


class _Passes:
    """Forward passes over shifted images under a padding, up to the last wanted layer."""

    def __init__(self, model: LoadedModel, source: Shiftable, layers: list[str], padding: str) -> None:
        self.model, self.source, self.layers, self.padding = model, source, layers, padding
        self.closed: dict[str, bool] = {}  # layer: whether every window before it closed its map to a torus

    def of(self, shifts: Sequence[Shift]) -> dict[str, Tensor]:
        """{layer: (K, C, H, W)}."""
        batch = self.source.at(shifts)
        with self.model.lock, torch.inference_mode():
            count_calls(self.model.module, batch)  # with its own padding, in which the whole network runs
            with override_padding(self.padding) as mode, visit_layers(self.model.module, self.layers, self._note(mode)):
                found = capture_tensors(self.model.module, batch, self.layers, self.model.most_at_once)
            return {name: as_maps(found[name]) for name in self.layers}

    def _note(self, mode: PaddingMode) -> Visitor:
        return lambda layer, _output: self.closed.update({layer: mode.closed})


@dataclass(frozen=True, slots=True)
class _Comparison:
    steps: Shift
    whole: Distances
    inside: Distances
    mask: np.ndarray
    moved: np.ndarray | None
    after: np.ndarray | None


def _compare(base: Tensor, after: Tensor, shift: Shift, units: Grid, how: str, keep: bool) -> _Comparison:
    steps = units.moved_by(shift)
    moved = move_maps(base, steps, how)
    known, clear = units.masks(steps, how)
    return _Comparison(
        steps,
        measure_distances(moved, after, known),
        measure_distances(moved, after, clear),
        clear,
        moved.float().cpu().numpy() if keep else None,
        after.float().cpu().numpy() if keep else None,
    )


def _make_row(layer: str, units: Grid, found: list[_Comparison]) -> LayerEquivariance:
    whole, inside = (np.array(errors) for errors in zip(*((c.whole, c.inside) for c in found), strict=True))
    return LayerEquivariance(
        layer,
        units.stride,
        np.array([c.steps for c in found]),
        whole[:, 0],
        whole[:, 1],
        inside[:, 0],
        inside[:, 1],
        np.stack([c.mask for c in found]),
        stack_maps([c.moved for c in found]),
        stack_maps([c.after for c in found]),
    )
