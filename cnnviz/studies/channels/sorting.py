"""Sorting, filtering and finding the channels of an indexed layer."""

from __future__ import annotations

import re

import numpy as np

from cnnviz.errors import BadInput
from cnnviz.index.result import PatchIndex
from cnnviz.studies.channels.selectivity import Selectivity

ORDERS = ("By index", "Strongest first", "Most selective", "Most often active", "Least often active")


def order_channels(index: PatchIndex, layer: str, order: str, selective: Selectivity | None = None) -> list[int]:
    """All channels of a layer. `order`, one of ORDERS: by number; by the strongest activation; by `selective`,
    where there are labels; by density, the share of units above 0, either way. Ties, and channels of which the
    quantity is not known, by number, the latter last. Raises BadInput for another order."""
    if order not in ORDERS:
        raise BadInput(f"No order named {order!r}. Choose one of: {', '.join(ORDERS)}.")
    count = index.channels(layer)
    keys = np.arange(count, dtype=float)
    if order == "Strongest first":
        keys = -index.strength(layer).astype(float)
    elif order == "Most selective":
        keys = np.full(count, np.nan) if selective is None else -selective.index
    elif order != "By index":
        sign = -1 if order == "Most often active" else 1
        keys = sign * index.statistics[layer].density if layer in index.statistics else np.full(count, np.nan)
    return [int(c) for c in np.argsort(np.where(np.isnan(keys), np.inf, keys), kind="stable")]


def find_class(selective: Selectivity, text: str) -> dict[int, int]:
    """{channel: how many of its winners} are of a class whose name contains `text`, whatever the case."""
    wanted = text.strip().lower()
    counts = {
        channel: sum(count for label, count in classes.items() if wanted in label.lower())
        for channel, classes in enumerate(selective.classes)
    }
    return {channel: count for channel, count in counts.items() if count and wanted}


def find_images(index: PatchIndex, layer: str, text: str) -> dict[int, int]:
    """{channel: how many of its winners} come from an image whose name or folder contains `text`, whatever the case.

    Raises UnknownName for a layer that was not indexed."""
    wanted = text.strip().lower()
    named = [image for image, name in index.ids.items() if wanted and wanted in name.lower()]
    index.channels(layer)
    counts = np.isin(index.tops[layer].images, named).sum(axis=1)
    return {int(channel): int(counts[channel]) for channel in np.flatnonzero(counts)}


def parse_channel(text: str, channels: int) -> int | None:
    """17 for "channel 17", "unit 17", "#17" or "17", if there is such a channel; else None."""
    found = re.fullmatch(r"\s*(?:channel|unit|ch\.?|#)?\s*(\d{1,9})\s*", text, re.IGNORECASE)
    return int(found[1]) if found and int(found[1]) < channels else None
