"""Agreement of a search in bfloat16 with one in float32, measured on a sample of the corpus."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from cnnviz.data.corpus import Subset
from cnnviz.device import halving
from cnnviz.engine.peaks import find_peaks
from cnnviz.index.search.loader import CHUNK_BYTES, Batch, feed
from cnnviz.index.search.search import Search
from cnnviz.models.model import LoadedModel

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus

AGREEMENT = 64  # images on which bfloat16 and float32 are compared
TOGETHER = 3  # of them that lie side by side
LayerPeaks = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class PeakSample:
    """Strongest units of the same images in both precisions: {layer: (images, C) float32}."""

    exact: LayerPeaks
    rounded: LayerPeaks
    images: int


def measure_peaks(
    model: LoadedModel, layers: list[str], corpus: Corpus, count: int, batch: int, together: int = 1
) -> PeakSample:
    """Both precisions on `count` images spread evenly over the corpus, so many `together`; those that cannot be read
    are left out."""
    positions = spread_positions(len(corpus), count, together)
    ways = [_PeakSearch(model, layers, 1, batch, fast) for fast in (False, True)]
    spans = [(at, min(at + batch, len(positions))) for at in range(0, len(positions), batch)]
    images = 0
    for found in feed(model, Subset(corpus, positions), spans, 0):
        images += len(found.positions)
        for way in ways:
            way.add(found)
    return PeakSample(ways[0].peaks(), ways[1].peaks(), images)


def spread_positions(images: int, count: int, together: int = 1) -> list[int]:
    """At most `count` positions of so many images, spread evenly, so many of them side by side."""
    places = np.linspace(0, max(images - together, 0), min(-(-count // together), images)).round().astype(int)
    wanted = np.unique(places[:, None] + np.arange(together))
    return wanted[wanted < images][:count].tolist()


def measure_agreement(model: LoadedModel, corpus: Corpus, settings: dict[str, Any]) -> dict[str, float]:
    """`compare_peaks` on AGREEMENT images or, in small corpora, less, so that it takes a few hundredths of the run.

    Raises DeviceLost where there is no room for one of them."""
    k, count = settings["k"], _count_sample(len(corpus), settings["k"])

    def measure(size: int) -> dict[str, float]:
        return compare_peaks(measure_peaks(model, settings["wanted_layers"], corpus, count, size, TOGETHER), k)

    return halving(measure, _divide_batch(count, settings["batch"]), model.device)


def _count_sample(images: int, k: int) -> int:
    return min(AGREEMENT, max(images // AGREEMENT, 2 * k, 16))


def _divide_batch(count: int, batch: int) -> int:
    """As many batches as with `batch`, but smaller: hardly filled up."""
    return -(-count // -(-count // batch))


class AgreementMonitor:
    """Beside a search in bfloat16 that goes over a whole corpus: keeps a few images and their peaks, so that for the
    `compare_peaks` they need to be passed in float32 alone."""

    def __init__(self, search: Search, positions: list[int]) -> None:
        self.search, self.positions = search, frozenset(positions)
        self.pixels: list[Tensor] = []
        self.rounded: dict[str, list[np.ndarray]] = {layer: [] for layer in search.layers}

    @classmethod
    def attach(cls, search: Search, images: int) -> AgreementMonitor | None:
        """One for a corpus of so many images; None where they are too large to be kept."""
        positions = spread_positions(images, _count_sample(images, search.k), TOGETHER)
        return cls(search, positions) if len(positions) * prod(search.model.input_size) <= CHUNK_BYTES else None

    def observe(self, found: Batch) -> None:
        """Take in what the search has just been through."""
        rows = [row for row, position in enumerate(found.positions) if position in self.positions]
        if rows and found.pixels is not None:
            self.pixels.append(found.pixels[rows])
        for layer, top in self.search.tops.items():
            newest, top.newest = top.newest, None  # so that it is not taken again where a layer is not called
            if rows and newest is not None:
                self.rounded[layer].append(newest[rows].float().cpu().numpy())

    def measure(self) -> dict[str, float] | None:
        """As `measure_agreement` gives it; None if some layer was not called for all of the images. Raises DeviceLost
        where there is no room for one of them in float32."""
        images = sum(map(len, self.pixels))
        rounded = {layer: np.concatenate(parts) for layer, parts in self.rounded.items() if parts}
        if not images:
            return None
        exact = halving(self._exact, _divide_batch(images, self.search.batch), self.search.model.device)
        for peaks in (exact, rounded):
            if any(len(peaks.get(layer, ())) != images for layer in self.search.layers):
                return None
        return compare_peaks(PeakSample(exact, rounded, images), self.search.k)

    def _exact(self, size: int) -> LayerPeaks:
        search = _PeakSearch(self.search.model, self.search.layers, 1, size, False)
        for part in torch.cat(self.pixels).split(size):
            search.add(Batch(part, list(range(len(part))), [], len(part)))
        return search.peaks()


def compare_peaks(found: PeakSample, k: int) -> dict[str, float]:
    """{"images": how many, "winners": share of the (channel, image) among the k strongest of both precisions,
    "values": largest difference of the k strongest values, relative to the channel's largest}."""
    k, same, places, worst = min(k, found.images), 0, 0, 0.0
    for layer, exact in found.exact.items():
        rounded = found.rounded[layer]
        best, other = (np.argsort(-peaks, axis=0, kind="stable")[:k] for peaks in (exact, rounded))
        same += int((best[:, None] == other[None]).sum())
        places += best.size
        values, others = np.take_along_axis(exact, best, 0), np.take_along_axis(rounded, other, 0)
        scale = np.maximum(np.abs(values).max(axis=0), np.finfo(np.float32).tiny)
        worst = max(worst, float((np.abs(values - others) / scale).max()))
    return {"images": found.images, "winners": same / max(places, 1), "values": worst}


class _PeakSearch(Search):
    """Keeps the maxima of all images."""

    def _find_top(self, layer: str, maps: Tensor) -> _PeakList:  # type: ignore[override]
        return self.tops.setdefault(layer, _PeakList())  # type: ignore[arg-type, return-value]

    def peaks(self) -> LayerPeaks:
        return {layer: np.concatenate(keeper.parts) for layer, keeper in self.tops.items()}  # type: ignore[attr-defined]


class _PeakList:
    """Stands in for a RunningTop."""

    def __init__(self) -> None:
        self.parts: list[np.ndarray] = []

    def add_maps(self, maps: Tensor, _images: Tensor, _sample: bool = False) -> None:
        self.parts.append(find_peaks(maps)[0].float().cpu().numpy())
