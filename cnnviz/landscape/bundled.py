"""Bundled loss landscapes: assets/landscapes/*.npz, any subset of them.

`<architecture>-seed<k>.npz`: a Surface on the plane of direction seed k. `<architecture>-trajectory.npz`: the
Trajectory of its training, and `<architecture>-plane.npz`: the Surface that it runs on.
`<architecture>-epoch<NNN>.npz`: a Surface after that many epochs, all in the same two directions."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from cnnviz.models.bundled import assets

_NAME = re.compile(r"(?P<architecture>\w+)-(?P<kind>seed|epoch|trajectory|plane)(?P<number>[0-9]*)\.npz")


@dataclass(frozen=True, slots=True)
class Landscapes:
    """The files about one architecture. `seeds`: {direction seed: file}; `epochs`: {epoch: file}, ascending;
    `trajectory`, `plane`: None where there is no such file."""

    architecture: str
    seeds: dict[int, Path] = field(default_factory=dict)
    epochs: dict[int, Path] = field(default_factory=dict)
    trajectory: Path | None = None
    plane: Path | None = None


def folder() -> Path:
    """Where the files lie: $CNNVIZ_LANDSCAPES, else `landscapes` among the bundled files."""
    chosen = os.environ.get("CNNVIZ_LANDSCAPES")
    return Path(chosen).expanduser() if chosen else assets() / "landscapes"


def landscapes() -> dict[str, Landscapes]:
    """{architecture: its files}, sorted by name; {} where none are there. Files are not opened, and names of
    another form are passed over."""
    where = folder()
    try:
        names = tuple(sorted(os.listdir(where)))
    except OSError:
        return {}
    return dict(_sort_files(where, names))


@lru_cache(8)
def _sort_files(where: Path, names: tuple[str, ...]) -> dict[str, Landscapes]:
    """`landscapes` of the files `names` in the folder `where`."""
    found: dict[str, dict] = {}
    for path in (where / name for name in names):
        match = _NAME.fullmatch(path.name)
        if match is None or (match["kind"] in ("seed", "epoch")) != bool(match["number"]):
            continue
        own = found.setdefault(match["architecture"], {"seeds": {}, "epochs": {}})
        if match["number"]:
            own[f"{match['kind']}s"][int(match["number"])] = path
        else:
            own[match["kind"]] = path
    return {name: Landscapes(name, **_sort(own)) for name, own in sorted(found.items())}


def _sort(own: dict) -> dict:
    return own | {kind: dict(sorted(own[kind].items())) for kind in ("seeds", "epochs")}
