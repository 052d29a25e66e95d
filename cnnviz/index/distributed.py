"""Distributed top-k search (torchrun): each process searches a part of the corpus, rank 0 merges the indexes.

The corpus is split between batches, so every image meets the same neighbours in its batch whatever the
number of ranks; winners and statistics merge exactly. So the outcome is bit-identical to that of one process
with as many threads. Each rank keeps a partial file of its own beside the index; a later run, of any number
of ranks or of one process, joins them and shares out what is left. The ranks need no common disk."""

from __future__ import annotations

import time
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.distributed import KEPT, Group, join_group
from cnnviz.errors import BadInput, Cancelled, CnnvizError
from cnnviz.index import files as partials
from cnnviz.index.crops.crops import refuse_side
from cnnviz.index.merge import Span, find_unseen, list_seen, merge, share
from cnnviz.index.result import PatchIndex
from cnnviz.index.search.build import choose_batch, finish_index, prepare_settings
from cnnviz.index.search.run import IndexProgress, IndexRun, IndexWatcher
from cnnviz.models.model import LoadedModel

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus


def index_on_ranks(
    model: LoadedModel,
    corpus: Corpus,
    layers: list[str] | None = None,
    k: int = 9,
    out: str | Path = "index.npz",
    precision: str = "auto",
    progress: IndexWatcher | None = None,
    batch: int | None = None,
    workers: int | None = None,
    embed: int | None = None,
) -> PatchIndex | None:
    """`index_patches` shared by all processes that torchrun started; the index at rank 0, else None.

    Every rank calls it alike, with the same network and corpus on a device of its own. `progress` is called at rank 0
    alone, with the sum. Raises BadInput if the ranks see different things, CnnvizError when a rank is lost, Cancelled
    when the run is ended from outside; each leaves partial files from which the same call goes on."""
    refuse_side(embed)
    settings = prepare_settings(model, corpus, layers, k, precision, batch)
    with join_group() as group:
        files, problem = _load_visible(group, out)
        settings = _agree_on_precision(group, settings, files, precision)
        before, spans = _plan(group, model, corpus, settings, out, files, problem)
        file = partials.rank_file(out, group.rank, group.ranks)
        run = IndexRun(model, corpus, settings, share(spans, group.rank, group.ranks), None, file)
        found = group.gather(_search_own(group, run, file, _IndexBoard(group, progress, len(corpus), before), workers))
        parts = [before, *found] if before is not None else found
        index = group.run_alone(lambda: finish_index(merge(parts), model, corpus, out, None, changed=True))
        file.unlink(missing_ok=True)
    return index and finish_index(index, model, corpus, out, embed, changed=False)  # others need not wait for crops


def _search_own(group: Group, run: IndexRun, file: Path, shown: _IndexBoard, workers: int | None) -> PatchIndex:
    """What this rank finds, when all have found theirs; it is in `file` too."""
    run.progress = shown.report_own
    own = run.run(workers)
    own.save(file)  # before anything else: the others may be lost
    if shown.lost is not None:
        raise shown.lost
    if len(run.done) < len(run.spans):
        raise Cancelled(f"Rank {group.rank} was asked to end. {KEPT}")
    group.wait(shown.report_all)
    shown.last = 0.0
    shown.report_all()
    return own


