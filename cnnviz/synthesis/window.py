"""The part of the input that a unit can see: images are made there alone, and small passes suffice."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cnnviz.models.model import LoadedModel
from cnnviz.probes.capture import as_maps
from cnnviz.probes.forward import open_partial_pass
from cnnviz.tracing.receptive_field import ReceptiveField

Box = tuple[int, int, int, int]
SAME = 1e-3  # of the largest value: two passes that compute the same differ by less


@dataclass(frozen=True, slots=True)
class FieldWindow:
    """`box`: the pixels that are made, `given`: those that a pass is given, both (top, left, bottom, right), half open.
    `unit`: (row, col) on the map of such a pass; None where the whole map counts."""

    box: Box
    given: Box
    unit: tuple[int, int] | None

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the box."""
        return self.box[2] - self.box[0], self.box[3] - self.box[1]

    def surround(self, patches: Tensor, neutral: float) -> Tensor:
        """Patches (N, C, h, w) of the box as the input of a pass: with `neutral` around them."""
        (top, left, bottom, right), given = self.box, self.given
        around = (left - given[1], given[3] - right, top - given[0], given[2] - bottom)
        return F.pad(patches, around, value=neutral) if any(around) else patches


def whole_window(size: tuple[int, int], unit: tuple[int, int] | None = None) -> FieldWindow:
    """All of an image of `size` (H, W)."""
    return FieldWindow((0, 0, *size), (0, 0, *size), unit)


def find_window(model: LoadedModel, layer: str, field: ReceptiveField, unit: tuple[int, int]) -> FieldWindow:
    """The window of the receptive field of a unit (row, col).

    A pass may begin only where the strides of all layers fall upon the same pixels as in the whole image, hence at a
    multiple of the layer's own. Whether it gives the same value is tried with noise; where it does not, or where the
    network takes no other size, passes are given the whole image. The caller holds the lock."""
    size = model.input_size[1:]
    box = field.box(*unit)
    if box[0] >= box[2] or box[1] >= box[3]:  # it sees padding alone
        return whole_window(size, unit)
    whole = FieldWindow(box, (0, 0, *size), unit)
    if any(step < 1 or step != int(step) for step in field.stride):
        return whole
    steps = int(field.stride[0]), int(field.stride[1])
    above, before = box[0] // steps[0], box[1] // steps[1]  # units that the pass does without
    given = (above * steps[0], before * steps[1], box[2], box[3])
    window = FieldWindow(box, given, (unit[0] - above, unit[1] - before))
    return window if window.given != whole.given and _is_same(model, layer, whole, window) else whole


def _is_same(model: LoadedModel, layer: str, whole: FieldWindow, window: FieldWindow) -> bool:
    """Whether passes over both windows give the same values at the unit."""
    noise = torch.rand(1, *model.input_size, generator=torch.Generator().manual_seed(0)) - 0.5
    noise, (top, left, bottom, right) = noise.to(model.device), window.given
    assert whole.unit is not None and window.unit is not None
    with torch.no_grad(), open_partial_pass(model.module, layer, noise) as run:
        wanted = as_maps(run(model.lay_out(noise.clone())))[0, :, whole.unit[0], whole.unit[1]]
        try:
            maps = as_maps(run(model.lay_out(noise[..., top:bottom, left:right].clone())))
            found = maps[0, :, window.unit[0], window.unit[1]]
        except Exception:  # noqa: BLE001, a network of fixed size may fail in any way
            return False
    return found.shape == wanted.shape and bool((found - wanted).abs().max() <= SAME * wanted.abs().max())
