"""Receptive fields: which pixels of the network's input each unit can see."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import torch

from cnnviz.display import Displayed
from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel
from cnnviz.models.state import NetworkCache
from cnnviz.probes.forward import find_modules, name_call
from cnnviz.tracing.rf_intervals import Axis, pixel_range
from cnnviz.tracing.rf_tracker import MapField, trace_layers

Trace = dict[str, list[MapField | None]]


@dataclass(frozen=True, slots=True)
class ReceptiveField(Displayed):
    """What the units of one layer see, in pixels of the network's input.

    `size`: (h, w) of the field of the unit in the middle of the map, padding included, so it may exceed
    the image. `stride`: (h, w) from one unit to the next; 0 where all units see the same pixels.
    `padding`: (h, w) by which the field of unit (0, 0) starts outside the image; negative if inside.
    `shape`: (rows, cols) of the layer's map, (1, 1) without one, (T, 1) of T tokens. `input_size`: (H, W). `extent`:
    `shape`, but where the image's rows or columns run along the layer's channels: there as many as these.
    Source of the terms: Araujo, Norris, Sim, Distill 2019."""

    layer: str
    size: tuple[int, int]
    stride: tuple[float, float]
    padding: tuple[int, int]
    shape: tuple[int, int]
    input_size: tuple[int, int]
    extent: tuple[int, int]
    _axes: tuple[Axis, Axis] = field(repr=False, compare=False)  # of the layer's map (rows, cols)

    def box(self, row: int, col: int, clip: bool = True) -> tuple[int, int, int, int]:
        """(top, left, bottom, right), half open, of the pixels that unit (row, col) can depend on.

        clip=True: inside the image, and exact: only through taps that are not padding. clip=False: the
        full field, which may leave the image; equal size for all units of a plain stack. A unit that sees
        padding only gives a box of area zero. Raises BadInput outside the map."""
        self._check(row, col)
        (top, bottom), (left, right) = (pixel_range(axis, _find_unit(axis, row, col), clip) for axis in self._axes)
        return top, left, bottom, right

    def boxes(self, rows: np.ndarray, cols: np.ndarray, clip: bool = True) -> np.ndarray:
        """`box` of many units: int64 (…, 4) for rows and columns (…). Raises BadInput outside the map."""
        if rows.size == 0:
            return np.zeros((*rows.shape, 4), np.int64)
        self._check(int(rows.min()), int(cols.min()))
        self._check(int(rows.max()), int(cols.max()))
        ends = []
        for axis in self._axes:
            # each different field once, not each unit's
            shape = axis.low.shape
            known = np.array([pixel_range(axis, unit, clip) for unit in np.ndindex(*shape)], np.int64)
            ends.append(known.reshape(*shape, 2)[np.minimum(rows, shape[0] - 1), np.minimum(cols, shape[1] - 1)])
        return np.stack([ends[0][..., 0], ends[1][..., 0], ends[0][..., 1], ends[1][..., 1]], axis=-1)

    def centre(self, row: int, col: int) -> tuple[float, float]:
        """(row, col) in pixel indices of the middle of the unclipped field; whole numbers for odd sizes.

        Raises BadInput outside the map."""
        top, left, bottom, right = self.box(row, col, clip=False)
        return (top + bottom - 1) / 2, (left + right - 1) / 2

    def _check(self, row: int, col: int) -> None:
        rows, cols = self.shape
        if not (0 <= row < rows and 0 <= col < cols):
            raise BadInput(
                f"Layer {self.layer!r} has a map of {rows}×{cols} units, got unit ({row}, {col}). "
                f"Choose a row in 0..{rows - 1} and a column in 0..{cols - 1}."
            )


_TRACES: NetworkCache[Trace] = NetworkCache()


def receptive_field(model: LoadedModel, layer: str) -> ReceptiveField:
    """The receptive field of every unit of `layer` at the model's input size.

    One forward pass is followed operation by operation, and per axis the first and last pixel that each
    unit can reach are kept: minimum and maximum over its taps and over all branches. Functional code,
    branches, dilation, ceil_mode, adaptive windows, attention and all that only moves values are exact, channel by
    channel; global pooling, squeeze-and-excitation and norms over space see all that their input sees, and so does
    an operation without a rule. Cropping, pooling and gates may depend on values: what a unit *can* see is given.
    "name:1" is the first call of a module that is used several times; a bare name the last.
    Raises UnknownName for a layer the network has not, BadInput for one that never runs.

    Example:
        >>> import cnnviz
        >>> field = cnnviz.receptive_field(cnnviz.load("lenet5", device="cpu"), "conv2")
        >>> field.size, field.stride
        ((14, 14), (2, 2))
        >>> field.box(0, 0), field.box(0, 0, clip=False)  # two pixels of it are padding
        ((0, 0, 12, 12), (-2, -2, 12, 12))
    """
    find_modules(model.module, [layer])
    name, call = name_call(model.module, layer)
    calls = _trace(model).get(name, [])
    if not calls or (call is not None and not 1 <= call <= len(calls)):
        raise BadInput(
            f"Layer {layer!r} ran {len(calls)} times in the forward pass. "
            + (f"Calls are counted 1..{len(calls)}." if calls else "It may be used only in training.")
        )
    found = calls[-1 if call is None else call - 1]
    if found is None:
        raise BadInput(f"Layer {layer!r} does not depend on the image: it has no receptive field.")
    return _summarise(layer, found, model.input_size[1:])


def _trace(model: LoadedModel) -> Trace:
    def follow() -> Trace:
        with torch.inference_mode(False):
            image = torch.zeros((1, *model.input_size), device=model.device)
        return trace_layers(model.module, image)

    with model.lock:
        return _TRACES.get(model.module, follow, model.input_size)


def _summarise(layer: str, found: MapField, input_size: tuple[int, int]) -> ReceptiveField:
    rows, cols = found.axes
    return ReceptiveField(
        layer=layer,
        size=(_size(rows, found.shape), _size(cols, found.shape)),
        stride=(_number(rows.step), _number(cols.step)),
        padding=(-pixel_range(rows, (0, 0), clip=False)[0], -pixel_range(cols, (0, 0), clip=False)[0]),
        shape=found.shape,
        extent=found.extent,
        input_size=input_size,
        _axes=found.axes,
    )


def _find_unit(axis: Axis, row: int, col: int) -> tuple[int, int]:
    """Where in the arrays of a map's axis the unit stands: they have length 1 where nothing changes."""
    return min(row, axis.low.shape[0] - 1), min(col, axis.low.shape[1] - 1)


def _size(axis: Axis, shape: tuple[int, int]) -> int:
    start, stop = pixel_range(axis, _find_unit(axis, shape[0] // 2, shape[1] // 2), clip=False)
    return stop - start


def _number(step: Fraction) -> float:
    return abs(int(step)) if step.denominator == 1 else abs(float(step))
