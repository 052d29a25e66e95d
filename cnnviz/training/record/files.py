"""Writing the files of a recorded training: lines that are only ever appended, arrays beside them. How they are laid
out and read: `cnnviz.models.runs.files`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TextIO

from cnnviz.models.runs.files import (
    EPOCHS,
    FILTERS,
    LAYERS,
    RESUMED,
    RUN,
    SNAPSHOTS,
    STEPS,
    list_arrays,
    list_epochs,
    read_lines,
    read_notes,
)

__all__ = ["EPOCHS", "FILTERS", "LAYERS", "RESUMED", "RUN", "SNAPSHOTS", "STEPS"]
__all__ += ["list_arrays", "list_epochs", "read_lines", "read_notes"]


def append_line(file: TextIO, values: dict[str, Any]) -> None:
    """Append one line and hand it to the system, which keeps it whatever happens to this process."""
    file.write(json.dumps({key: _plain(value) for key, value in values.items()}) + "\n")
    file.flush()


def _plain(value: Any) -> Any:
    """JSON knows no NaN: a loss that is none is stored as null. Seven digits tell a measure; a time, in seconds since
    1970, needs thirteen for its milliseconds."""
    if isinstance(value, float):
        return float(f"{value:.{7 if abs(value) < 1e9 else 13}g}") if math.isfinite(value) else None
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def array_path(folder: Path, kind: str, step: int) -> Path:
    """The array file of one moment."""
    return folder / kind / f"step-{step:08}.safetensors"


def choose_dispensable(steps: list[int]) -> int:
    """Of `steps`, ascending, the one that is missed least where moments shall lie evenly in the logarithm of time: the
    one whose neighbours are nearest to each other. First and last stay. Raises ValueError for fewer than three."""
    if len(steps) < 3:
        raise ValueError(f"Of {len(steps)} moments none can go: the first and the last stay.")
    places = [math.log1p(step) for step in steps]
    return min(range(1, len(steps) - 1), key=lambda n: places[n + 1] - places[n - 1])
