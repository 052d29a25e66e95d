"""Shifted images, circular or cropped from a larger photograph, and feature maps moved along."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.models.memory_format import lay_out
from cnnviz.models.model import LoadedModel
from cnnviz.tracing.receptive_field import ReceptiveField, receptive_field
from cnnviz.wording import plural

HOWS = ("circular", "crop")
PIXELS_AT_ONCE = 400_000  # pixels of the input in one pass: eight images of 224×224, at most 64 images
Shift = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Shiftable:
    """One image that can be moved. `pixels`: (C, H', W') normalised, on the model's device; in "crop" mode larger
    than what the network receives by `margin` on each side. `size`: (H, W) of a shifted image. `memory_format`: the
    network's."""

    pixels: Tensor
    size: tuple[int, int]
    margin: int = 0
    how: str = "circular"
    memory_format: torch.memory_format = torch.channels_last

    def at(self, shifts: Sequence[Shift]) -> Tensor:
        """(K, C, H, W): the contents moved by (rows, columns); positive is down and right."""
        moved = [self._crop(*shift) if self.how == "crop" else self.pixels.roll(shift, (1, 2)) for shift in shifts]
        return lay_out(torch.stack(moved), self.memory_format)

    def _crop(self, rows: int, cols: int) -> Tensor:
        top, left = self.margin - rows, self.margin - cols
        return self.pixels[:, top : top + self.size[0], left : left + self.size[1]]


def make_shiftable(model: LoadedModel, image: Any, how: str, reach: int) -> Shiftable:
    """`image` ready for shifts of up to `reach` pixels.

    `image`: RGB uint8 (H, W, 3), PIL, or a normalised tensor (C, H, W). "circular": as the network receives it, and
    what leaves at one side comes in at the other. "crop": the picture around the network's centre crop as well,
    scaled up where it has no `reach` pixels to spare; a tensor has to be larger than the input by 2 · reach.
    Raises BadInput for another word, or a tensor of another size."""
    if how not in HOWS:
        raise BadInput(f"A shift is one of: {', '.join(HOWS)}; got {how!r}.")
    channels, height, width = model.input_size
    margin = reach if how == "crop" else 0
    wanted = (channels, height + 2 * margin, width + 2 * margin)
    if isinstance(image, Tensor):
        ready = image[0] if image.ndim == 4 and len(image) == 1 else image
        if tuple(ready.shape) != wanted:
            raise BadInput(
                f"A {how} shift of {plural(reach, 'pixel')} needs a tensor {wanted}, got {tuple(image.shape)}."
            )
        return Shiftable(ready.to(model.device, torch.float32), (height, width), margin, how, model.memory_format)
    return Shiftable(make_canvas(model, image, margin), (height, width), margin, how, model.memory_format)


def make_canvas(model: LoadedModel, image: Any, margin: int, extra: int = 0) -> Tensor:
    """(C, H + 2 · margin + extra, …) normalised, on the model's device: the network's centre crop and what lies
    around it in the scaled photograph. The photograph is scaled up if it has less than that around."""
    usual = model.preprocessing
    size = (usual.size[0] + 2 * margin + extra, usual.size[1] + 2 * margin + extra)
    wider = replace(usual, size=size, resize=max(usual.side, *size)) if size != usual.size else usual
    return wider.normalise(torch.from_numpy(wider.receive(image))).to(model.device)


def denormalise(model: LoadedModel, pixels: Tensor | np.ndarray) -> np.ndarray:
    """Normalised (C, H, W) → what the network received, uint8 (H, W, C)."""
    values = pixels.cpu().numpy() if isinstance(pixels, Tensor) else pixels
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (model.preprocessing.mean, model.preprocessing.std))
    return np.clip(np.rint((values * std + mean) * 255), 0, 255).astype(np.uint8).transpose(1, 2, 0)


def receive_shifted(model: LoadedModel, image: Any, how: str, shifts: Sequence[Shift]) -> list[np.ndarray]:
    """What the network receives of an image under each shift, uint8 (H, W, C). `image`, `how`: see `make_shiftable`.

    A tensor in "crop" mode has to be larger than the input by the longest shift on each side."""
    reach = max(abs(step) for shift in shifts for step in shift)
    return [denormalise(model, one) for one in make_shiftable(model, image, how, reach).at(shifts)]


