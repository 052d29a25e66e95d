"""Layout of a small directed graph: layers along the flow, lanes across it.

After Sugiyama, Tagawa and Toda 1981: longest-path layers, order by barycentres, then positions; edges that
only shorten another way (the skips of a residual block, the wires of a dense one) are left out of the lanes
and drawn around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SWEEPS = 6


@dataclass(frozen=True, slots=True)
class Layout:
    """`layers`: of each node, from 0. `lanes`: its place across the flow, lane widths from the middle.
    `routes`: (from, to, lanes at the layers between) of the edges in the lanes. `skips`: (from, to, level)
    of the edges around them, level 1 nearest. `span`: smallest and largest lane in use."""

    layers: list[int]
    lanes: list[float]
    routes: list[tuple[int, int, tuple[float, ...]]]
    skips: list[tuple[int, int, int]]
    span: tuple[float, float]


def arrange(parents: Sequence[Sequence[int]]) -> Layout:
    """Lay out a graph; `parents[v]`: the nodes that v reads, each before v."""
    kept, skips = _split_skips(parents)
    layers: list[int] = []
    for reads in kept:
        layers.append(1 + max((layers[p] for p in reads), default=-1))
    _sink_joins(kept, layers)
    rows, above, points_of = _add_bends(kept, layers)
    _sort_layers(rows, above)
    place = _assign_lanes(rows, above)
    middle = place[0] if place else 0.0
    lanes = [place[v] - middle for v in range(len(kept))]
    routes = [(p, v, tuple(place[b] - middle for b in points_of[p, v])) for v, reads in enumerate(kept) for p in reads]
    used = [x - middle for x in place] or [0.0]
    return Layout(layers, lanes, routes, _assign_levels(skips, layers), (min(used), max(used)))


def _sink_joins(kept: list[list[int]], layers: list[int]) -> None:
    """Move what joins several branches next to its reader: a join is as wide as its branches, and would lie
    over the neighbours that go on."""
    below = _find_children(kept)
    for v in reversed(range(len(kept))):
        if len(kept[v]) > 1 and below[v]:
            layers[v] = min(layers[w] for w in below[v]) - 1


def _split_skips(parents: Sequence[Sequence[int]]) -> tuple[list[list[int]], list[tuple[int, int]]]:
    """The edges without those that another way replaces, and these."""
    before: list[int] = []  # of each node: the set of its ancestors, as bits
    kept, skips = [], []
    for v, reads in enumerate(parents):
        unique = sorted(set(reads))
        spare = [p for p in unique if any(before[q] >> p & 1 for q in unique if q != p)]
        kept.append([p for p in unique if p not in spare])
        skips += [(p, v) for p in spare]
        mask = 0
        for p in unique:
            mask |= before[p] | 1 << p
        before.append(mask)
    return kept, skips


def _add_bends(
    kept: list[list[int]], layers: list[int]
) -> tuple[list[list[int]], list[list[int]], dict[tuple[int, int], list[int]]]:
    """Nodes by layer, with a bend wherever an edge passes a layer; the parents of all of them."""
    above: list[list[int]] = [[] for _ in kept]
    layer_of = list(layers)
    bends: dict[tuple[int, int], list[int]] = {}
    for v, reads in enumerate(kept):
        for p in reads:
            last, bends[p, v] = p, []
            for layer in range(layers[p] + 1, layers[v]):
                above.append([last])
                layer_of.append(layer)
                last = len(above) - 1
                bends[p, v].append(last)
            above[v].append(last)
    rows: list[list[int]] = [[] for _ in range(max(layers, default=-1) + 1)]
    for node in _sort_depth_first(above):
        rows[layer_of[node]].append(node)
    return rows, above, bends


def _find_children(above: list[list[int]]) -> list[list[int]]:
    below: list[list[int]] = [[] for _ in above]
    for node, reads in enumerate(above):
        for p in reads:
            below[p].append(node)
    return below


def _sort_depth_first(above: list[list[int]]) -> list[int]:
    """All nodes, a branch before the next one."""
    below, seen, order = _find_children(above), set(), []
    stack = [node for node in range(len(above) - 1, -1, -1) if not above[node]]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            order.append(node)
            stack += sorted(below[node], reverse=True)
    return order


def _sort_layers(rows: list[list[int]], above: list[list[int]]) -> None:
    """Sort each layer by the mean place of its neighbours, down and up."""
    below = _find_children(above)
    place = {node: i - (len(row) - 1) / 2 for row in rows for i, node in enumerate(row)}
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        near = above if down else below
        for row in rows if down else reversed(rows):
            wanted = {n: _mean([place[m] for m in near[n]], place[n]) for n in row}
            row.sort(key=wanted.__getitem__)
            place.update({node: i - (len(row) - 1) / 2 for i, node in enumerate(row)})


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _assign_lanes(rows: list[list[int]], above: list[list[int]]) -> list[float]:
    """A lane for every node: near its neighbours, at least 1 from the next of its layer."""
    place = [0.0] * len(above)
    below = _find_children(above)
    for row in rows:
        for i, node in enumerate(row):
            place[node] = i - (len(row) - 1) / 2
    for sweep in range(2 * SWEEPS):
        near = below if sweep % 2 == 0 else above
        for row in reversed(rows) if sweep % 2 == 0 else rows:
            wanted = [_mean([place[m] for m in near[n]], place[n]) for n in row]
            for node, lane in zip(row, spread(wanted), strict=True):
                place[node] = lane
    return place


def spread(wanted: list[float]) -> list[float]:
    """The places nearest to `wanted` (least squares) that keep the order and a distance of 1."""
    groups: list[list[float]] = []  # [sum, count] of places less their rank: pool adjacent violators
    for rank, want in enumerate(wanted):
        groups.append([want - rank, 1])
        while len(groups) > 1 and groups[-2][0] / groups[-2][1] > groups[-1][0] / groups[-1][1]:
            total, count = groups.pop()
            groups[-1][0] += total
            groups[-1][1] += count
    flat = [total / count for total, count in groups for _ in range(int(count))]
    return [base + rank for rank, base in enumerate(flat)]


def _assign_levels(skips: list[tuple[int, int]], layers: list[int]) -> list[tuple[int, int, int]]:
    """A level for every skip, so that those over the same layers lie above each other, short ones inside."""
    placed: list[tuple[int, int, int]] = []
    for p, v in sorted(skips, key=lambda edge: layers[edge[1]] - layers[edge[0]]):
        over = [lv for q, w, lv in placed if layers[q] < layers[v] and layers[p] < layers[w]]
        placed.append((p, v, max(over, default=0) + 1))
    return placed
