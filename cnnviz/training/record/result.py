"""A recorded training as arrays: read while it is written, or long after."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cnnviz.errors import BadInput, UnknownName
from cnnviz.models.runs import files
from cnnviz.models.runs.folder import find_run, list_runs, name_runs, runs_folder
from cnnviz.models.runs.moment import BUNDLED, choose_best, name_moment

__all__ = ["RecordedRun", "RunReader", "find_run", "list_runs", "name_runs", "read_run", "runs_folder"]
_WHOLE = ("step", "epoch")
_FULL = 1.0001  # an accuracy beyond it is no share
_HELD_OUT = ("val_", "valid_", "validation_", "eval_", "dev_")  # what others call "test_": measured after an epoch


@dataclass(frozen=True)
class RecordedRun:
    """What `cnnviz.record` wrote. `name`: of its folder. `steps`, `looks`, `epochs`: {what: values}, one value for each
    step, look into the layers or epoch that is kept, each with its "step"; NaN where nothing was given. In `looks`,
    "gradient", "weight" and "update" are (T, layers) and "dead" (T, rectifiers), a share of the channels. `layers`,
    `rectifiers`: their names. `filters`, `snapshots`: {step: file}. `about`: of run.json. `running`: not ended yet, as
    far as its files tell. `broken`: lines that could not be read. `written`: when its files were written last, seconds
    since 1970; 0: not told. `assumed`: what its numbers were taken for, in words.

    Of some trainings that come with cnnviz epochs alone are known: there a step is an epoch."""

    name: str
    steps: dict[str, np.ndarray]
    looks: dict[str, np.ndarray]
    epochs: dict[str, np.ndarray]
    layers: list[str]
    rectifiers: list[str]
    filters: dict[int, Path]
    snapshots: dict[int, Path]
    about: dict[str, Any]
    broken: int = 0
    written: float = 0.0
    assumed: tuple[str, ...] = ()

    @property
    def running(self) -> bool:
        return "ended" not in self.about

    @property
    def is_bundled(self) -> bool:
        """Whether it comes with cnnviz."""
        return self.name.startswith(BUNDLED)

    @property
    def architecture(self) -> str:
        """The network's name in the catalogue; "" where the run does not tell."""
        name = self.about.get("architecture")
        return name if isinstance(name, str) else ""

    @property
    def knows_epochs_alone(self) -> bool:
        """Whether its steps were not recorded, so that a step is an epoch."""
        return self.is_bundled and not len(self.steps["step"])

    @cached_property
    def pace(self) -> float:
        """Seconds between two of its last lines, of steps or else of epochs; 0 where that is not known."""
        for table in (self.steps, self.epochs):
            times = table.get("time", np.empty(0))[-20:]
            if len(times) > 1 and np.isfinite(gap := float(np.median(np.diff(times)))):
                return max(gap, 0.0)
        return 0.0

    @cached_property
    def epoch_at(self) -> dict[int, int]:
        """{step: the epoch that ends there}, 0 for the start."""
        ends = zip(self.epochs["step"].tolist(), self.epochs.get("epoch", np.empty(0, int)).tolist(), strict=False)
        return {0: 0} | dict(ends)

    @cached_property
    def best_epoch(self) -> int | None:
        """Where early stopping would have stopped: the epoch, from 1, of the lowest "test_loss", or where there is none
        of the highest "test_accuracy"; None where neither was measured."""
        names = [name for name in ("epoch", "test_loss", "test_accuracy") if name in self.epochs]
        rows = zip(*(self.epochs[name].tolist() for name in names), strict=True)
        return choose_best([dict(zip(names, row, strict=True)) for row in rows])

    def nearest_snapshot(self, step: int) -> int:
        """The step of the snapshot nearest to `step`. Raises UnknownName where none is kept."""
        if not self.snapshots:
            raise UnknownName(f"The run {self.name} keeps no weights.")
        return min(self.snapshots, key=lambda kept: (abs(kept - step), kept))

    def name_weights(self, step: int) -> str:
        """The word by which `load` finds the snapshot of this step: "run:mine@3", of what comes with cnnviz
        "epoch-5" or "bundled"."""
        if self.knows_epochs_alone:
            kept = self.snapshots[step].stem
            return f"epoch-{step}" if kept.startswith("epoch-") else "bundled"
        return name_moment(self.name, step, self.epoch_at.get(step))

    def load_filters(self, step: int) -> np.ndarray:
        """(F, C, kh, kw) float32: the first layer's filters at one of `filters`. Raises UnknownName for another step,
        BadInput where the file cannot be read or holds none."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        if step not in self.filters:
            raise UnknownName(f"The run {self.name} keeps no filters of step {step}; it keeps {list(self.filters)}.")
        try:
            tensors = load_file(self.filters[step])
        except (OSError, SafetensorError) as error:
            raise BadInput(f"The filters of step {step} of the run {self.name} cannot be read: {error}.") from error
        weight = tensors.get("weight", self._find_first(tensors))
        if weight is None or weight.ndim != 4:
            raise BadInput(f"The first layer of the run {self.name} has no filters that could be shown as pictures.")
        return weight.astype(np.float32)

    def _find_first(self, tensors: dict[str, np.ndarray]) -> np.ndarray | None:
        """The weights of a whole network that see the image: those with as many channels."""
        prepared = self.about.get("preprocessing")
        channels = len(prepared.get("mean", [])) if isinstance(prepared, dict) else 0
        return next((tensor for tensor in tensors.values() if tensor.ndim == 4 and tensor.shape[1] == channels), None)


class RunReader:
    """Reads a run again and again while it is written: what was read before is not parsed anew. Threads may share it.

    `folder`: of the run. `name`: what it is called, by default as its folder."""

    def __init__(self, folder: str | Path, name: str = "") -> None:
        self._folder, self._name = Path(folder), name or Path(folder).resolve().name
        self._readers = {
            kind: files.LineReader(self._folder / kind) for kind in (files.STEPS, files.LAYERS, files.EPOCHS)
        }
        self._tables: dict[str, tuple[tuple[int, bytes], Any]] = {}
        self._lock = threading.Lock()

    def read(self) -> RecordedRun:
        """The run as it is now. Raises BadInput if the folder holds none (any more)."""
        with self._lock:
            return self._read()

    def _read(self) -> RecordedRun:
        about = files.read_about(self._folder)
        if about is None:
            raise BadInput(
                f"{self._name}: there is no recorded training (any more), no readable {files.RUN} in its folder."
            )
        lines = {kind: reader.read() for kind, reader in self._readers.items()}
        looks = lines[files.LAYERS]
        layers = _read_names(about.get("layers"))
        rectifiers = next((names for one in looks if (names := _read_names(one.get("rectifiers")))), [])
        steps = self._keep(files.STEPS, lambda: _columns(lines[files.STEPS]))
        epochs = self._keep(files.EPOCHS, lambda: _columns(lines[files.EPOCHS]))
        epochs, renamed = _name_held_out(_number_epochs(epochs))
        (steps, epochs), divided = _as_shares(steps, epochs)
        return RecordedRun(
            self._name,
            steps,
            self._keep(files.LAYERS, lambda: _tables(looks, len(layers), len(rectifiers))),
            epochs,
            layers,
            rectifiers,
            files.list_arrays(self._folder, files.FILTERS),
            files.list_arrays(self._folder, files.SNAPSHOTS),
            about,
            sum(reader.broken for reader in self._readers.values()),
            self._find_written(),
            (*renamed, *divided),
        )

    def _keep(self, kind: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """The table of a file, made anew when it has other lines."""
        state = self._readers[kind].state
        if kind not in self._tables or self._tables[kind][0] != state:
            self._tables[kind] = state, make()
        return self._tables[kind][1]

    def _find_written(self) -> float:
        times = []
        for kind in (files.RUN, *self._readers):
            with suppress(OSError):
                times.append((self._folder / kind).stat().st_mtime)
        return max(times, default=0.0)


def read_run(folder: str | Path, name: str = "") -> RecordedRun:
    """Read a run, finished or not. `name`: what it is called, by default as its folder. Raises BadInput if the folder
    holds none."""
    return RunReader(folder, name).read()


def _read_names(names: Any) -> list[str]:
    return [str(name) for name in names] if isinstance(names, list) else []


def _columns(lines: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Numbers by their names; "step" and "epoch" are whole. What is no number is NaN."""
    names = dict.fromkeys(name for line in lines for name, value in line.items() if _is_number(value))
    found = {name: np.array([_as_number(line.get(name)) for line in lines]) for name in ("step", *names)}
    return {name: values.astype(np.int64) if name == "step" else values for name, values in found.items()}


