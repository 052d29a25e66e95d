"""Distributed loss surface (torchrun): each process evaluates every n-th cell that is left, rank 0 joins them.

A cell depends on its coordinates, the precision and the batch alone, which rank 0 settles for all, so the
outcome is that of one process with as many threads. Each rank keeps a file of cells of its own; a later run,
of any number of ranks or of one process, goes on from what it can see. The ranks need no common disk."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from cnnviz.distributed import KEPT, Group, join_group
from cnnviz.errors import BadInput, Cancelled, CnnvizError
from cnnviz.landscape.evaluate.evaluator import Evaluator
from cnnviz.landscape.plane.checkpoint import Found, find_files, name_file
from cnnviz.landscape.plane.grid import Cell, Span
from cnnviz.landscape.plane.plan import Plan, check_settings
from cnnviz.landscape.plane.surface import SurfaceProgress, SurfaceRun, SurfaceWatcher, finish
from cnnviz.landscape.results import Surface
from cnnviz.models.model import LoadedModel

_SETTLED = ("precision", "precision_asked", "batch", "bfloat16 errors")  # by rank 0, for all


def surface_on_ranks(
    model: LoadedModel,
    images: Any,
    labels: Any,
    steps: int = 51,
    span: Span = 1.0,
    seed: int = 0,
    precision: str = "auto",
    progress: SurfaceWatcher | None = None,
    statistics: str = "frozen",
    out: str | Path = "surface.npz",
    directions: Sequence[Mapping[str, Tensor]] | None = None,
    batch: int | None = None,
) -> Surface | None:
    """`loss_surface` shared by all processes that torchrun started; the surface at rank 0, else None.

    Every rank calls it alike, with the same network and images on a device of its own. `progress` is called
    at rank 0 alone, with all cells counted. Raises BadInput if the ranks were given different things,
    CnnvizError when a rank is lost, Cancelled when the run is ended from outside; what is finished is kept."""
    check_settings(steps, span, seed, directions)
    with join_group() as group:
        plan = Plan(Evaluator(model, images, labels, precision, statistics, batch), steps, span, seed, directions)
        before = _agree(group, plan, out)
        left = [cell for cell in plan.order if cell not in before]
        run = SurfaceRun(plan, dict(before), None)
        found = group.gather(_evaluate_own(group, run, left[group.rank :: group.ranks], out, progress))
        together = {cell: at for part in found for cell, at in part.items()}
        surface = group.run_alone(lambda: finish(plan, together, out))
        for path in find_files(out):
            path.unlink(missing_ok=True)
    return surface


def _agree(group: Group, plan: Plan, out: str | Path) -> Found:
    """What any rank finds of earlier runs, everywhere; and one precision and batch for all."""
    found, problem = _load_stored(plan, out)
    settings = {name: value for name, value in plan.meta().items() if name not in _SETTLED}
    told = group.gather((settings, found, problem, _read_settled(plan) if found else None))

    def decide() -> tuple[Found, tuple[str, int, list[float]]]:
        stored = _refuse_differences(told)
        if stored is not None:
            plan.evaluator.fix(*stored)
        plan.settle()
        return {cell: at for part in told for cell, at in part[1].items()}, _read_settled(plan)

    before, settled = group.decide(decide)
    plan.evaluator.fix(*settled)
    return before


def _load_stored(plan: Plan, out: str | Path) -> tuple[Found, str]:
    try:
        return plan.resume(out), ""
    except BadInput as error:
        return {}, str(error)


def _read_settled(plan: Plan) -> tuple[str, int, list[float]]:
    return plan.evaluator.precision, plan.evaluator.batch, plan.evaluator.precision_errors


def _refuse_differences(told: list[tuple[dict[str, Any], Found, str, Any]]) -> tuple[str, int, list[float]] | None:
    """The precision and batch of stored cells, None if there are none. Raises BadInput if ranks disagree."""
    first, stored = told[0][0], None
    for rank, (settings, _found, problem, kept) in enumerate(told):
        if problem:
            raise BadInput(problem)
        differ = [name for name in first if settings[name] != first[name] and settings[name] == settings[name]]
        if differ:
            raise BadInput(f"Rank {rank} has another {', '.join(differ)} than rank 0. Give all the same.")
        if kept is not None and stored is not None and kept[:2] != stored[:2]:
            raise BadInput(f"Rank {rank} has stored cells of another precision or batch. Delete its files of cells.")
        stored = stored or kept
    return stored


def _evaluate_own(
    group: Group, run: SurfaceRun, cells: list[Cell], out: str | Path, progress: SurfaceWatcher | None
) -> Found:
    """What this rank knows when all have finished theirs."""
    shown = _SurfaceBoard(group, run, progress, len(run.found))
    run.progress = shown.report_own
    run.evaluate(cells, name_file(out, group.rank, group.ranks))
    if shown.lost is not None:
        raise shown.lost
    if group.ended:
        raise Cancelled(f"Rank {group.rank} was asked to end. {KEPT}")
    group.note(run.evaluated, 0.0)
    group.wait(shown.report_all)
    shown.report_all(last=True)
    return run.found


class _SurfaceBoard:
    """Progress of all ranks: each notes its own on the board, rank 0 shows the sum."""

    def __init__(self, group: Group, run: SurfaceRun, progress: SurfaceWatcher | None, before: int) -> None:
        self.group, self.run, self.progress = group, run, progress if group.rank == 0 else None
        self.before, self.started, self.last = before, time.monotonic(), 0.0
        self.lost: CnnvizError | None = None

    def report_own(self, _state: SurfaceProgress) -> bool:
        """After each cell of this rank; False when it must stop."""
        try:
            self.group.note(self.run.evaluated)
            return self.report_all() is not False and not self.group.ended
        except CnnvizError as error:
            self.lost = error
            return False

    def report_all(self, last: bool = False) -> bool | None:
        """Show how far all are together."""
        now = time.monotonic()
        if self.progress is None or (now - self.last < 0.1 and not last):
            return None
        self.last, done = now, self.group.count_done()
        total = self.run.plan.steps**2
        left = (now - self.started) / max(done, 1) * (total - self.before - done)
        surface = self.run.plan.surface(self.run.values)
        return self.progress(SurfaceProgress(self.before + done, total, "points", left, surface=surface))
