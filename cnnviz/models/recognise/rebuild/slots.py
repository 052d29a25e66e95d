"""Layers without tensors that the numbers in `nn.Sequential` give away: `0.weight`, `3.weight` leave room for two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnnviz.models.recognise.rebuild.layers import CONV, LINEAR, PRELU, FileLayer


@dataclass(frozen=True, slots=True)
class Slots:
    """`pools`: for each convolution, True if there is room for a pooling behind it, False if there is none, None if
    the names do not say. `active`: {layer's path: whether an activation follows it at once}."""

    pools: tuple[bool | None, ...]
    active: dict[str, bool]

    @property
    def has_pools(self) -> bool:
        """True if the names leave room for a pooling somewhere."""
        return any(self.pools)


def find_slots(layers: Sequence[FileLayer]) -> Slots:
    """What the numbers tell of layers in the order of a chain. A `ModuleList`, numbered without gaps, tells nothing."""
    telling = _find_telling(layers)
    pools: list[bool | None] = []
    active: dict[str, bool] = {}
    starts = [i for i, layer in enumerate(layers) if layer.is_weighted]
    for start, end in zip(starts, [*starts[1:], len(layers)], strict=True):
        group = list(layers[start:end])
        following = layers[end] if end < len(layers) else None
        gaps = [_gap(a, b, telling) for a, b in zip(group, [*group[1:], following], strict=True)]
        if group[0].kind == CONV and following is not None and following.kind == LINEAR and gaps[-1]:
            gaps[-1] -= 1  # the flatten
        room = _place_activation(group, gaps, active)
        if group[0].kind == CONV:
            pools.append(None if room is None else room > 0)
    return Slots(tuple(pools), active)


def _place_activation(group: list[FileLayer], gaps: list[int | None], active: dict[str, bool]) -> int | None:
    """Note behind which layer of a group the activation stands; the room that is left behind the group, None: unknown.

    A group is a convolution or a linear layer, its norms and slopes."""
    if any(layer.kind == PRELU for layer in group):
        return gaps[-1]
    for layer, gap in zip(group[:-1], gaps[:-1], strict=True):
        if gap:  # between a convolution and its norm
            active[layer.path] = True
            return gaps[-1]
    last, gap = group[-1], gaps[-1]
    active[last.path] = gap is None or gap > 0
    return None if gap is None else max(0, gap - 1)


def _gap(one: FileLayer, other: FileLayer | None, telling: set[str]) -> int | None:
    """Number of layers without tensors between two; None if the names do not say."""
    if other is None or one.container != other.container or one.container not in telling:
        return None
    if one.place is None or other.place is None or other.place <= one.place:
        return None
    return other.place - one.place - 1


def _find_telling(layers: Sequence[FileLayer]) -> set[str]:
    """Containers whose numbers leave gaps."""
    places: dict[str, list[int]] = {}
    for layer in layers:
        if layer.place is not None:
            places.setdefault(layer.container, []).append(layer.place)
    return {key for key, found in places.items() if len(found) > 1 and max(found) - min(found) >= len(found)}
