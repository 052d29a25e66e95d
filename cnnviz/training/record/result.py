"""A recorded training as arrays: read while it is written, or long after."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cnnviz.errors import BadInput, UnknownName
from cnnviz.training.record import files


@dataclass(frozen=True)
class RecordedRun:
    """What `cnnviz.record` wrote. `name`: of its folder. `steps`, `looks`, `epochs`: {what: values}, one value for each
    step, look into the layers or epoch that is kept, each with its "step"; NaN where nothing was given. In `looks`,
    "gradient", "weight" and "update" are (T, layers) and "dead" (T, rectifiers), a share of the channels. `layers`,
    `rectifiers`: their names. `filters`, `snapshots`: {step: file}. `about`: of run.json. `running`: not ended yet, as
    far as its files tell."""

    name: str
    steps: dict[str, np.ndarray]
    looks: dict[str, np.ndarray]
    epochs: dict[str, np.ndarray]
    layers: list[str]
    rectifiers: list[str]
    filters: dict[int, Path]
    snapshots: dict[int, Path]
    about: dict[str, Any]

    @property
    def running(self) -> bool:
        return "ended" not in self.about

    @cached_property
    def best_epoch(self) -> int | None:
        """Where early stopping would have stopped: the epoch, from 1, of the lowest "test_loss", or where there is none
        of the highest "test_accuracy"; None where neither was measured."""
        for what, sign in (("test_loss", 1), ("test_accuracy", -1)):
            values = self.epochs.get(what)
            if values is not None and np.isfinite(values).any():
                return int(self.epochs["epoch"][np.nanargmin(sign * values)])
        return None

    def nearest_snapshot(self, step: int) -> int:
        """The step of the snapshot nearest to `step`. Raises UnknownName where none is kept."""
        if not self.snapshots:
            raise UnknownName(f"The run {self.name} keeps no weights.")
        return min(self.snapshots, key=lambda kept: (abs(kept - step), kept))

    def load_filters(self, step: int) -> np.ndarray:
        """(F, C, kh, kw) float32: the first layer's filters at one of `filters`."""
        from safetensors.numpy import load_file

        if step not in self.filters:
            raise UnknownName(f"The run {self.name} keeps no filters of step {step}; it keeps {list(self.filters)}.")
        return load_file(self.filters[step])["weight"].astype(np.float32)


def read_run(folder: str | Path) -> RecordedRun:
    """Read a run, finished or not. Raises BadInput if the folder holds none."""
    folder = Path(folder)
    try:
        about = json.loads((folder / files.RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{folder} holds no recorded training: there is no readable {files.RUN} in it.") from error
    looks = files.read_lines(folder / files.LAYERS)
    layers = [str(name) for name in about.get("layers", [])]
    rectifiers: list[str] = next((one["rectifiers"] for one in looks if one.get("rectifiers")), [])
    return RecordedRun(
        folder.name,
        _columns(files.read_lines(folder / files.STEPS)),
        {
            "step": np.array([one["step"] for one in looks], np.int64),
            **{what: _table(looks, what, len(layers)) for what in ("gradient", "weight", "update")},
            "dead": _table(looks, "dead", len(rectifiers)),
        },
        _columns(files.read_lines(folder / files.EPOCHS)),
        layers,
        rectifiers,
        files.list_arrays(folder, files.FILTERS),
        files.list_arrays(folder, files.SNAPSHOTS),
        about,
    )


def list_runs(folder: str | Path) -> list[Path]:
    """The folders of runs in and below `folder`, at most three levels deep, the newest first."""
    top = Path(folder)
    found = [path.parent for depth in range(4) for path in top.glob("/".join(["*"] * depth + [files.RUN]))]
    return sorted(found, key=lambda path: (path / files.RUN).stat().st_mtime, reverse=True)


def _columns(lines: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Numbers by their names; "step" and "epoch" are whole."""
    names = dict.fromkeys(name for line in lines for name, value in line.items() if not isinstance(value, list | str))
    whole = ("step", "epoch")
    found = {name: [line.get(name) for line in lines] for name in ("step", *names)}
    return {name: np.array(values, np.int64 if name in whole else float) for name, values in found.items()}


def _table(lines: list[dict[str, Any]], what: str, width: int) -> np.ndarray:
    """(T, width); NaN for a look that lacks it, e.g. of a pass in eval mode."""
    table = np.full((len(lines), width), np.nan)
    for row, line in zip(table, lines, strict=True):
        values = line.get(what)
        if isinstance(values, list) and len(values) == width:
            row[:] = [np.nan if value is None else value for value in values]
    return table
