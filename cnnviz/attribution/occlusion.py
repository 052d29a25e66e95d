"""Occlusion sensitivity: class probability and feature-map response while a gray square slides over the image."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnnviz.display import Summarised
from cnnviz.errors import BadInput, Cancelled
from cnnviz.models.model import LoadedModel
from cnnviz.probes.capture import as_maps
from cnnviz.probes.classifier import find_top_layer
from cnnviz.probes.forward import find_modules, visit_layers
from cnnviz.probes.predictions import predict_image, prepare_image
from cnnviz.wording import plural

Counter = Callable[[int, int], bool | None]  # (done, total); returning False stops the work
GRAY = 128  # of 255
_PIXELS_AT_ONCE = 16 * 224 * 224


@dataclass(frozen=True, slots=True, repr=False)
class Occlusion(Summarised):
    """Maps over the places of the square's centre, `stride` pixels apart: (R, C) each.

    `probability`: of class `target`. `label`: the most probable class. `activation`: the sum over the positive
    units of feature map `channel` of `layer`. `whole`: the same three without a square. `size`: the square's side
    in pixels; near the border a part of it lies outside. `shape`: (H, W) of the input. `class_names`: one a class.
    Source: Zeiler and Fergus, ECCV 2014, section 4.2 and Figure 7 (there without a square at the border)."""

    target: int
    probability: np.ndarray
    label: np.ndarray
    activation: np.ndarray
    whole: tuple[float, int, float]
    size: int
    stride: int
    shape: tuple[int, int]
    layer: str
    channel: int
    class_names: tuple[str, ...]
    seconds: float

    def box(self, row: int, col: int) -> tuple[int, int, int, int]:
        """(top, left, bottom, right), half open, of the square at place (row, col), cut at the border."""
        return square(self.size, self.stride, self.shape, row, col)

    @property
    def drop(self) -> np.ndarray:
        """(R, C) float32, signed: how much of the probability each square takes away."""
        return (self.whole[0] - self.probability).astype(np.float32)

    def over_image(self, values: np.ndarray) -> np.ndarray:
        """One of the maps (R, C) → (H, W): every pixel has the value of the cell that it lies in."""
        rows, cols = (np.arange(length) // self.stride for length in self.shape)
        return values[rows[:, None], cols]

    @property
    def changed(self) -> float:
        """Share of the places at which the most probable class is another one."""
        return float((self.label != self.whole[1]).mean())


def square(size: int, stride: int, shape: tuple[int, int], row: int, col: int) -> tuple[int, int, int, int]:
    """(top, left, bottom, right), half open: the square whose centre lies in the middle of cell (row, col) of a
    lattice of `stride` pixels, cut at the border of an image of `shape`."""
    tops = [n * stride + (stride - size) // 2 for n in (row, col)]
    top, left = (max(0, t) for t in tops)
    bottom, right = (min(length, t + size) for t, length in zip(tops, shape, strict=True))
    return top, left, bottom, right


def default_square(shape: tuple[int, int]) -> tuple[int, int]:
    """(size, stride) in pixels: a quarter of the short side, in about 14 steps."""
    short = min(shape)
    return max(2, round(short / 4)), max(1, short // 14)


def occlude(
    model: LoadedModel,
    image: Any,
    target: int | None = None,
    size: int | None = None,
    stride: int | None = None,
    layer: str | None = None,
    channel: int | None = None,
    gray: int = GRAY,
    progress: Counter | None = None,
) -> Occlusion:
    """The three maps of Zeiler and Fergus for one image, RGB uint8 (H, W, 3), PIL, or a normalised tensor.

    `target`: a class; None is the most probable one. `size`, `stride`: pixels of the input; None, see
    `default_square`. `layer`: None is the last one with maps. `channel`: None is the feature map with the
    strongest response to the whole image, as in the paper. `gray`: of the square, 0 … 255. The model's lock is held
    for one batch at a time. Raises BadInput, UnknownName, and Cancelled when `progress` returns False."""
    started = time.perf_counter()
    batch = prepare_image(model, image)
    shape = (int(batch.shape[2]), int(batch.shape[3]))
    size, stride = (given or usual for given, usual in zip((size, stride), default_square(shape), strict=True))
    if not (1 <= size <= max(shape) and 1 <= stride <= min(shape)):
        raise BadInput(f"size and stride must be 1 to {plural(min(shape), 'pixel')}, got {size} and {stride}.")
    layer = find_top_layer(model) if layer is None else layer
    find_modules(model.module, [layer])
    found = predict_image(model, batch)
    target = found.check_label(target)
    totals = _pass(model, batch, layer)[1][0]
    channel = int(totals.argmax()) if channel is None else channel
    if not 0 <= channel < len(totals):
        raise BadInput(f"{layer} has channels 0 to {len(totals) - 1}, got {channel}.")
    rows, cols = (-(-length // stride) for length in shape)
    boxes = [square(size, stride, shape, row, col) for row in range(rows) for col in range(cols)]
    parts = _passes(model, batch, boxes, _level(model, gray, batch), layer, channel, progress)
    shares = model.probabilities(np.concatenate([logits for logits, _ in parts]))
    return Occlusion(
        target=target,
        probability=shares[:, target].reshape(rows, cols).astype(np.float32),
        label=shares.argmax(axis=1).reshape(rows, cols),
        activation=np.concatenate([sums for _, sums in parts]).reshape(rows, cols),
        whole=(float(found.probabilities[target]), found.check_label(None), float(totals[channel])),
        size=size,
        stride=stride,
        shape=shape,
        layer=layer,
        channel=channel,
        class_names=found.class_names,
        seconds=time.perf_counter() - started,
    )


def _passes(
    model: LoadedModel,
    batch: Tensor,
    boxes: list[tuple[int, int, int, int]],
    level: Tensor,
    layer: str,
    channel: int,
    progress: Counter | None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(logits (B, classes), activation (B,)) of the squares, several at once."""
    many, parts = max(1, min(model.most_at_once, _PIXELS_AT_ONCE // batch[0, 0].numel())), []
    for start in range(0, len(boxes), many):
        chunk = boxes[start : start + many]
        covered = batch.repeat(len(chunk), 1, 1, 1)
        for image, (top, left, bottom, right) in zip(covered, chunk, strict=True):
            image[:, top:bottom, left:right] = level
        logits, totals = _pass(model, covered, layer)
        parts.append((logits, totals[:, channel]))
        done = start + len(chunk)
        if progress is not None and progress(done, len(boxes)) is False and done < len(boxes):
            raise Cancelled(
                f"Stopped after {done} of {plural(len(boxes), 'place')} of the square. Nothing was changed."
            )
    return parts


def _pass(model: LoadedModel, batch: Tensor, layer: str) -> tuple[np.ndarray, np.ndarray]:
    """(logits (N, classes), totals (N, channels)) of one forward pass."""
    kept: dict[str, Tensor] = {}

    def keep(name: str, output: Tensor) -> None:
        kept[name] = as_maps(output).clamp_min(0).sum((2, 3))

    with model.lock, torch.inference_mode(), visit_layers(model.module, [layer], keep) as faults:
        logits = model.compute_logits(model.lay_out(batch.clone()))  # the network may write into it
    if layer not in kept:
        raise BadInput(faults.get(layer) or f"Layer {layer!r} did not run in the forward pass. Choose another one.")
    return logits.float().cpu().numpy(), kept[layer].float().cpu().numpy()


def _level(model: LoadedModel, gray: int, batch: Tensor) -> Tensor:
    """(C, 1, 1): the normalised value of a gray of 0 … 255."""
    if not 0 <= gray <= 255:
        raise BadInput(f"gray must be 0 to 255, got {gray}.")
    mean, std = (batch.new_tensor(v) for v in (model.preprocessing.mean, model.preprocessing.std))
    return ((gray / 255 - mean) / std)[:, None, None]
