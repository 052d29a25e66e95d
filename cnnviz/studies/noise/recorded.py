"""Removed blocks of the bundled networks, measured beforehand: assets/studies/removed-blocks.json."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cnnviz.errors import BadInput
from cnnviz.models.bundled import assets
from cnnviz.models.model import LoadedModel
from cnnviz.store import is_there, read_json, write_json
from cnnviz.studies.noise.blocks import BlocksRemoved

FILE = "removed-blocks.json"


def read_removed(model: LoadedModel, path: str | Path | None = None) -> BlocksRemoved | None:
    """What `remove_each` found for this very network, by its fingerprint; None where it was not measured, or the file
    is missing or cannot be read."""
    place = Path(path) if path else assets() / "studies" / FILE
    try:
        entries = read_json(place) if is_there(place) else {}
        found = entries.get(model.fingerprint) if isinstance(entries, dict) else None
        if found is None:
            return None
        kept = np.array([np.nan if share is None else share for share in found["kept"]], float)
        return BlocksRemoved(tuple(found["blocks"]), tuple(found["kinds"]), kept, int(found["images"]))
    except (BadInput, KeyError, TypeError, ValueError):
        return None


def write_removed(found: dict[str, tuple[str, BlocksRemoved]], path: str | Path) -> None:
    """Write {fingerprint: (name, result)} so that `read_removed` finds it."""
    entries: dict[str, Any] = {}
    for fingerprint, (name, one) in found.items():
        kept = [None if np.isnan(share) else round(float(share), 6) for share in one.kept]
        entries[fingerprint] = {"network": name, **asdict(one), "kept": kept}
    write_json(Path(path), entries)
