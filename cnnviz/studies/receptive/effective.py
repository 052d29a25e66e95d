"""Effective receptive field on the image, at one place of a layer: where its gradient lies, and how wide it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cnnviz.attribution.reconstruct import reconstruct_batch
from cnnviz.data.corpus import Corpus
from cnnviz.display import Summarised
from cnnviz.errors import BadImage, BadInput
from cnnviz.models.model import LoadedModel
from cnnviz.probes.capture import capture
from cnnviz.progress import StudyWatcher, Ticker
from cnnviz.studies.equivariance.shifting import PIXELS_AT_ONCE
from cnnviz.tracing.receptive_field import receptive_field
from cnnviz.wording import plural

Box = tuple[int, int, int, int]  # (top, left, bottom, right), half open
AT_ONCE = 16  # images in one backward pass at most


@dataclass(frozen=True, slots=True, repr=False)
class MeasuredField(Summarised):
    """Mean absolute gradient of units at one place of a layer by the pixels of the input.

    `weight` (H, W) float64 over the image, its sum is 1; all 0 where no gradient arrives. `free`: the theoretical
    field, which may leave the image; `seen`: what of it lies inside. `images`: how many were averaged; `silent`: in
    how many of them no gradient arrived, as behind a rectifier that is closed.
    Source: Luo, Li, Urtasun, Zemel, NeurIPS 2016, arXiv:1701.04128."""

    weight: np.ndarray
    free: Box
    seen: Box
    images: int
    silent: int

    @property
    def centre(self) -> tuple[float, float]:
        """(row, col) of the middle of the gradient, its mean, in pixel indices; of the field where there is none."""
        if not self.weight.any():
            top, left, bottom, right = self.free
            return (top + bottom - 1) / 2, (left + right - 1) / 2
        return _mean(self.weight.sum(1)), _mean(self.weight.sum(0))

    @property
    def sigma(self) -> tuple[float, float]:
        """(rows, cols) pixels: the standard deviation of the gradient, which is that of the Gaussian of its moments."""
        return _deviation(self.weight.sum(1)), _deviation(self.weight.sum(0))

    def box(self, share: float) -> Box:
        """The smallest box about `centre` that holds `share` (0..1) of the gradient, cut at the image's border.

        It keeps the proportions of the theoretical field. Raises BadInput for a share outside 0..1."""
        if not 0 <= share <= 1:
            raise BadInput(f"share must lie in 0..1, got {share}.")
        height, width = self.weight.shape
        sums = np.zeros((height + 1, width + 1))
        sums[1:, 1:] = self.weight.cumsum(0).cumsum(1)
        high, wide = (max(self.free[at + 2] - self.free[at], 1) for at in (0, 1))
        (row, col), longest = self.centre, max(high, wide)
        for reach in range(4 * max(self.weight.shape) * longest // min(high, wide) + 4):  # half pixels, longer axis
            top, bottom = _span(row, reach * high / longest, high % 2, height)
            left, right = _span(col, reach * wide / longest, wide % 2, width)
            mass = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
            if mass >= share - 1e-9 and bottom > top and right > left:
                return top, left, bottom, right
        return 0, 0, height, width

    def ratio(self, share: float) -> float:
        """The area of `box(share)` over that of the theoretical field, padding included; 0 where nothing arrives."""
        top, left, bottom, right = self.free
        area = (bottom - top) * (right - left)
        return _area(self.box(share)) / area if area and self.weight.any() else 0.0


def measure_field(
    model: LoadedModel,
    images: Tensor,
    layer: str,
    channel: int | None,
    place: tuple[int, int],
    progress: StudyWatcher | None = None,
) -> MeasuredField:
    """The effective field of the unit of `channel` at `place` (row, col), averaged over `images` (N, C, H, W), which
    are normalised. `channel` None: for each image another of the channels that are not silent there, so that the field
    is that of the layer.

    `progress(Progress)` returns False to stop. Raises UnknownName, BadInput for a unit the layer has not,
    Cancelled."""
    field = receptive_field(model, layer)
    free, seen = field.box(*place, clip=False), field.box(*place)
    many = max(1, min(AT_ONCE, PIXELS_AT_ONCE // (images.shape[-2] * images.shape[-1])))
    ticker, silent = Ticker(len(images), progress), 0
    total = np.zeros(tuple(images.shape[-2:]), np.float64)
    for start in range(0, len(images), many):
        part = images[start : start + many]
        channels = _spread(model, part, layer, place, start, len(images)) if channel is None else [channel] * len(part)
        units = [(one, *place) for one in channels]
        gradient = np.abs(reconstruct_batch(model, part, layer, units, "gradient")).sum(axis=1, dtype=np.float64)
        total += gradient.sum(axis=0)
        silent += int((gradient.max(axis=(1, 2)) == 0).sum())
        ticker.tick("images", len(part))
    weight = total / total.sum() if total.sum() > 0 else total
    return MeasuredField(weight, free, seen, len(images), silent)


def _spread(
    model: LoadedModel, images: Tensor, layer: str, place: tuple[int, int], first: int, count: int
) -> list[int]:
    """A channel for each of `images`, which are number `first` and on of `count`: evenly spread over the channels that
    are not exactly 0 at the place, as behind a closed rectifier; over all where every one is."""
    values = capture(model, images, [layer])[layer]
    _check_place(layer, place, values.shape[2:])
    chosen = []
    for number, answers in enumerate(values[:, :, place[0], place[1]], first):
        awake = np.flatnonzero(answers)
        offered = awake if len(awake) else np.arange(len(answers))
        chosen.append(int(offered[number * len(offered) // count]))
    return chosen


def _check_place(layer: str, place: tuple[int, int], shape: tuple[int, ...]) -> None:
    if not all(0 <= at < length for at, length in zip(place, shape, strict=True)):
        raise BadInput(f"Layer {layer!r} has a map of {shape[0]}×{shape[1]} units, got unit {place}.")


def read_images(model: LoadedModel, corpus: Corpus, count: int) -> Tensor:
    """(n, C, H, W) normalised: the first `count` images of a corpus that can be read, as the network receives them.

    Raises BadInput if there is none."""
    taken, faults = [], []
    for index in range(len(corpus)):
        try:
            taken.append(torch.from_numpy(model.received_from(corpus, index)))
        except BadImage as error:
            faults.append(str(error))
        if len(taken) == count:
            break
    if not taken:
        raise BadInput(f"None of the {plural(len(corpus), 'image')} of {corpus.name!r} could be read: {faults[:1]}.")
    return model.preprocessing.normalise(torch.stack(taken))


def gaussian(length: int, centre: float, sigma: float) -> np.ndarray:
    """(length,) float64: the density of a Gaussian over pixels 0 … length - 1, per pixel, not cut to sum 1.

    A sigma of 0 is all weight on the nearest pixel."""
    at = np.arange(length)
    if sigma <= 0:
        return (at == round(centre)).astype(np.float64)
    return np.exp(-0.5 * ((at - centre) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))


def _mean(profile: np.ndarray) -> float:
    return float(profile @ np.arange(len(profile)) / profile.sum())


def _deviation(profile: np.ndarray) -> float:
    if not profile.any():
        return 0.0
    far = np.arange(len(profile)) - _mean(profile)
    return float(np.sqrt(max(profile @ far**2 / profile.sum(), 0.0)))


def _span(centre: float, reach: float, odd: int, limit: int) -> tuple[int, int]:
    """Half open: the pixels of 0 … limit - 1 within `reach` half pixels of the place nearest to the centre that the
    field's middle can have: a pixel where the field is `odd`, else a border of two."""
    middle = 2 * round(centre) if odd else 2 * int(np.floor(centre)) + 1
    low, high = int(np.ceil((middle - reach) / 2)), int(np.floor((middle + reach) / 2))
    return min(max(low, 0), limit), min(max(high + 1, 0), limit)


def _area(box: Box) -> int:
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)
