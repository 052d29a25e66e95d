"""The images that may win after a screening pass, and running them again in float32."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from cnnviz.data.corpus import Subset
from cnnviz.index.exact.bfloat16 import Margin
from cnnviz.index.search.loader import feed
from cnnviz.index.search.search import Search
from cnnviz.index.search.topk import RunningTop
from cnnviz.models.model import LoadedModel

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus
    from cnnviz.index.search.run import IndexWatcher


class Candidates:
    """One layer's kept images of every channel, strongest in bfloat16 first, and what float32 says of them.

    `values`, `images` (C, m): of the screening pass, images -1 where the corpus had fewer. `exact` (C, m):
    float32 values, NaN where not run again. `bar`, `holder` (C,): the k-th best float32 value so far and its
    image. `surprise` (C,): the largest float32 value of a channel on an image that its list had dropped."""

    def __init__(self, values: np.ndarray, images: np.ndarray, margin: Margin, k: int) -> None:
        self.values, self.images, self.margin, self.k = values.astype(np.float64), images, margin, k
        self.exact = np.full(values.shape, np.nan)
        self.bar, self.holder = np.full(len(values), -np.inf), np.full(len(values), -1)
        self.surprise = np.full(len(values), -np.inf)
        self.widened = 0

    def best(self) -> np.ndarray:
        """The k strongest images of every channel, in bfloat16."""
        found = self.images[:, : self.k]
        return found[found >= 0]

    def take(self, images: np.ndarray, peaks: np.ndarray) -> None:
        """Note float32 peaks (B, C) of `images` (B,)."""
        order = np.argsort(images)
        place = np.searchsorted(images[order], self.images).clip(max=len(images) - 1)
        row = order[place]  # (C, m): where in the batch the kept image would be
        here = images[row] == self.images
        channel = np.broadcast_to(np.arange(len(self.values))[:, None], row.shape)
        self.exact[here] = peaks[row[here], channel[here]]
        dropped = np.ones(peaks.shape, bool)
        dropped[row[here], channel[here]] = False
        strongest = np.where(dropped, peaks, -np.inf).max(axis=0, initial=-np.inf)
        self.surprise = np.maximum(self.surprise, strongest)

    def audit(self) -> None:
        """Widen the margin if an error was larger."""
        seen = self.margin.excess(self.values, np.abs(self.exact - self.values))
        weakest = self.values[:, -1]  # what was dropped was at most this; where nothing was, it is -inf
        with np.errstate(invalid="ignore"):
            above = np.where(np.isfinite(weakest), self.surprise - weakest, -np.inf)
        seen = max(seen, self.margin.excess(np.where(np.isfinite(weakest), weakest, 0.0), above))
        if seen > self.margin.bound:
            self.margin, self.widened = self.margin.widened(seen), self.widened + 1

    def wanted(self) -> np.ndarray:
        """Kept images that may be winners and have not been run again."""
        reach, bar = self._reach(self.values), self.bar[:, None]
        ties = (reach == bar) & (self.images < self.holder[:, None])
        return self.images[((reach > bar) | ties) & (self.images >= 0) & np.isnan(self.exact)]

    def suffices(self) -> bool:
        """True if no image that a list dropped can be a winner."""
        return bool(((self.images[:, -1] < 0) | (self._reach(self.values[:, -1]) < self.bar)).all())

    def _reach(self, values: np.ndarray) -> np.ndarray:
        """As the margin's; empty places, -inf, reach nothing."""
        return np.where(np.isfinite(values), self.margin.reach(np.where(np.isfinite(values), values, 0.0)), values)


class Rerun:
    """Float32 passes over chosen images, whose outcome goes to the lists and to the records of the index.

    `done`: positions run so far, also those that could not be read, which are in `skipped`."""

    def __init__(
        self, model: LoadedModel, corpus: Corpus, settings: dict[str, Any], lists: dict[str, Candidates],
        widths: dict[str, int], progress: IndexWatcher | None,
    ) -> None:  # fmt: skip
        self.corpus, self.lists, self.progress = corpus, lists, progress
        self.search = Search(model, settings["wanted_layers"], settings["k"], settings["batch"], False)
        self.search.tops = {layer: _Watched(one, widths[layer], model.device) for layer, one in lists.items()}
        self.done, self.skipped = set[int](), list[tuple[int, str, str]]()

    def take(self, wanted: set[int], workers: int | None) -> bool:
        """Run these images; False if `progress` said stop."""
        positions, size, total = sorted(wanted), self.search.batch, len(self.corpus)
        spans = [(at, min(at + size, len(positions))) for at in range(0, len(positions), size)]
        before, started = total + len(self.done), time.monotonic()
        for found in feed(self.search.model, Subset(self.corpus, positions), spans, workers):
            self.search.add(replace(found, positions=[positions[i] for i in found.positions]))
            faults = [(positions[i], reason) for i, reason in found.faults]
            self.skipped += [(at, self.corpus.ids[at], reason) for at, reason in faults]
            if self._told(found.end, before, len(positions), time.monotonic() - started) is False:
                return False
        self.done |= wanted
        self.search.settle()
        for layer, one in self.lists.items():
            top = self.search.tops[layer]
            one.bar, one.holder = top.values[:, -1].cpu().double().numpy(), top.images[:, -1].cpu().numpy()
        return True

    def _told(self, done: int, before: int, count: int, seconds: float) -> bool | None:
        from cnnviz.index.search.run import IndexProgress

        if self.progress is None:
            return None
        rate = done / max(seconds, 1e-9)
        return self.progress(IndexProgress.at_rate(before + done, before + count, rate))


class _Watched(RunningTop):
    """Records of images that come in any order; it hands their maxima on instead of counting them."""

    in_order = False

    def __init__(self, candidates: Candidates, width: int, device: torch.device) -> None:
        super().__init__(len(candidates.values), width, candidates.k, device)
        self.candidates = candidates

    def seen(self, maps: Tensor, images: Tensor, _sample: bool = False, rectified: bool = False) -> None:
        super().seen(maps, images, rectified=rectified)

    def _take(self, values: Tensor, flat: Tensor, images: Tensor) -> None:
        self.candidates.take(images.cpu().numpy(), values.T.cpu().numpy())
        super()._take(values, flat, images)

    def _histogram(self, values: Tensor) -> None:
        pass
