"""Where recorded trainings lie: one folder with runs in and below it, each called by its path there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cnnviz.errors import UnknownName
from cnnviz.models.bundled import BUNDLED, recorded_folder
from cnnviz.models.runs.files import FILTERS, RUN, SNAPSHOTS
from cnnviz.store import is_there
from cnnviz.wording import plural

DEPTH = 3  # levels below the folder
_NAMED = 8  # runs that a refusal lists


def runs_folder() -> Path:
    """The folder of recorded trainings: $CNNVIZ_RUNS, else `runs` where the program was started."""
    return Path(os.environ.get("CNNVIZ_RUNS") or "runs").expanduser()


def list_runs(folder: str | Path) -> list[Path]:
    """The folders of runs in and below `folder`, at most three levels deep, the newest first. Links are not
    followed: they may lead outside it, or round in a circle."""
    top = Path(folder)
    written = [(_written(path), path) for path in _walk(top, DEPTH) if is_there(path / RUN)]
    return [path for _time, path in sorted(written, key=lambda one: (-one[0], one[1]))]


def name_runs(folder: str | Path | None = None) -> dict[str, Path]:
    """{name: its folder} of the runs in a folder, the newest first. `folder`: None for `runs_folder()`. A name is the
    path below it, e.g. "mine" or "flowers/first"; "." is the folder itself."""
    top = runs_folder() if folder is None else Path(folder)
    return {path.relative_to(top).as_posix(): path for path in list_runs(top)}


def find_run(name: str) -> Path:
    """The folder of the run `name`, see `name_runs`, or of a recorded one that comes with cnnviz, "bundled:NAME".
    Raises UnknownName, with the runs there are."""
    if name.startswith(BUNDLED) and (folder := recorded_folder(name.removeprefix(BUNDLED))):
        return folder
    found = name_runs()
    if name in found:
        return found[name]
    listed = ", ".join(list(found)[:_NAMED]) + (f" and {len(found) - _NAMED} more" if len(found) > _NAMED else "")
    there = (
        f"There {'is' if len(found) == 1 else 'are'} {plural(len(found), 'run')}: {listed}."
        if found
        else ("There is none yet: `cnnviz.record` and `cnnviz train` write some.")
    )
    raise UnknownName(
        f"No run named {name[:80]!r} in the folder of recorded trainings ($CNNVIZ_RUNS, else runs). {there}"
    )


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    yield folder
    if not depth:
        return
    try:
        below = [entry for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for entry in sorted(below, key=lambda one: one.name):
        if not entry.name.startswith(".") and entry.name not in (FILTERS, SNAPSHOTS):
            yield from _walk(Path(entry.path), depth - 1)


def _written(path: Path) -> float:
    try:
        return (path / RUN).stat().st_mtime
    except OSError:  # removed meanwhile
        return 0.0
