"""The files of a recorded training, read while they grow: lines that are only ever appended, arrays beside them.

`run.json` says what is trained; `steps.jsonl` holds a line a step, `layers.jsonl` one for every look into the layers,
`epochs.jsonl` one an epoch; `filters/` and `snapshots/` hold an array file for each of their moments. A line that was
cut off by a kill is passed over, and a training that goes on from an earlier step replaces what lay behind it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, BinaryIO

RUN, STEPS, LAYERS, EPOCHS = "run.json", "steps.jsonl", "layers.jsonl", "epochs.jsonl"
FILTERS, SNAPSHOTS = "filters", "snapshots"
RESUMED = "resumed"  # a line with this key: what follows begins after that step
MOST_STEP = 2**53  # beyond it a number is no step of a training
_TAIL = 64  # bytes before the place that was read, by which a file is known again


class LineReader:
    """The lines of one file, in the order in which they were written. Each `read` parses only what was appended since
    the one before.

    What lies behind a step from which the training went on again is left out, and so is a last line that is not whole
    yet. `broken`: how many could not be read. `state`: another one whenever the lines are others."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changes = 0
        self._restart(None)

    def _restart(self, identity: tuple[int, int] | None) -> None:
        self._identity, self._at, self._tail, self._rest = identity, 0, b"", b""
        self._lines: list[dict[str, Any]] = []
        self.broken = 0
        self._changes += 1

    @property
    def state(self) -> tuple[int, bytes]:
        return self._changes, self._rest

    def read(self) -> list[dict[str, Any]]:
        """The lines as they are now; none where there is no such file."""
        try:
            with open(self._path, "rb") as file:
                self._take(self._read_new(file))
        except OSError:
            if self._identity is not None:
                self._restart(None)
        last = _parse(self._rest)  # written whole, but for its end
        return self._lines if last is None else _add(list(self._lines), last)

    def _read_new(self, file: BinaryIO) -> bytes:
        """What stands behind the place that was read; from the start where it is another file than before."""
        told = os.fstat(file.fileno())
        identity = told.st_dev, told.st_ino
        if identity != self._identity or told.st_size < self._at or not self._is_known(file):
            self._restart(identity)
        file.seek(self._at)
        new = file.read()
        self._at += len(new)
        self._tail = (self._tail + new)[-_TAIL:]
        return new

    def _is_known(self, file: BinaryIO) -> bool:
        file.seek(self._at - len(self._tail))
        return file.read(len(self._tail)) == self._tail

    def _take(self, text: bytes) -> None:
        *whole, self._rest = (self._rest + text).split(b"\n")
        for part in whole:
            line = _parse(part)
            self._changes += 1
            if line is not None:
                self._lines = _add(self._lines, line)
            else:
                self.broken += bool(part.strip())


def _add(lines: list[dict[str, Any]], line: dict[str, Any]) -> list[dict[str, Any]]:
    """`lines` with one more, or without those behind the step that it goes back to."""
    if RESUMED in line:
        return [one for one in lines if one["step"] <= line[RESUMED]]
    lines.append(line)
    return lines


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
