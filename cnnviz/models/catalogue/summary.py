"""What pickers say of each network, read without building one and without PyTorch: year, parameters, accuracy, and size
and address of its published weights.

assets/catalogue.json holds it for cnnviz's own networks, with the hash of the code that it was written from; of other
code it is collected from the catalogue itself, which imports PyTorch. `write` renews the file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from cnnviz.errors import CnnvizError
from cnnviz.models.bundled import assets
from cnnviz.models.catalogue import plugins
from cnnviz.models.catalogue.architecture import Architecture, published, registered
from cnnviz.models.catalogue.parameter_counts import count_parameters, hash_families
from cnnviz.models.zoo import download
from cnnviz.store import read_json, write_json


@dataclass(frozen=True, slots=True)
class Summary:
    """One network of the catalogue. The names of `Architecture` mean the same here.

    `parameters`: learnable ones; 0 = not counted. `url`, `size_bytes`: of the published weights, "" and 0 where there
    are none. `accuracy`: of these, {data set: {measure: per cent}}."""

    name: str
    title: str
    family: str
    year: int
    source: str
    published: str
    classifier: bool
    parameters: int = 0
    url: str = ""
    size_bytes: int = 0
    accuracy: dict[str, dict[str, float]] = field(default_factory=dict)


def summaries() -> dict[str, Summary]:
    """{name: summary} of the catalogue, sorted by name; the user's own networks among them, without parameters."""
    kept = _read(_file(), _stamp(_file()))
    if not kept:
        published()
    plugins.load_configured()
    found = dict(kept)
    for name, entry in registered().items():
        if name not in kept or kept[name].title != entry.title:
            found[name] = _summarise(entry)
    return dict(sorted(found.items()))


def recorded_accuracy(weights: Path) -> dict[str, dict[str, float]]:
    """{data set: {"acc@1": per cent}} of bundled weights, from the recipe beside the file; {} if it tells none."""
    from cnnviz.data.public.public_files import SETS

    try:
        score = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))["accuracy"]["test"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    data = weights.stem.partition("-")[2]
    measured = isinstance(score, int | float)
    return {SETS[data].title if data in SETS else data: {"acc@1": 100 * score}} if measured else {}


def collect() -> dict[str, dict[str, Any]]:
    """The summaries of cnnviz's own networks as plain values, from the catalogue itself."""
    names = sorted(published())
    counts = count_parameters(names)
    return {name: {**asdict(_summarise(registered()[name])), "parameters": counts[name] or 0} for name in names}


def write() -> Path:
    """Renew assets/catalogue.json; returns its path."""
    write_json(_file(), {"families": hash_families(), "networks": collect()})
    return _file()


def _summarise(entry: Architecture) -> Summary:
    facts = (entry.name, entry.title, entry.family, entry.year, entry.source, entry.published, entry.classifier)
    if entry.pretrained is None:
        return Summary(*facts)
    weights = download.find_weights(entry)
    return Summary(*facts, 0, weights.url, weights.size_bytes, weights.meta.get("_metrics", {}))


def _file() -> Path:
    return assets() / "catalogue.json"


def _stamp(path: Path) -> int:
    return path.stat().st_mtime_ns if path.is_file() else 0


@lru_cache(2)
def _read(path: Path, stamp: int) -> Mapping[str, Summary]:
    """The file's summaries; {} if it is missing, damaged, or of other code. `stamp`: when it was written."""
    try:
        held = read_json(path) if stamp else {}
        if held.get("families") != hash_families():
            return {}
        return {name: Summary(**facts) for name, facts in held["networks"].items()}
    except (CnnvizError, OSError, ValueError, TypeError, AttributeError, KeyError):
        return {}
