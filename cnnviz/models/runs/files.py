"""The files of a recorded training, read while they grow: lines that are only ever appended, arrays beside them.

`run.json` says what is trained; `steps.jsonl` holds a line a step, `layers.jsonl` one for every look into the layers,
`epochs.jsonl` one an epoch; `filters/` and `snapshots/` hold an array file for each of their moments. A line that was
cut off by a kill is passed over, and a training that goes on from an earlier step replaces what lay behind it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

RUN, STEPS, LAYERS, EPOCHS = "run.json", "steps.jsonl", "layers.jsonl", "epochs.jsonl"
FILTERS, SNAPSHOTS = "filters", "snapshots"
RESUMED = "resumed"  # a line with this key: what follows begins after that step
MOST_STEP = 2**53  # beyond it a number is no step of a training
_TAIL = 64  # bytes before the place that was read, by which a file is known again


class LineReader:
    """The lines of one file, in the order in which they were written. Each `read` parses only what was appended since
    the one before.

    `lines`: those that count: what lies behind a step from which the training went on again is left out. `broken`: how
    many could not be read. `changes`: grows whenever `lines` are others."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.changes = 0
        self._restart(None)

    def _restart(self, identity: tuple[int, int] | None) -> None:
        self._identity, self._at, self._tail, self._rest = identity, 0, b"", b""
        self.lines: list[dict[str, Any]] = []
        self.broken = 0
        self.changes += 1

    def read(self) -> list[dict[str, Any]]:
        """`lines` as they are now; none where there is no such file."""
        try:
            with open(self._path, "rb") as file:
                stat = os.fstat(file.fileno())
                if (identity := (stat.st_dev, stat.st_ino)) != self._identity or stat.st_size < self._at:
                    self._restart(identity)
                elif stat.st_size == self._at:
                    return self.lines
                file.seek(self._at - len(self._tail))
                if file.read(len(self._tail)) != self._tail:  # written anew
                    self._restart(identity)
                    file.seek(0)
                new = file.read()
        except OSError:
            if self._identity is not None:
                self._restart(None)
            return self.lines
        self._at += len(new)
        self._tail = (self._tail + new)[-_TAIL:]
        self._take(self._rest + new)
        return self.lines

    def _take(self, text: bytes) -> None:
        *whole, self._rest = text.split(b"\n")
        for line in whole:
            self._add(line, _parse(line))
        if (last := _parse(self._rest)) is not None:  # written whole, but for its end
            self._add(self._rest, last)
            self._rest = b""

    def _add(self, text: bytes, line: dict[str, Any] | None) -> None:
        if line is None:
            self.broken += bool(text.strip())
            return
        self.changes += 1
        if RESUMED in line:
            self.lines = [one for one in self.lines if one["step"] <= line[RESUMED]]
        else:
            self.lines.append(line)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file that count, see `LineReader`."""
    return LineReader(path).read()


def _parse(text: bytes) -> dict[str, Any] | None:
    """A line with a step; None for anything else."""
    try:
        line = json.loads(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(line, dict):
        return None
    step = line.get(RESUMED, line.get("step"))
    return line if type(step) is int and 0 <= step < MOST_STEP else None


def read_about(folder: Path) -> dict[str, Any] | None:
    """What `run.json` says; None where there is no readable one."""
    try:
        about = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return about if isinstance(about, dict) else None


def list_arrays(folder: Path, kind: str) -> dict[int, Path]:
    """{step: file} of the moments that are kept, in their order."""
    steps = {path.stem.removeprefix("step-"): path for path in (folder / kind).glob("step-*.safetensors")}
    found = {int(text): path for text, path in steps.items() if text.isascii() and text.isdigit() and len(text) < 16}
    return dict(sorted(found.items()))


def list_epochs(folder: Path) -> dict[int, Path]:
    """{epochs trained: file} of the snapshots that were kept at the end of an epoch, and before the first."""
    found: dict[int, Path] = {}
    for step, path in list_arrays(folder, SNAPSHOTS).items():
        epoch = read_notes(path).get("epoch", 0)
        if isinstance(epoch, int) and (epoch > 0 or not step):
            found.setdefault(epoch, path)
    return found


def read_notes(path: Path) -> dict[str, Any]:
    """What an array file says of itself; {} where it says nothing or is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            notes = json.loads((file.metadata() or {}).get("cnnviz", "{}"))
    except (OSError, ValueError, RecursionError, SafetensorError):
        return {}
    return notes if isinstance(notes, dict) else {}
