"""Loss surface: the loss on a plane through a network's weights, coarse to fine, with every finished cell kept.

Source: Li, Xu, Taylor, Studer, Goldstein, NeurIPS 2018 (arXiv:1712.09913)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from cnnviz.errors import Cancelled
from cnnviz.landscape.evaluate.evaluator import Evaluator
from cnnviz.landscape.plane.checkpoint import CellFile, Found, find_files, name_file
from cnnviz.landscape.plane.grid import Cell, Span
from cnnviz.landscape.plane.plan import Plan, check_settings, list_values, load_finished
from cnnviz.landscape.results import Surface
from cnnviz.models.model import LoadedModel
from cnnviz.progress import Progress
from cnnviz.wording import plural

SurfaceWatcher = Callable[["SurfaceProgress"], bool | None]


@dataclass(frozen=True, slots=True)
class SurfaceProgress(Progress):
    """Where a surface stands: `done` of `total` cells, an estimate of the seconds left, and what is known so far
    (NaN elsewhere): coarse grids come first, see `grid.coarse_to_fine`. A callback that returns False stops
    the run; finished cells are kept if there is a file to keep them in."""

    surface: Surface = field(kw_only=True)


def loss_surface(
    model: LoadedModel,
    images: Any,
    labels: Any,
    steps: int = 51,
    span: Span = 1.0,
    seed: int = 0,
    precision: str = "auto",
    progress: SurfaceWatcher | None = None,
    statistics: str = "frozen",
    out: str | Path | None = None,
    directions: Sequence[Mapping[str, Tensor]] | None = None,
    batch: int | None = None,
) -> Surface:
    """Loss and accuracy at steps² points: the network's weights + alpha × direction 1 + beta × direction 2.

    `images`, `labels`, `precision`, `statistics`, `batch`: see `Evaluator`. alpha and beta run from -span to span,
    or from low to high for a pair, in filter norms. `seed`: of the directions, see
    `directions.plane_directions`; `directions`: two of your own instead. `out`: an .npz file that gets the
    surface; finished cells are kept beside it, and the same call after a kill goes on there, to the same
    outcome. The network is not changed.

    Raises BadInput if something cannot be used, the network's own loss is not finite, or `out` holds another
    surface; Cancelled when `progress` returns False.

    Example:
        >>> import cnnviz, numpy as np
        >>> model, digits = cnnviz.load("lenet5", device="cpu"), cnnviz.corpus("digits", limit=10)
        >>> images = np.stack([model.received_from(digits, i) for i in range(10)])
        >>> surface = cnnviz.loss_surface(model, images, range(10), steps=3)
        >>> surface.loss.shape, np.unravel_index(surface.loss.argmin(), (3, 3)) == (1, 1)
        ((3, 3), True)
    """
    check_settings(steps, span, seed, directions)
    evaluator = Evaluator(model, images, labels, precision, statistics, batch)
    plan = Plan(evaluator, steps, span, seed, directions)
    finished = load_finished(plan, out)
    if finished is not None:
        return finished
    found = plan.resume(out)
    run = SurfaceRun(plan, found, progress)
    keep = None if out is None else name_file(out)
    run.evaluate([cell for cell in plan.order if cell not in found], keep)
    return finish(plan, found, out)


def finish(plan: Plan, found: Found, out: str | Path | None) -> Surface:
    """The whole surface, saved as `out`; the files of cells are no longer needed."""
    surface = plan.surface(plan.values(found))
    if out is not None:
        surface.save(out)
        for path in find_files(out):
            path.unlink(missing_ok=True)
    return surface


class SurfaceRun:
    """Evaluates cells one after the other, and keeps what is found, in `found` and on disk."""

    def __init__(self, plan: Plan, found: Found, progress: SurfaceWatcher | None) -> None:
        self.plan, self.found, self.progress = plan, found, progress
        self.values = plan.values(found)
        self.started, self.evaluated = time.monotonic(), 0

    def evaluate(self, cells: list[Cell], keep: Path | None) -> None:
        """Evaluate `cells` and append them to the file `keep`. Raises Cancelled, or what the network raises."""
        if keep is None:
            self._loop(cells, None)
            return
        with CellFile(keep, self.plan.identity()) as file:
            self._loop(cells, file)

    def _loop(self, cells: list[Cell], file: CellFile | None) -> None:
        if cells:
            self.plan.settle()
        self.started = time.monotonic()  # what was settled before says nothing of the time that a cell takes
        self._report(len(cells), file is not None)
        for left, cell in zip(range(len(cells) - 1, -1, -1), cells, strict=True):
            measured = self.plan.at(cell)
            if file is not None:
                file.add(cell, measured)
            self.found[cell] = measured
            self.values[:, *cell] = list_values(measured)
            self.evaluated += 1
            self._report(left, file is not None)

    def _report(self, left: int, kept: bool) -> None:
        if self.progress is None:
            return
        seconds = (time.monotonic() - self.started) / max(self.evaluated, 1) * left
        total = self.plan.steps**2
        state = SurfaceProgress(len(self.found), total, "points", seconds, surface=self.plan.surface(self.values))
        if self.progress(state) is False and left:
            word = "kept; the same command goes on" if kept else "lost, since there was no file to keep them in"
            raise Cancelled(f"Stopped after {len(self.found):,} of {plural(total, 'point')}. They are {word}.")
