"""The exact search of a large corpus in less time: bfloat16 finds the candidates, float32 decides among them.

1. A pass in bfloat16 over all images keeps the `kept` strongest of every channel, more than the k wanted, so
   memory is channels × kept records whatever the corpus.
2. The k strongest of every channel are run again in float32. Their k-th best float32 value T is a lower bound
   of the true one. An image whose bfloat16 value v has reach(v) < T, with the margin of `rounding`, cannot be a
   winner; every kept image that can be is run again, T rises, and so on until none is left.
3. An error larger than the margin, seen on any image that was run again, widens the margin, and step 2 goes on.
4. If even the weakest kept image of a full list could be a winner, so could one that was dropped: then that
   layer is searched in float32 over all images.

So the winners are those of the float32 search as long as no error of an image that is not run again exceeds the
margin, which was measured, and is measured again on every image that is run twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from cnnviz.device import fast_bfloat16
from cnnviz.index import files as partials
from cnnviz.index.exact.bfloat16 import Margin, Sample, margins, sample
from cnnviz.index.exact.candidates import Candidates, Rerun
from cnnviz.index.merge import left, refuse_others, seen_by, skipped_by, standing
from cnnviz.index.records import LayerTop
from cnnviz.index.result import PatchIndex
from cnnviz.index.search.collect import taken
from cnnviz.index.search.search import Search
from cnnviz.index.search.topk import RunningTop
from cnnviz.models.model import LoadedModel

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus
    from cnnviz.index.search.run import IndexWatcher

CALIBRATION = 128  # images run in both precisions for the margins; four batches if those are larger
LEAST = 32  # times as many images from which on that costs little, and the whole may pay
MOST_KEPT = 2_000_000  # records in all; each takes about 100 bytes while they are sorted
GAIN = 0.85  # share of the float32 time that screening must stay below to be chosen


@dataclass(frozen=True, slots=True)
class Plan:
    """How to screen: {layer: images to keep for every channel}, the expected share of images run again, and the
    share beyond which all images are."""

    kept: dict[str, int]
    share: float
    limit: float = GAIN


def screened(
    model: LoadedModel, corpus: Corpus, settings: dict[str, Any], out: str | Path | None = None,
    progress: IndexWatcher | None = None, workers: int | None = None, plan: Plan | None = None, tight: float = 1.0,
) -> PatchIndex | None:  # fmt: skip
    """The index that a float32 search of these settings makes, by screening; None where that would not pay.

    An interrupted screening pass is kept in OUT.screening and goes on there; interrupted later, the run starts
    again at the end of that pass. Until the outcome is written, OUT holds what bfloat16 has found so far: its k
    best of every channel, to look at (precision "bfloat16", phase "screening", not complete). Nothing is ever
    continued from it, as the images that may turn out to be winners are in OUT.screening; who writes the outcome
    removes that file. `progress` counts images screened and then images run again; returning False returns what
    bfloat16 has found so far, `complete` False. `plan`: screen by it, without an estimate. `tight`: factor on
    the first margins, for tests. Statistics but the maximum stay those of the bfloat16 pass, and
    meta["statistics"] says so. Raises BadInput if OUT.screening belongs to another run."""
    state = None if out is None else partials.state_file(out)
    before = PatchIndex.load(state) if state is not None and state.exists() else None
    if before is not None:
        plan = Plan(before.meta["kept"], before.meta["expected_share"])
    count = max(CALIBRATION, 4 * settings["batch"])
    if plan is None and (len(corpus) < LEAST * count or not fast_bfloat16(str(model.device))):
        return None
    both = sample(model, settings["wanted_layers"], corpus, count, settings["batch"])
    found = margins(both, len(corpus))
    plan = plan or planned(both, found, settings["k"], len(corpus))
    if plan is None:
        return None
    first = _first_pass(model, corpus, settings, plan, before, out, progress, workers)
    if not first.complete:
        return _cut(first, settings["k"])
    found = {layer: replace(margin, bound=margin.bound * tight) for layer, margin in found.items()}
    return _Second(model, corpus, settings, first, found, plan.limit, progress, workers).decided()


def planned(both: Sample, found: dict[str, Margin], k: int, images: int) -> Plan | None:
    """The plan, or None where float32 alone is expected to be faster.

    The estimate: beyond its upper eighth, a channel's peaks fall off exponentially, with the sample's mean
    excess b. With the error E at the k-th best, k exp(E / b) images then reach it, and twice as many are kept."""
    if not found or not all(margin.sound for margin in found.values()):
        return None
    reached = {layer: _expected(both.rounded[layer], margin, k, images) for layer, margin in found.items()}
    kept = {layer: _room(float(numbers.max()), k, images) for layer, numbers in reached.items()}
    each = sum(float(np.minimum(numbers, images).sum()) for numbers in reached.values())
    share, whole = 1 - float(np.exp(-each / images)), both.read + both.slow
    pays = both.read + both.fast + share * whole < GAIN * whole
    records = sum(number * len(found[layer].spread) for layer, number in kept.items())
    return Plan(kept, share) if pays and records <= MOST_KEPT else None


def _room(expected: float, k: int, images: int) -> int:
    """A power of two, or four times k if that is more."""
    return max(4 * k, 1 << int(np.ceil(np.log2(2 * min(expected, images)))))


def _expected(peaks: np.ndarray, margin: Margin, k: int, images: int) -> np.ndarray:
    """(C,) images of the corpus that are expected to reach the k-th best value, from peaks (n, C)."""
    ordered = -np.sort(-peaks.astype(np.float64), axis=0)
    place = max(len(ordered) // 8, 1)
    falls = (ordered[:place] - ordered[place]).mean(axis=0)
    best = ordered[place] + falls * np.log(max(images * place / (len(ordered) * k), 1.0))
    error = margin.reach(best) - best
    return k * np.exp(np.minimum(error / np.maximum(falls, 1e-30), 30.0))


def _first_pass(
    model: LoadedModel, corpus: Corpus, settings: dict[str, Any], plan: Plan, before: PatchIndex | None,
    out: str | Path | None, progress: IndexWatcher | None, workers: int | None,
) -> PatchIndex:  # fmt: skip
    from cnnviz.index.search.run import Run

    state, k = None if out is None else partials.state_file(out), settings["k"]
    own = {"phase": partials.SCREENING, "kept": plan.kept, "expected_share": plan.share}
    settings = settings | {"precision": "bfloat16", "k": max(plan.kept.values())} | own
    if before is not None:
        refuse_others(settings, [before], f"{state} is the state of something else")
    spans = left(seen_by(before) if before else [], len(corpus), settings["batch"])
    if not spans and before is not None:
        return before
    run = Run(model, corpus, settings, spans, before, state, progress)
    run.search = _Screen(run.search, plan.kept)
    run.shown = lambda index: _cut(index, k).save(out)
    index = run.to_the_end(workers)
    if state is not None:
        index.save(state)
        run.shown(index)
    return index


class _Screen(Search):
    """A search with lists of its own length for every layer."""

    def __init__(self, like: Search, kept: dict[str, int]) -> None:
        super().__init__(like.model, like.layers, like.k, like.batch, like.bfloat16, like.passes)
        self.kept = kept

    def _top(self, layer: str, maps: Tensor) -> RunningTop:
        if layer not in self.tops:
            self.tops[layer] = RunningTop(maps.shape[1], maps.shape[3], self.kept[layer], maps.device)
        return self.tops[layer]


def _cut(index: PatchIndex, k: int) -> PatchIndex:
    """The k best of every channel of an unfinished run."""
    tops = {
        layer: LayerTop(**{name: part[:, :k] for name, part in top.arrays().items()})
        for layer, top in index.tops.items()
    }
    meta = index.meta | {"k": k, "complete": False}
    return _named(replace(index, tops=tops, meta=meta), index.meta.get("labels", {}))


class _Second:
    """The passes in float32: over the candidates, and over everything for layers where they do not suffice."""

    def __init__(
        self, model: LoadedModel, corpus: Corpus, settings: dict[str, Any], first: PatchIndex,
        found: dict[str, Margin], limit: float, progress: IndexWatcher | None, workers: int | None,
    ) -> None:  # fmt: skip
        self.model, self.corpus, self.settings, self.first = model, corpus, settings, first
        self.limit, self.progress, self.workers = limit, progress, workers
        k = settings["k"]
        self.lists = {layer: Candidates(top.values, top.images, found[layer], k) for layer, top in first.tops.items()}
        self.rerun = Rerun(model, corpus, settings, self.lists, first.meta["widths"], progress)

    def decided(self) -> PatchIndex:
        """The exact index, or what was found so far, `complete` False, if `progress` said so."""
        again = self._lists_that_do_not_suffice()
        if again is None:
            return _cut(self.first, self.settings["k"])
        if not again:
            return self._index(None)
        from cnnviz.index.search.run import Run

        spans = left([], len(self.corpus), self.settings["batch"])
        settings = self.settings | {"wanted_layers": again}
        whole = Run(self.model, self.corpus, settings, spans, None, None, self.progress).to_the_end(self.workers)
        return self._index(whole) if whole.complete else _cut(self.first, self.settings["k"])

    def _lists_that_do_not_suffice(self) -> list[str] | None:
        """Layers to be searched over all images; None if `progress` said stop."""
        lists, everything = self.lists.values(), list(self.lists)
        if not all(one.margin.sound for one in lists):
            return everything
        wanted = _union(one.best() for one in lists)
        while wanted:
            if len(self.rerun.done) + len(wanted) > self.limit * len(self.corpus):
                return everything
            if not self.rerun.take(wanted, self.workers):
                return None
            for one in lists:
                one.audit()
            if not all(one.margin.sound for one in lists):
                return everything
            wanted = _union(one.wanted() for one in lists) - self.rerun.done
        return [layer for layer, one in self.lists.items() if not one.suffices()]

    def _index(self, whole: PatchIndex | None) -> PatchIndex:
        total, again = len(self.corpus), [] if whole is None else whole.layers
        state = standing([(0, total)], total, {*skipped_by(self.first.meta), *self.rerun.skipped})
        how = {
            "kept": self.first.meta["kept"], "run_again": len(self.rerun.done), "searched_again": again,
            "widened": sum(one.widened for one in self.lists.values()),
        }  # fmt: skip
        marks = {"screening": how} | ({} if len(again) == len(self.lists) else {"statistics": "bfloat16"})
        index = taken(self.rerun.search, self.corpus, self.settings | state | marks)
        statistics = {
            layer: replace(self.first.statistics[layer], maximum=top.values[:, 0])  # that is exact
            for layer, top in index.tops.items()
        }  # fmt: skip
        if whole is None:
            return replace(index, statistics=statistics)
        tops = {layer: whole.tops.get(layer, top) for layer, top in index.tops.items()}
        meta = index.meta | {"widths": index.meta["widths"] | whole.meta["widths"]}
        found = PatchIndex(tops, index.ids | whole.ids, meta, statistics | whole.statistics)
        return _named(found, index.meta.get("labels", {}) | whole.meta.get("labels", {}))


def _named(index: PatchIndex, labels: dict[str, str]) -> PatchIndex:
    """`index` with the ids and labels of its winners alone."""
    winners = sorted({int(i) for top in index.tops.values() for i in np.unique(top.images) if i >= 0})
    named = {"labels": {str(i): labels[str(i)] for i in winners}} if labels else {}
    return replace(index, ids={i: index.ids[i] for i in winners}, meta=index.meta | named)


def _union(parts: Iterable[np.ndarray]) -> set[int]:
    return {int(image) for part in parts for image in np.unique(part)}
