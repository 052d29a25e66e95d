"""Plan of a surface: its plane, grid and settings, and which stored cells belong to it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from cnnviz.errors import BadInput
from cnnviz.landscape.evaluate.evaluator import Evaluator
from cnnviz.landscape.plane.checkpoint import Found, find_files, read_cells, read_header
from cnnviz.landscape.plane.directions import cosine, plane_directions
from cnnviz.landscape.plane.grid import Cell, Span, coarse_to_fine, find_ends, space_points
from cnnviz.landscape.results import Measured, Surface

_SETTLED = ("precision", "batch")  # decided by measuring where the caller leaves them open; kept on resuming
Directions = Sequence[Mapping[str, Tensor]] | None


def check_settings(steps: int, span: Span, seed: int, directions: Directions) -> None:
    """Raise BadInput before anything expensive is begun."""
    space_points(steps, span)
    if directions is not None and len(directions) != 2:
        raise BadInput(f"A plane needs two directions, got {len(directions)}.")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise BadInput(f"The seed must be a whole number from 0, got {seed!r}.")


class Plan:
    """One surface: an evaluator, a plane through its network's weights, and a grid on it."""

    def __init__(self, evaluator: Evaluator, steps: int, span: Span, seed: int, directions: Directions) -> None:
        self.evaluator, self.steps, self.span, self.seed = evaluator, int(steps), find_ends(span), int(seed)
        self.own = directions is not None
        self.directions = tuple(directions or plane_directions(evaluator.model, self.seed))
        self.plane = evaluator.plane(*self.directions)
        self.cosine = cosine(*self.directions)
        self.points, self.order = space_points(steps, span), coarse_to_fine(self.steps)
        self._asked = {"precision": evaluator.asked, "batch": evaluator.batch}
        self._centre: Measured | None = None  # the network itself, in float32 whatever the points are measured in

    def settle(self) -> None:
        """Decide what is still open by evaluating the network itself. Raises BadInput if its loss is not finite."""
        if self._centre is not None:
            return
        evaluator = self.evaluator
        evaluator.settle_precision(*self.directions, span=max(map(abs, self.span)))
        centre = self.plane.exactly(0.0, 0.0)
        if not math.isfinite(centre.loss):
            raise BadInput(
                f"The loss of {evaluator.model.name} itself is not finite over these images, so that there is no "
                "landscape around it. Its weights or the images hold NaN or far too large numbers."
            )
        if evaluator.precision == "bfloat16" and not evaluator.batch:
            self.plane.at(0.0, 0.0)  # finds the batch that a header of cells and the other ranks have to be told
        self._centre = centre

    def at(self, cell: Cell) -> Measured:
        """Loss and accuracy at row and column of the grid."""
        self.settle()
        return self.plane.at(*(float(self.points[i]) for i in cell))

    def identity(self) -> dict[str, Any]:
        """What must agree before cells are mixed, with what was settled."""
        self.settle()
        return self.meta()

    def _fixed(self) -> dict[str, Any]:
        evaluator = self.evaluator
        model, own = evaluator.model, self.own
        return (
            {"architecture": model.name, "weights": model.fingerprint}
            | {"data": evaluator.data, "images": evaluator.count, "seed": None if own else self.seed}
            | {"span": list(self.span), "steps": self.steps, "statistics": evaluator.statistics}
            | {"directions": _hash(self.directions) if own else None}
            | evaluator.loss_meta()
        )

    def resume(self, out: str | Path | None) -> Found:
        """Cells that are stored beside `out`, or in it: a surface with NaN is one to be continued.

        Takes over the precision and batch of what is stored. Raises BadInput if it is of something else."""
        found: Found = {}
        if out is None:
            return found
        for path in find_files(out):
            self._adopt(read_header(path) or {}, path)
            found.update(read_cells(path, self.steps))
        if Path(out).is_file():
            surface = Surface.load(out)
            self._adopt(surface.meta, Path(out))
            for cell in self.order:
                if not np.isnan(surface.loss[cell]):
                    found.setdefault(cell, _read_cell(surface, cell))
        return found

    def _adopt(self, stored: Mapping[str, Any], path: Path) -> None:
        fixed = self._fixed()
        differ = [name for name in fixed if stored.get(name) != fixed[name]]
        for name in _SETTLED:
            asked, there = self._asked[name], (stored.get(name), stored.get(f"{name}_asked"))
            if asked not in ("auto", 0, *there):
                differ.append(name)
        if differ:
            raise BadInput(
                f"{path} is of a surface with another {', '.join(differ)}. Give the same settings to go on with it, "
                "choose another file, or delete it."
            )
        self.evaluator.fix(str(stored["precision"]), int(stored["batch"]), stored.get("bfloat16 errors", ()))
        self._asked = {name: stored[name] for name in _SETTLED}

    def values(self, found: Found) -> np.ndarray:
        """(4, steps, steps): loss, accuracy and their errors; NaN where nothing was found."""
        values = np.full((4, self.steps, self.steps), math.nan)
        for (i, j), m in found.items():
            values[:, i, j] = list_values(m)
        return values

    def surface(self, values: np.ndarray) -> Surface:
        """What is known so far, with its provenance. `values`: as `values` returns; copied."""
        loss, accuracy, loss_error, accuracy_error = values.copy()
        return Surface(self.points, self.points.copy(), loss, accuracy, loss_error, accuracy_error, self.meta())

    def meta(self) -> dict[str, Any]:
        """The identity, the cosine of the directions, the errors by which bfloat16 was judged, and "centre", loss
        (to four digits) and accuracy of the network itself in float32, once it was evaluated."""
        errors, centre = self.evaluator.precision_errors, self._centre
        meta = self._fixed() | self.evaluator.precision_meta() | {"batch": self.evaluator.batch, "cosine": self.cosine}
        meta["direction seeds"] = None if self.own else [2 * self.seed, 2 * self.seed + 1]
        meta["bfloat16 errors"] = [float(f"{error:.3g}") for error in errors]
        meta["folded layers"] = len(self.evaluator.folds)
        return meta if centre is None else meta | {"centre": [float(f"{centre.loss:.4g}"), centre.accuracy]}


def load_finished(plan: Plan, out: str | Path | None) -> Surface | None:
    """The surface in file `out` if it is this one, and whole. Raises BadInput if it is another."""
    if out is None or not Path(out).is_file():
        return None
    plan.resume(out)
    surface = Surface.load(out)
    return surface if surface.complete else None


def list_values(found: Measured) -> tuple[float, float, float, float]:
    """Loss, accuracy, and their errors."""
    return found.loss, found.accuracy, found.loss_error, found.accuracy_error


def _read_cell(surface: Surface, cell: Cell) -> Measured:
    arrays = (surface.loss, surface.accuracy, surface.loss_error, surface.accuracy_error)
    return Measured(*(float(array[cell]) for array in arrays))


def _hash(directions: Sequence[Mapping[str, Tensor]]) -> str:
    digest = hashlib.sha256()
    for direction in directions:
        for name, tensor in sorted(direction.items()):
            digest.update(f"{name}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()