def _number_epochs(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The columns of epochs with their whole numbers, counted where they are not told."""
    told = columns.get("epoch", np.full(len(columns["step"]), np.nan))
    known = np.isfinite(told) & (np.abs(np.nan_to_num(told)) < files.MOST_STEP)
    counted = np.arange(1, len(told) + 1)
    return {**columns, "epoch": np.where(known, np.nan_to_num(told), counted).astype(np.int64)}


def _name_held_out(columns: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
    """What was measured on held-out images under one name, "test_…", and what is assumed with that."""
    found, assumed = dict(columns), []
    for name, values in columns.items():
        start = next((start for start in _HELD_OUT if name.startswith(start)), None)
        if start and (test := f"test_{name.removeprefix(start)}") not in found:
            found[test] = values
            assumed.append(f"{name} is shown as test")
    return found, assumed


def _as_shares(*tables: dict[str, np.ndarray]) -> tuple[list[dict[str, np.ndarray]], list[str]]:
    """Accuracies from 0 to 1, also where a loop gives per cent, and what is assumed with that."""
    parts = [(table, name) for table in tables for name in table if name.endswith("accuracy")]
    if not any(
        np.nanmax(np.where(np.isfinite(table[name]), table[name], 0), initial=0) > _FULL for table, name in parts
    ):
        return list(tables), []
    found = [{name: v / 100 if name.endswith("accuracy") else v for name, v in table.items()} for table in tables]
    return found, ["its accuracies go beyond 1 and are taken for per cent"]


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _as_number(value: Any) -> float:
    if value is None or not _is_number(value):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def _tables(looks: list[dict[str, Any]], layers: int, rectifiers: int) -> dict[str, np.ndarray]:
    return {
        "step": np.array([one["step"] for one in looks], np.int64),
        **{what: _table(looks, what, layers) for what in ("gradient", "weight", "update")},
        "dead": _table(looks, "dead", rectifiers),
    }


def _table(lines: list[dict[str, Any]], what: str, width: int) -> np.ndarray:
    """(T, width); NaN for a look that lacks it, e.g. of a pass in eval mode."""
    table = np.full((len(lines), width), np.nan)
    for row, line in zip(table, lines, strict=True):
        values = line.get(what)
        if isinstance(values, list) and len(values) == width:
            row[:] = [_as_number(value) for value in values]
    return table
