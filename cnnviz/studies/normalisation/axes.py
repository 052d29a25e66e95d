"""Which axes batch, layer, instance and group norm average over, and the statistics that they find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel
from cnnviz.probes.capture import as_maps, capture_tensors
from cnnviz.studies.normalisation.company import normalise_batch

KINDS = ("batch", "layer", "instance", "group")


@dataclass(frozen=True, slots=True, repr=False)
class NormStatistics(Summarised):
    """`mean`, `var`: one of each group of values that share it; (C,) for batch norm, (N,) for layer norm, (N, C) for
    instance norm, (N, G) for group norm. The variance has divisor n. `averaged`: values behind each of them."""

    kind: str
    mean: np.ndarray
    var: np.ndarray
    averaged: int


def norm_statistics(values: np.ndarray, kind: str, groups: int = 1) -> NormStatistics:
    """Mean and variance by which a norm of this `kind` normalises `values`: maps (N, C, places), or vectors (N, D),
    whose instance norm would have one value each.

    Batch norm averages over images and places, one statistic a channel; layer norm over channels and places, one an
    image; instance norm over places alone, one an image and channel; group norm over the channels of a group and
    places. Raises BadInput for another kind, or for groups that do not divide the channels.
    Source: Wu and He, Group normalization, ECCV 2018 (arXiv:1803.08494), section 3.1."""
    if kind not in KINDS:
        raise BadInput(f"No norm of kind {kind!r}. Choose one of: {', '.join(KINDS)}.")
    images, channels = values.shape[:2]
    if kind == "group" and (groups < 1 or channels % groups):
        raise BadInput(
            f"The number of groups has to divide that of channels: got {groups} and {channels}. Give a divisor."
        )
    maps = values.reshape(images, channels, -1).astype(np.float64)
    if kind == "group":
        maps = maps.reshape(images, groups, -1)
    over = {"batch": (0, 2), "layer": (1, 2), "instance": (2,), "group": (2,)}[kind]
    mean = maps.mean(axis=over)
    return NormStatistics(kind, mean, maps.var(axis=over), maps.size // mean.size)


def capture_batch(model: LoadedModel, received: Sequence[np.ndarray], layer: str) -> np.ndarray:
    """(N, C, H, W) float32: the output of a layer for each image, uint8 (H, W, C) as `LoadedModel.receive` gives them.

    Raises UnknownName for a layer the network has not, BadInput for one that does not run."""
    batch = normalise_batch(model, received)
    with model.lock, torch.inference_mode():
        found = as_maps(capture_tensors(model.module, batch, [layer], model.most_at_once)[layer])
    maps: np.ndarray = found.float().contiguous().cpu().numpy()
    return maps


def means_over_batches(values: np.ndarray, sizes: Sequence[int], groups: int = 1) -> dict[str, np.ndarray]:
    """{kind: (K,)} the mean by which the first image's values in the last channel are normalised, if a batch holds the
    first n images of `values`, maps (N, C, places) or vectors (N, D), for each n of `sizes`. Vectors have no instance
    or group norm here."""
    kinds = KINDS if values.ndim > 2 else KINDS[:2]
    places = {"batch": (-1,), "layer": (0,), "instance": (0, -1), "group": (0, -1)}
    return {
        kind: np.array([norm_statistics(values[:n], kind, groups).mean[places[kind]] for n in sizes]) for kind in kinds
    }


def largest_groups(channels: int, most: int = 32) -> int:
    """The largest number of groups up to `most` that divides the channels and leaves two or more in each; 32 is what
    Wu and He took. 1 where there is none."""
    return max(groups for groups in range(1, min(most, max(channels // 2, 1)) + 1) if channels % groups == 0)
