"""Merging the indexes of parts of a corpus into the index of all of it, whatever the parts and their order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from cnnviz.data.grouping import EACH, number_groups
from cnnviz.errors import BadInput
from cnnviz.index.crops.crops import LayerCrops
from cnnviz.index.records import ChannelStatistics, LayerTop
from cnnviz.index.result import PatchIndex

Span = tuple[int, int]  # positions low … high - 1 of a corpus
SAME = (
    "model model_fingerprint weights wanted_layers k batch preprocessing corpus corpus_fingerprint precision torch "
    "images group"
).split()
"""What parts must have in common: the network, the corpus and the settings."""
_JOINED = {*SAME, "seen", "next", "complete", "skipped", "skipped_at", "widths", "labels"}


def merge(indexes: Sequence[PatchIndex]) -> PatchIndex:
    """The index of all images that any of `indexes` has seen; no image may have been seen twice.

    Winners are sorted by value, equal values by position in the corpus, and statistics are whole numbers
    that are added: so the outcome is the same for any grouping and any order, and that of one run. An index
    that has seen nothing changes nothing. Of other metadata stays what all have alike.
    Raises BadInput for no index, for indexes of different things and for parts that overlap."""
    if not indexes:
        raise BadInput("Nothing to merge: give at least one index.")
    refuse_others(indexes[0].meta, indexes[1:], "The indexes are of different things")
    seen = join_spans(span for index in indexes for span in list_seen(index))
    indexes = [index for index in indexes if list_seen(index)] or indexes[:1]
    if len(indexes) == 1:
        return indexes[0]
    wanted = indexes[0].meta.get("wanted_layers", indexes[0].layers)
    having = {layer: [index for index in indexes if layer in index.tops] for layer in wanted}
    having = {layer: some for layer, some in having.items() if some}
    ids = {image: name for index in indexes for image, name in index.ids.items()}
    rule = indexes[0].meta.get("group")
    groups = dict(zip(ids, number_groups(rule, ids.values()), strict=True)) if rule else None
    tops, embedded = {}, {}
    for layer, some in having.items():
        tops[layer], order = _merge_tops([index.tops[layer] for index in some], groups)
        if all(layer in index.embedded for index in some):
            embedded[layer] = LayerCrops.choose([i.embedded[layer] for i in some], order, tops[layer].images >= 0)
    statistics = {layer: _sum_statistics([index.statistics[layer] for index in some]) for layer, some in having.items()}
    winners = sorted({int(i) for top in tops.values() for i in np.unique(top.images) if i >= 0})
    return PatchIndex(
        tops, {i: ids[i] for i in winners}, _merge_meta([i.meta for i in indexes], seen, winners), statistics, embedded
    )


def refuse_others(meta: dict[str, Any], indexes: Iterable[PatchIndex], what: str) -> None:
    """Raise BadInput, beginning with `what`, if an index is not of the network, corpus and settings of `meta`."""
    wanted = {"group": EACH} | {key: meta[key] for key in SAME if key in meta}
    changed = {
        key
        for index in indexes
        for key, value in wanted.items()
        if index.meta.get(key, EACH if key == "group" else None) != value
    }
    if changed:
        names = ", ".join(key for key in SAME if key in changed).replace("_", " ")
        raise BadInput(f"{what} (different {names}). Choose another file, or remove it to start anew.")


def list_seen(index: PatchIndex) -> list[Span]:
    """The spans of the corpus that an index has seen, in order."""
    return [(low, high) for low, high in index.meta.get("seen", [(0, index.meta.get("next", 0))]) if low < high]


def join_spans(spans: Iterable[Span]) -> list[Span]:
    """Spans in order, those that touch made one. Raises BadInput where two overlap."""
    found: list[Span] = []
    for low, high in sorted(spans):
        if found and low < found[-1][1]:
            raise BadInput(
                f"Two indexes have both seen images {low} to {min(high, found[-1][1]) - 1}: "
                "parts that are merged must not overlap."
            )
        if found and low == found[-1][1]:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return found


def find_unseen(seen: Iterable[Span], total: int, size: int) -> list[Span]:
    """What of `total` images has not been seen, in spans of `size` that begin at its multiples."""
    done = join_spans(seen)
    begun = {low // size for first, last in done for low in range(first, last, size)}
    return [(low, min(low + size, total)) for low in range(0, total, size) if low // size not in begun]


def share(spans: Sequence[Span], part: int, parts: int) -> list[Span]:
    """Part `part` (0 … parts - 1) of `spans`: a run of neighbours, as long as the others' but for one."""
    return list(spans[len(spans) * part // parts : len(spans) * (part + 1) // parts])


def describe_state(seen: Sequence[Span], total: int, skipped: Iterable[tuple[int, str, str]]) -> dict[str, Any]:
    """How far an index is, as metadata. `skipped`: (position, id, reason)."""
    count, faults = sum(high - low for low, high in seen), sorted(skipped)
    skipped_images = {"skipped": [[name, why] for _, name, why in faults], "skipped_at": [at for at, _, _ in faults]}
    spans = [list(span) for span in seen]
    return {"next": count, "images": total, "complete": count >= total, "seen": spans} | skipped_images


def list_skipped(meta: dict[str, Any]) -> list[tuple[int, str, str]]:
    """(position, id, reason) of what an index could not read."""
    at = meta.get("skipped_at") or range(len(meta["skipped"]))
    return [(place, name, why) for place, (name, why) in zip(at, meta["skipped"], strict=True)]


def _merge_meta(metas: Sequence[dict[str, Any]], seen: list[Span], winners: list[int]) -> dict[str, Any]:
    first = metas[0]
    found = {key: first[key] for key in SAME if key in first}
    found |= describe_state(seen, first["images"], [fault for meta in metas for fault in list_skipped(meta)])
    found["widths"] = {layer: width for meta in metas for layer, width in meta["widths"].items()}
    if "labels" in first:
        labels = {image: label for meta in metas for image, label in meta["labels"].items()}
        found["labels"] = {str(i): labels[str(i)] for i in winners}
    alike = [key for key in first if key not in _JOINED and all(key in m and m[key] == first[key] for m in metas)]
    return found | {key: first[key] for key in alike}


def _merge_tops(tops: Sequence[LayerTop], groups: dict[int, int] | None = None) -> tuple[LayerTop, np.ndarray]:
    """The k best of each channel, of a group of images the best alone, and where in the tops laid side by side they
    come from, (C, k). `groups`: {image: its group}."""
    beside = {name: np.concatenate([getattr(top, name) for top in tops], axis=1) for name in LayerTop.__slots__}
    if groups is not None:
        again = _find_again(beside["images"], beside["values"], groups)
        beside["images"], beside["values"] = beside["images"].copy(), beside["values"].copy()
        beside["images"][again], beside["values"][again] = -1, -np.inf
        for name in ("rows", "cols", "boxes", "full_boxes"):
            beside[name] = np.where(again.reshape(*again.shape, *(1,) * (beside[name].ndim - 2)), 0, beside[name])
    order = np.lexsort((beside["images"], -beside["values"]), axis=1)[:, : tops[0].values.shape[1]]

    def ordered(array: np.ndarray) -> np.ndarray:
        return np.take_along_axis(array, order.reshape(*order.shape, *(1,) * (array.ndim - 2)), axis=1)

    return LayerTop(**{name: ordered(array) for name, array in beside.items()}), order


def _find_again(images: np.ndarray, values: np.ndarray, groups: dict[int, int]) -> np.ndarray:
    """(C, n) True for winners of whose group a stronger one, or an equal one of an earlier image, is there."""
    own = np.vectorize(lambda image: groups.get(int(image), -1), otypes=[np.int64])(images)
    order = np.lexsort((images, -values, own), axis=1)
    by_group = np.take_along_axis(own, order, axis=1)
    again = np.zeros_like(order, dtype=bool)
    again[:, 1:] = (by_group[:, 1:] == by_group[:, :-1]) & (by_group[:, 1:] >= 0)
    found = np.zeros_like(again)
    np.put_along_axis(found, order, again, axis=1)
    return found


def _sum_statistics(parts: Sequence[ChannelStatistics]) -> ChannelStatistics:
    added = {name: sum(getattr(p, name) for p in parts) for name in ChannelStatistics.__slots__ if name != "maximum"}
    return ChannelStatistics(maximum=np.maximum.reduce([p.maximum for p in parts]), **added)
