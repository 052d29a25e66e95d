"""What the page of anatomies shares between sessions, and the controls that only it has."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.session import networks

if TYPE_CHECKING:
    from cnnviz.studies.anatomy.history import PublishedModel
    from cnnviz.studies.anatomy.rows import Anatomy

_PARTNERS = """
    vgg16 googlenet_2014
    googlenet_2014 vgg16
    plain34 resnet34_a
    resnet34_a plain34
    plain18 resnet18_a
    resnet50 resnet50_v1
    alexnet alexnet_2012
    lenet5 lenet5_1998
    naive_inception reduced_inception
    reduced_inception naive_inception
    resnet20_cifar plain20_cifar
    resnet56_cifar densenet_40_k12
    densenet121 resnet50
    mobilenet_v2 mobilenet_v1
"""
PARTNERS: dict[str, str] = dict(line.split() for line in _PARTNERS.strip().splitlines())  # says most beside another


@st.cache_resource(max_entries=64, show_spinner=False)
def anatomy(name: str) -> Anatomy:
    """The anatomy of an architecture by name; no weights are loaded."""
    from cnnviz.studies.anatomy.anatomy import anatomy as measured

    return measured(name)


@st.cache_data(max_entries=64, show_spinner=False)
def map_layers(name: str) -> dict[str, str]:
    """{block: the layer whose feature maps show its output}; none for a building block, which is no network."""
    from cnnviz.studies.anatomy.map_layers import find_map_layers

    return find_map_layers(name) if name in networks.catalogue() else {}


@st.cache_data(max_entries=256, show_spinner=False)
def about(name: str) -> dict[str, Any]:
    """Source, year, published result and note of an architecture, and what slides get wrong about it."""
    from cnnviz.models.catalogue.registry import find
    from cnnviz.studies.anatomy.history import find_correction

    entry = find(name)
    known = dict(title=entry.title, source=entry.source, year=entry.year, published=entry.published, note=entry.note)
    return known | {"correction": find_correction(name)}


@st.cache_resource(max_entries=2, show_spinner=False)
def models(newest: bool) -> list[PublishedModel]:
    """The points of the chart of accuracy, size and cost: torchvision's metadata and published figures."""
    from cnnviz.studies.anatomy.history import published_models, torchvision_models

    return [*torchvision_models(newest), *published_models()]


def facts_csv(entries: Any) -> str:
    """Dataclasses as CSV, one a line."""
    rows = [asdict(entry) for entry in entries]
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def about_text(name: str) -> str:
    """Where a network comes from, what was published of it, and its note, as sentences."""
    facts = about(name)
    year = f" ({facts['year']})" if facts["year"] and str(facts["year"]) not in facts["source"] else ""
    parts = [f"**{facts['title']}** (`{name}`). Source: {facts['source']}{year}."]
    parts += [f"Published: {facts['published'].rstrip('.')}."] if facts["published"] else []
    parts += [f"{facts['note'].rstrip('.')}."] if facts["note"] else []
    parts += [facts["correction"]] if facts["correction"] else []
    return " ".join(parts)


def compare_costs(one: Anatomy, other: Anatomy) -> str:
    """What two networks cost beside each other, as a sentence."""
    parts = []
    for word, first, second in (
        ("parameters", one.parameters, other.parameters),
        ("multiply-adds", one.macs, other.macs),
    ):
        low, high = sorted((first, second))
        if high <= 1.02 * low:
            parts.append(f"as many {word}")
        else:
            more = one if first > second else other
            parts.append(f"{high / max(low, 1):.1f} times the {word} in {more.name}")
    if all(part.startswith("as many") for part in parts):
        return "**Notice** that both cost the same: what differs is how the layers are connected."
    return f"**Notice** what each choice costs: {' and '.join(parts)}."


def caption(name: str) -> str:
    """Title and year of a network, for the bar."""
    facts = about(name)
    return f"{facts['title']}" + (f", {facts['year']}" if facts["year"] else "")
