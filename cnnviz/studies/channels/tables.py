"""A patch index as text tables: its layers, a layer's channels, a channel's winners."""

from __future__ import annotations

import numpy as np

from cnnviz.data.grouping import EACH, describe_grouping
from cnnviz.device import describe_precision
from cnnviz.index.result import PatchIndex
from cnnviz.studies.anatomy.text import format_size
from cnnviz.studies.channels.selectivity import Selectivity, selectivity
from cnnviz.wording import plural

LAYER_COLUMNS = ("layer", "channels", "field", "dead", "strongest", "its value", "most selective", "its winners")
CHANNEL_COLUMNS = ("channel", "strongest", "weakest", "strongest image", "mean", "above 0", "classes")
WINNER_COLUMNS = ("", "value", "image", "unit", "pixels", "class")
VALUES = "each layer's own output; a convolution's before its ReLU"
TIES = "equal values: lowest position on the map, then the earlier image"


def describe_index(index: PatchIndex) -> list[tuple[str, str]]:
    """(name, value) pairs: what the index was built from, and how far it has come."""
    meta = index.meta
    total, seen = meta.get("images", 0), meta.get("next", 0)
    state = "complete" if index.complete else f"partial, {seen:,} of {plural(total, 'image')} seen"
    crops = (
        f"of the winners inside, at most {plural(meta['embedded'], 'pixel')}" if meta.get("embedded") else "none inside"
    )
    return [
        ("network", f"{meta.get('model', '?')}, {meta.get('weights', '?')} weights"),
        ("corpus", f"{meta.get('corpus', '?')}, {plural(total, 'image')}"),
        ("state", state),
        ("winners", f"{meta.get('k', '?')} a channel, {describe_grouping(meta.get('group', EACH))}; {TIES}"),
        ("values", VALUES),
        ("precision", _precision(index)),
        (
            "skipped",
            f"{plural(len(meta['skipped']), 'image')} that could not be read" if meta.get("skipped") else "none",
        ),
        ("crops", crops),
    ]


def _precision(index: PatchIndex) -> str:
    meta = index.meta
    name = describe_precision(meta) or "?"
    if how := meta.get("screening"):
        return f"{name}, exact: screened in bfloat16, {plural(how['run_again'], 'image')} run again"
    if meta.get("phase"):
        return f"{name} so far: the screening pass of an exact search"
    return f"{name}, approximate" if name == "bfloat16" else f"{name}, exact"


def layer_table(index: PatchIndex) -> list[list[str]]:
    """Header and a line for every layer. A field is h×w pixels, unclipped; a dead channel was never above 0. The
    columns about classes are there where the corpus has labels, as in the other tables."""
    lines = [list(LAYER_COLUMNS), *(_layer_line(index, layer) for layer in index.layers)]
    return [line[: None if index.meta.get("labels") else -2] for line in lines]


def _layer_line(index: PatchIndex, layer: str) -> list[str]:
    view, classes = index.layer(layer), selectivity(index, layer)
    best = view.strongest(1)
    value = _number(index.strength(layer)[best[0]]) if best else ""
    dead = int(index.dead(layer).sum())
    named = [f"channel {best[0]}" if best else "", value, *_describe_selectivity(classes)]
    return [layer, f"{len(view):,}", format_size(view.field), str(dead or ""), *named]


def _describe_selectivity(found: Selectivity | None) -> list[str]:
    """The most selective channel and the classes of its winners; empty without labels."""
    if found is None or np.isnan(found.index).all():
        return ["", ""]
    channel = int(np.nanargmax(found.index))
    return [f"channel {channel}", _classes(found.classes[channel])]


def channel_table(index: PatchIndex, layer: str) -> list[list[str]]:
    """Header and a line for every channel of a layer, by number. "mean" and "above 0" are of the sampled units.

    Raises UnknownName for a layer that was not indexed."""
    view, found, classes = index.layer(layer), index.statistics.get(layer), selectivity(index, layer)
    lines = []
    for channel in range(len(view)):
        best = view.unit(channel).winners
        reach = [_number(best[0].value), _number(best[-1].value), best[0].image_id] if best else ["", "", ""]
        averages = ["", ""]
        if found is not None and found.sampled > 0:
            averages = [_number(found.mean[channel]), f"{found.density[channel]:.1%}"]
        lines.append([str(channel), *reach, *averages, _classes(classes.classes[channel]) if classes else ""])
    return [line[: None if classes else -1] for line in [list(CHANNEL_COLUMNS), *lines]]


def winner_table(index: PatchIndex, layer: str, channel: int) -> list[list[str]]:
    """Header and a line for every winner of a channel, strongest first; pixels are (top, left, bottom, right), half
    open, of the network's input. Raises as `PatchIndex.top` does."""
    labels = index.meta.get("labels") or {}
    lines = []
    for place, winner in enumerate(index.top(layer, channel), 1):
        unit, pixels = f"({winner.row}, {winner.col})", f"({', '.join(map(str, winner.box))})"
        label = labels.get(str(winner.image), "")
        lines.append([str(place), f"{winner.value:#.6g}", winner.image_id, unit, pixels, label])
    return [line[: None if labels else -1] for line in [list(WINNER_COLUMNS), *lines]]


def _number(value: float) -> str:
    return f"{value:.4g}"


def _classes(counts: dict[str, int], most: int = 3) -> str:
    """ "cat 5, dog 3, …", the commonest first."""
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{label} {count}" for label, count in ranked[:most]) + (", …" if len(ranked) > most else "")
