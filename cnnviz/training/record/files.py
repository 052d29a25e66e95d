"""The files of a recorded training: lines that are only ever appended, and arrays beside them, read while they grow.

`run.json` says what is trained; `steps.jsonl` holds a line a step, `layers.jsonl` one for every look into the layers,
`epochs.jsonl` one an epoch; `filters/` and `snapshots/` hold an array file for each of their moments. A line that was
cut off by a kill is passed over, and a training that goes on from an earlier step replaces what lay behind it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

RUN, STEPS, LAYERS, EPOCHS = "run.json", "steps.jsonl", "layers.jsonl", "epochs.jsonl"
FILTERS, SNAPSHOTS = "filters", "snapshots"
RESUMED = "resumed"  # a line with this key: what follows begins after that step


def append_line(file: TextIO, values: dict[str, Any]) -> None:
    """Append one line and hand it to the system, which keeps it whatever happens to this process."""
    file.write(json.dumps({key: _plain(value) for key, value in values.items()}) + "\n")
    file.flush()


def _plain(value: Any) -> Any:
    """JSON knows no NaN: a loss that is none is stored as null."""
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file, in the order of their steps. What lies behind a step from which the training went on again
    is left out, and so is a line that is cut off."""
    found: list[dict[str, Any]] = []
    for line in _parse_lines(path):
        if RESUMED in line:
            found = [one for one in found if one["step"] <= line[RESUMED]]
        elif "step" in line:
            found.append(line)
    return found


def _parse_lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.split("\n"):
        try:
            values = json.loads(line)
        except ValueError:
            continue
        if isinstance(values, dict):
            yield values


def array_path(folder: Path, kind: str, step: int) -> Path:
    """The array file of one moment."""
    return folder / kind / f"step-{step:08}.safetensors"


def list_arrays(folder: Path, kind: str) -> dict[int, Path]:
    """{step: file} of the moments that are kept, in their order."""
    files = sorted((folder / kind).glob("step-*.safetensors"))
    steps = {path.stem.removeprefix("step-"): path for path in files}
    return {int(text): path for text, path in steps.items() if text.isdigit()}


def list_epochs(folder: Path) -> dict[int, Path]:
    """{epochs trained: file} of the snapshots that were kept at the end of an epoch, and before the first."""
    found: dict[int, Path] = {}
    for step, path in list_arrays(folder, SNAPSHOTS).items():
        if (epoch := read_notes(path).get("epoch", 0)) or not step:
            found.setdefault(epoch, path)
    return found


def read_notes(path: Path) -> dict[str, Any]:
    """What an array file says of itself; {} where it says nothing."""
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        return json.loads((file.metadata() or {}).get("cnnviz", "{}"))


def choose_dispensable(steps: list[int]) -> int:
    """Of `steps`, ascending, the one that is missed least where moments shall lie evenly in the logarithm of time: the
    one whose neighbours are nearest to each other. First and last stay. Raises ValueError for fewer than three."""
    if len(steps) < 3:
        raise ValueError(f"Of {len(steps)} moments none can go: the first and the last stay.")
    places = [math.log1p(step) for step in steps]
    return min(range(1, len(steps) - 1), key=lambda n: places[n + 1] - places[n - 1])
