"""Loss and accuracy of a network over images that stay on the device: the inner loop of every landscape."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack

import numpy as np
import torch
from torch import Tensor, nn

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.landscape.results import Measured
from cnnviz.models.memory_format import lay_out
from cnnviz.models.output import find_scores, to_logits
from cnnviz.training.loss import cross_entropy

RESIDENT = 1 << 30  # bytes of float32 images kept ready; larger sets stay uint8 and are normalised as they pass


class Images:
    """Labelled images on the device, in parts of nearly equal size.

    `images`: uint8 (N, H, W, C) as received, or float (N, C, H, W) already preprocessed; `labels`: (N,).
    `ending`: the function that the network ends in, see `models.output.find_ending`."""

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        preprocessing: Preprocessing,
        device: torch.device,
        memory_format: torch.memory_format = torch.channels_last,
        ending: str = "",
    ) -> None:
        self.preprocessing, self.count, self.memory_format = preprocessing, len(images), memory_format
        self.ending = ending
        self.copied = False  # parts are copies: for a network that writes into its input
        self.labels = labels.to(device)
        self._images = images.to(device)
        if images.dtype != torch.uint8 or images.numel() * 4 <= RESIDENT:
            self._images = self._prepare(self._images)

    def parts(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """(images float32 (n, C, H, W) in `memory_format`, labels (n,)) of at most `size` images."""
        for rows in self.split(size):
            yield self.part(rows)

    def split(self, size: int) -> list[slice]:
        """Rows of parts of nearly equal size, at most `size` images each."""
        count = math.ceil(self.count / size)
        each, longer = divmod(self.count, count)
        ends = [(number + 1) * each + min(number + 1, longer) for number in range(count)]
        return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]

    def part(self, rows: slice) -> tuple[Tensor, Tensor]:
        """The images and labels of these rows, as `parts` gives them."""
        images = self._prepare(self._images[rows])
        return images.clone() if self.copied else images, self.labels[rows]

    def _prepare(self, images: Tensor) -> Tensor:
        if images.dtype == torch.uint8:
            images = self.preprocessing.normalise(images)
        return lay_out(images.float(), self.memory_format)


def exactness(device: torch.device, bfloat16: bool) -> AbstractContextManager:
    """Inside: inference mode; bfloat16 autocast, or float32, on CUDA never rounded to TF32: `device.exact_float32`
    sees to it once, since switched here it would change what other threads compute."""
    stack = ExitStack()
    stack.enter_context(torch.inference_mode())
    if bfloat16:
        stack.enter_context(torch.autocast(device.type, torch.bfloat16, cache_enabled=False))
    return stack


def score(module: nn.Module, images: Tensor, labels: Tensor, ending: str = "") -> Tensor:
    """(2, N) float32: each image's cross-entropy in nats, and 1 where the label has the highest score.

    The softmax is computed in float32 whatever the precision of the logits. Where the logits are not finite
    the loss is not either, and the answer counts as wrong. `ending`: of a network that gives probabilities."""
    logits = to_logits(find_scores(module(images), len(images)).float(), ending)
    losses = cross_entropy(logits, labels, ending)
    answers = (logits[:, 0] >= 0).long() if logits.shape[1] == 1 else logits.argmax(1)
    right = (answers == labels) & losses.isfinite()
    return torch.stack([losses, right.float()])


def average(scored: Tensor) -> Measured:
    """Means and standard errors of what `score` gives, (2, N), summed in float64. A loss that is not finite is inf."""
    losses, right = scored.cpu().numpy().astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        loss, loss_error = _mean(losses)
    if not math.isfinite(loss):
        loss = loss_error = math.inf
    accuracy, accuracy_error = _mean(right)
    return Measured(loss, accuracy, loss_error, accuracy_error)


def _mean(values: np.ndarray) -> tuple[float, float]:
    """Mean and its standard error; the error of a single value is not known: NaN."""
    error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return float(values.mean()), float(error)