def check_shifts(shifts: Any) -> list[Shift]:
    """[(rows, columns)] from one pair or many. Raises BadInput for what is not whole numbers."""
    array = np.asarray(shifts)
    if array.size == 0 or array.shape[-1] != 2 or array.ndim > 2:
        raise BadInput(f"Expected shifts as pairs (rows, columns), got {shifts!r:.80}.")
    if not np.equal(array, np.round(array.astype(float))).all():
        raise BadInput(f"Shifts are whole pixels, got {shifts!r:.80}.")
    return [(int(rows), int(cols)) for rows, cols in array.reshape(-1, 2)]


def split_shifts(shifts: Sequence[Shift], size: tuple[int, int]) -> Iterator[Sequence[Shift]]:
    """`shifts` in parts that one forward pass takes well."""
    many = max(1, min(64, PIXELS_AT_ONCE // (size[0] * size[1])))
    for start in range(0, len(shifts), many):
        yield shifts[start : start + many]


@dataclass(frozen=True, slots=True, repr=False)
class Grid(Summarised):
    """Where the units of a layer lie. `stride`: pixels from one unit to the next, 0 where all see the same. `size`:
    units. `length`: pixels of the image. `clear`: per axis, True for units that see no padding (their field, by the
    theory, lies in the image)."""

    stride: tuple[float, float]
    size: tuple[int, int]
    length: tuple[int, int]
    clear: tuple[np.ndarray, np.ndarray]

    def moved_by(self, shift: Shift) -> Shift:
        """The units by which a map moves when the image moves by `shift` pixels: the nearest multiple of the stride,
        halves upwards; 0 where there is no location."""
        rows, cols = (math.floor(d / s + 0.5) if s else 0 for d, s in zip(shift, self.stride, strict=True))
        return rows, cols

    def masks(self, steps: Shift, how: str) -> tuple[np.ndarray, np.ndarray]:
        """(H, W) bool: units that can be compared after a move by `steps`, and those of them that saw no padding,
        before and after. On a crop, what came in from outside has nothing to be compared with; on a torus only
        where the map does not close, because its units times stride are not the image."""
        known, clear = [], []
        for step, size, stride, length, free in zip(
            steps, self.size, self.stride, self.length, self.clear, strict=True
        ):
            source = np.arange(size) - step
            here = (source >= 0) & (source < size)
            closed = how == "circular" and size * stride == length
            known.append(here if how == "crop" else np.ones(size, bool))
            clear.append((here | closed) & free & free[source % size])
        return np.logical_and.outer(*known), np.logical_and.outer(*clear)


def find_grid(model: LoadedModel, layer: str, size: tuple[int, int], padding: str, closed: bool) -> Grid:
    """The grid of a layer's map of `size` (H, W) units under this padding. `closed`: whether all windows up to the
    layer closed their maps to a torus, see `padding.PaddingMode`. Raises as `receptive_field` does."""
    field = receptive_field(model, layer)
    length = model.input_size[1:]
    clear = []
    for axis in (0, 1):
        around = closed and padding in ("circular", "torus") and size[axis] * field.stride[axis] == length[axis]
        if around or padding == "valid" or size[axis] != field.shape[axis]:
            clear.append(np.full(size[axis], around or padding == "valid"))
        else:
            clear.append(_inside(field, axis, length[axis]))
    return Grid(field.stride, size, (length[0], length[1]), (clear[0], clear[1]))


def _inside(field: ReceptiveField, axis: int, length: int) -> np.ndarray:
    """(n,) True for the units along an axis whose unclipped field lies in 0 … length and is shorter than that."""
    found = []
    for unit in range(field.shape[axis]):
        box = field.box(unit, 0, clip=False) if axis == 0 else field.box(0, unit, clip=False)
        start, stop = box[axis], box[axis + 2]
        found.append(start >= 0 and stop <= length and stop - start < length)  # who sees all, sees what was padded
    return np.array(found)


def move_maps(maps: Tensor, steps: Shift, how: str) -> Tensor:
    """(C, H, W) moved by `steps` units: on a torus, or with zeros coming in."""
    moved = maps.roll(steps, (-2, -1))
    if how == "crop":
        for dim, step in ((-2, steps[0]), (-1, steps[1])):
            n = maps.shape[dim]
            many = min(abs(step), n)
            moved.narrow(dim, 0 if step > 0 else n - many, many).zero_()
    return moved
