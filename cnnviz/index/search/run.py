"""One run of the search over spans of a corpus: progress, partial saves, and the index so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.data.grouping import number_groups
from cnnviz.errors import CnnvizError
from cnnviz.index.agreement import AgreementMonitor
from cnnviz.index.merge import Span, describe_state, find_unseen, join_spans, list_seen, merge
from cnnviz.index.result import PatchIndex
from cnnviz.index.search.collect import collect_index
from cnnviz.index.search.loader import feed
from cnnviz.index.search.search import Search
from cnnviz.models.model import LoadedModel
from cnnviz.progress import Progress
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus

FIRST_SAVE, SAVE_EVERY = 2.0, 20.0  # seconds until a partial index is saved, and between two saves


@dataclass(frozen=True, slots=True)
class IndexProgress(Progress):
    """Images done of how many. `problem`: why the partial index could not be saved the last time, "" if it could."""

    images_per_second: float = 0.0
    problem: str = ""

    @classmethod
    def at_rate(cls, done: int, total: int, rate: float, problem: str = "") -> IndexProgress:
        """With the seconds that the rest takes at `rate` images a second."""
        left = (total - done) / rate
        return cls(
            done,
            total,
            "images",
            left,
            note=f"{plural(f'{rate:.0f}', 'image')}/s",
            images_per_second=rate,
            problem=problem,
        )


IndexWatcher = Callable[[IndexProgress], bool | None]


class IndexRun:
    """One run over some spans of the corpus: its state, what it saves, and whom it reports to.

    `before`: an index of other spans, with which the outcome is merged; the spans need not follow upon it,
    since every run keeps records of its own."""

    def __init__(
        self,
        model: LoadedModel,
        corpus: Corpus,
        settings: dict[str, Any],
        spans: Sequence[Span],
        before: PatchIndex | None = None,
        out: str | Path | None = None,
        progress: IndexWatcher | None = None,
    ) -> None:
        fast = settings["precision"] == "bfloat16"
        groups = number_groups(settings["group"], corpus.ids) if "group" in settings else None
        self.search = Search(model, settings["wanted_layers"], settings["k"], settings["batch"], fast, groups)
        self.corpus, self.settings, self.spans, self.before = corpus, settings, spans, before
        self.out, self.progress, self.problem = out, progress, ""
        whole = fast and list(spans) == find_unseen([], len(corpus), settings["batch"])
        self.monitor = AgreementMonitor.attach(self.search, len(corpus)) if whole else None
        self.done, self.skipped = list[Span](), list[tuple[int, str, str]]()

    def run(self, workers: int | None) -> PatchIndex:
        """Run the spans; the index of them and of what was before, or less if `progress` said so. Saved now
        and then where there is a file."""
        started = time.monotonic()
        next_save = started + FIRST_SAVE
        for span, found in zip(
            self.spans, feed(self.search.model, self.corpus, list(self.spans), workers), strict=True
        ):
            self.search.add(found)
            if self.monitor is not None:
                self.monitor.observe(found)
            self.skipped += [(at, self.corpus.ids[at], reason) for at, reason in found.faults]
            self.done.append(span)
            if self._report(time.monotonic() - started) is False:
                break
            if self.out is not None and time.monotonic() > next_save:
                self._save(self.out)
                next_save = time.monotonic() + SAVE_EVERY
        return self.result()

    def _save(self, out: str | Path) -> None:
        """On the way: a disk that is full now may have room at the next time, and what is in memory is kept."""
        try:
            self.result().save(out)
            self.problem = ""
        except CnnvizError as error:
            self.problem = str(error)

    def _report(self, seconds: float) -> bool | None:
        if self.progress is None:
            return None
        mine, own = _count_images(self.done), _count_images(self.spans)
        before = _count_images(list_seen(self.before)) if self.before else 0
        rate = mine / max(seconds, 1e-9)
        return self.progress(IndexProgress.at_rate(before + mine, before + own, rate, self.problem))

    def result(self) -> PatchIndex:
        """The index as it stands."""
        state = describe_state(join_spans(self.done), len(self.corpus), self.skipped)
        index = collect_index(self.search, self.corpus, self.settings | state)
        return index if self.before is None else merge([self.before, index])


def _count_images(spans: Sequence[Span]) -> int:
    return sum(high - low for low, high in spans)