def _plan(
    group: Group,
    model: LoadedModel,
    corpus: Corpus,
    settings: dict[str, Any],
    out: str | Path,
    files: dict[str, PatchIndex],
    problem: str,
) -> tuple[PatchIndex | None, list[Span]]:
    """What was found before, at rank 0 and now in one file; and the spans that are left, everywhere.

    Settles the batch size. Not every rank may see every file; what several see is taken once."""
    problem = problem or _find_problem(files, settings, out)
    seen = {name: list_seen(index) for name, index in files.items()}
    told = group.gather((settings, seen, problem))
    wanted = group.decide(lambda: _choose_files(told))
    held = group.gather({name: index for name, index in files.items() if name in wanted})
    before = None

    def plan() -> tuple[int, list[Span]]:
        nonlocal before
        parts = {name: index for some in held for name, index in some.items()}
        before = partials.join_files(parts, settings, out) if parts else None
        size = choose_batch(model, corpus, settings, before)
        if before is not None and set(parts) != {f"{Path(out)} at rank 0"}:
            before.save(out)
        return size, find_unseen(list_seen(before) if before else [], len(corpus), size)

    settings["batch"], spans = group.decide(plan)
    partials.remove_rank_files(out)  # all of it is in the index now
    group.meet()  # before anyone writes a new one
    return before, spans


def _load_visible(group: Group, out: str | Path) -> tuple[dict[str, PatchIndex], str]:
    """{file at a rank: index} of what this rank sees of earlier runs, and why it cannot be read."""
    try:
        files = partials.load_files(out)
        if group.rank > 0:
            files.pop(str(Path(out)), None)  # rank 0 has it
    except BadInput as error:
        return {}, str(error)
    return {f"{name} at rank {group.rank}": index for name, index in files.items()}, ""


def _find_problem(files: dict[str, PatchIndex], settings: dict[str, Any], out: str | Path) -> str:
    """Why these files cannot be continued; "" if they can."""
    try:
        partials.join_files(files, settings, out) if files else None
    except BadInput as error:
        return str(error)
    return ""


def _agree_on_precision(
    group: Group, settings: dict[str, Any], files: dict[str, PatchIndex], asked: str
) -> dict[str, Any]:
    """`settings` in the precision that rank 0 or an earlier run can compute in, where all ask for the same."""
    metas = group.gather([index.meta for index in files.values()])
    first, begun = group.decide(lambda: (asked, partials.adopt_precision(settings, chain(*metas), asked)))
    return partials.set_precision(settings, begun) if asked == first else settings


def _choose_files(told: list[tuple[dict[str, Any], dict[str, list[Span]], str]]) -> list[str]:
    """The files to go on from. Raises BadInput if the ranks do not agree on what they do."""
    mine = told[0][0]
    for rank, (settings, _seen, problem) in enumerate(told):
        if problem:
            raise BadInput(problem)
        other = [key.replace("_", " ") for key in mine if settings.get(key) != mine[key]]
        if other:
            raise BadInput(f"Rank {rank} has another {', '.join(other)} than rank 0. Give all the same files.")
    return partials.choose_disjoint({name: spans for _settings, seen, _problem in told for name, spans in seen.items()})


class _IndexBoard:
    """Progress of all ranks: each notes its own on the board, rank 0 shows the sum."""

    def __init__(self, group: Group, progress: IndexWatcher | None, total: int, before: PatchIndex | None) -> None:
        self.group, self.progress, self.total = group, progress if group.rank == 0 else None, total
        self.before = sum(high - low for low, high in list_seen(before)) if before is not None else 0
        self.started, self.last, self.problem, self.shown = time.monotonic(), 0.0, "", 0
        self.lost: CnnvizError | None = None

    def report_own(self, state: IndexProgress) -> bool:
        """After each batch of this rank; False when it must stop."""
        self.problem = state.problem
        try:
            self.group.note(state.done, 0.0 if state.done == state.total else 0.5)
            return self.report_all() is not False and not self.group.ended
        except CnnvizError as error:
            self.lost = error
            return False

    def report_all(self) -> bool | None:
        """Show how far all are together."""
        now = time.monotonic()
        if self.progress is None or now - self.last < 0.1:
            return None
        self.last, done = now, self.group.count_done()
        if done == self.shown:
            return None
        self.shown = done
        rate = max(done, 1) / max(now - self.started, 1e-9)
        standing = self.before + done
        return self.progress(IndexProgress.at_rate(standing, self.total, rate, self.problem))
