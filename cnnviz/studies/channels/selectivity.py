"""Class selectivity of channels: how much the strongest images of a channel are of one class."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from cnnviz.display import Summarised
from cnnviz.index.result import PatchIndex


@dataclass(frozen=True, slots=True, repr=False)
class Selectivity(Summarised):
    """Class histogram of a layer's winners, summed up channel by channel.

    `classes`: {class: winners of it}, one dict a channel. `commonest` (C,): the class of most winners, "" where
    there is none; the class of the stronger winner where two are equally common. `share` (C,) of the winners that
    are of it. `entropy` (C,) of the histogram, bits. `index` (C,): 1 - entropy / log2(number of winners), so that
    1 means a single class and 0 as many classes as winners; NaN where there are no two winners.
    Sources: entropy, Shannon 1948; judging a unit by the classes of its strongest images, Rafegas, Vanrell,
    Alexandre, Arias, Pattern Recognition Letters 2020 (arXiv:1702.00382)."""

    classes: list[dict[str, int]]
    commonest: list[str]
    share: np.ndarray
    entropy: np.ndarray
    index: np.ndarray


def selectivity(index: PatchIndex, layer: str) -> Selectivity | None:
    """The selectivity of every channel of an indexed layer; None where the corpus had no labels.

    Raises UnknownName for a layer that was not indexed."""
    labels: dict[str, str] = index.meta.get("labels") or {}
    winners = index.images(layer).tolist()
    if not labels:
        return None
    rows = [[labels.get(str(image), "") for image in row if image >= 0] for row in winners]
    found = [dict(Counter(label for label in row if label)) for row in rows]  # in the order of strength
    counts = [np.array(list(classes.values()), float) for classes in found]
    entropy = np.array([_entropy(c) for c in counts])
    room = np.array([np.log2(max(c.sum(), 1)) for c in counts])
    return Selectivity(
        found,
        [max(classes, key=classes.__getitem__, default="") for classes in found],
        np.array([c.max() / c.sum() if len(c) else np.nan for c in counts]),
        entropy,
        np.where(room > 0, 1 - entropy / np.where(room > 0, room, 1), np.nan),
    )


def _entropy(counts: np.ndarray) -> float:
    shares = counts / max(counts.sum(), 1)
    return float(-(shares * np.log2(np.maximum(shares, 1e-300))).sum()) + 0.0
