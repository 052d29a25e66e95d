"""Learned invariance (maxout): a maximum over filters that respond to the same thing, each in its own pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.studies.convolution.convolution import correlate
from cnnviz.studies.pooling.pooling import pool_channels
from cnnviz.wording import plural


@dataclass(frozen=True, slots=True, repr=False)
class LearnedInvariance(Summarised):
    """A filter in four poses, and pictures in four poses. `filters` (4, k, k), `pictures` (4, n, n): quarter turns
    counter-clockwise. `maps` (4, 4, m, m): of each picture, by each filter. `responses` (4, 4): the unit in the middle.
    `pooled` (4,): its maximum over the filters, equal for all four pictures.
    Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, figure 9.9."""

    filters: np.ndarray
    pictures: np.ndarray
    maps: np.ndarray

    @property
    def responses(self) -> np.ndarray:
        """(4, 4): picture × filter, at the unit in the middle of the map."""
        middle = self.maps.shape[-1] // 2
        return self.maps[:, :, middle, middle]

    @property
    def pooled(self) -> np.ndarray:
        """(4,): maximum over the filters."""
        return pool_channels(self.responses.T)[0]


def quarter_turns(array: np.ndarray) -> np.ndarray:
    """(4, n, n): the array turned by 0°, 90°, 180° and 270°, counter-clockwise. Raises BadInput if it is not square."""
    array = np.asarray(array, np.float64)
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise BadInput(f"Expected a square of numbers, got shape {array.shape}.")
    return np.stack([np.rot90(array, turns) for turns in range(4)])


def learned_invariance(kernel: np.ndarray, picture: np.ndarray) -> LearnedInvariance:
    """Apply a kernel (k, k) in its four poses to a picture (n, n) in its four poses, without padding.

    Raises BadInput if either is not a square, or n - k is odd, so that the map has no unit in the middle."""
    filters, pictures = quarter_turns(kernel), quarter_turns(picture)
    if (pictures.shape[1] - filters.shape[1]) % 2 or pictures.shape[1] < filters.shape[1]:
        raise BadInput(f"A {filters.shape[1]}-wide kernel has no middle place on {plural(pictures.shape[1], 'pixel')}.")
    maps = np.stack([[correlate(p, f) for f in filters] for p in pictures])
    return LearnedInvariance(filters, pictures, maps)
