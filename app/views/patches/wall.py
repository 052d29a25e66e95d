"""The parts of the page of the top-9 patches: what the wall shows, and in which order."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.components.picture import Frame, Label, picture
from app.markdown import as_literal
from app.pickers import controls
from app.pickers.controls import Network
from app.session import shared
from app.url import address
from app.views.patches import deferred, indexing
from cnnviz.figures.base.charts import value_text
from cnnviz.figures.patches.wall import Block, list_captions, patch_wall, three_by_three

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus
    from cnnviz.index.result import PatchIndex
    from cnnviz.studies.channels.selectivity import Selectivity

ALL, ALIVE, DEAD, ENTERED = "All", "Alive", "Dead", "Photo enters"
MOSTLY = "Mostly "
CLASSES = 40  # of the winners that are offered in the filter at most


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the wall shows. `channels`: all that pass, in order; `selective`: of the layer, if there are labels;
    `places`: of the photograph; `own`: whether that is one of the images searched; `found`: {channel: winners of
    the class looked for}."""

    channels: list[int]
    selective: Selectivity | None
    places: np.ndarray
    own: bool
    found: dict[int, int]


def choose(network: Network, images: Corpus, index: PatchIndex, layer: str, image: str, row: Any) -> Chosen:
    """The controls in the row above the wall, and the channels that pass them."""
    from cnnviz.studies.channels.sorting import ORDERS, order_channels

    selective = deferred.selective(network, images, index, layer)
    places, own = deferred.places(network, images, index, layer, image)
    orders = [o for o in ORDERS if selective is not None or o != "Most selective"]
    with row:
        order = controls.bind(st.selectbox, "Order", "wall_order", ORDERS[0], options=orders, width=150)
        show = controls.bind(st.selectbox, "Show", "show", ALL, options=_filters(selective), width=140)
        find = controls.bind(
            st.text_input, "Find", "find", "", placeholder="17, or dog", width=112, on_change=_jump,
            args=(index.channels(layer),),
        )  # fmt: skip
    found = _of_class(network, selective, index, layer, find)
    passing = _passing(index, layer, show, selective, places)
    channels = [c for c in order_channels(index, layer, order, selective) if c in passing and (not find or c in found)]
    if show == ENTERED:
        channels.sort(key=lambda c: places[c])
    return Chosen(channels, selective, places, own, found)


def _filters(selective: Selectivity | None) -> list[str]:
    common: dict[str, int] = {}
    for label in selective.commonest if selective else []:
        common[label] = common.get(label, 0) + 1
    most = sorted(sorted(label for label in common if label), key=lambda label: -common[label])[:CLASSES]
    return [ALL, ALIVE, DEAD, ENTERED, *(MOSTLY + label for label in sorted(most))]


def _passing(index: PatchIndex, layer: str, show: str, selective: Selectivity | None, places: np.ndarray) -> set[int]:
    silent = index.dead(layer)
    if show == ENTERED:
        return {int(c) for c in np.flatnonzero(places)}
    if show in (ALIVE, DEAD):
        return {int(c) for c in np.flatnonzero(silent if show == DEAD else ~silent)}
    if show.startswith(MOSTLY) and selective is not None:
        return {c for c, label in enumerate(selective.commonest) if MOSTLY + label == show}
    return set(range(len(silent)))


def _jump(channels: int) -> None:
    """A number that is typed into the search chooses that channel; anything else stays as a filter."""
    from cnnviz.studies.channels.sorting import parse_channel

    st.session_state.pop("wall", None)
    number = parse_channel(st.session_state.get("find") or "", channels)
    if number is not None:
        address.choose("unit", number)
        st.session_state["find"] = ""


def _of_class(
    network: Network, selective: Selectivity | None, index: PatchIndex, layer: str, find: str
) -> dict[int, int]:
    """{channel: winners} of the class looked for; the class's own channel in a layer of classes."""
    from cnnviz.studies.channels.sorting import find_class, parse_channel

    if not find:
        return {}
    number = parse_channel(find, index.channels(layer))
    if number is not None:  # of a link; typed numbers have jumped already
        return {number: 0}
    found = find_class(selective, find) if selective is not None else {}
    names, last = network.model.class_names, list(index.layers)[-3:]
    if len(names) == index.channels(layer) and layer in last:
        found |= {c: found.get(c, 0) for c, name in enumerate(names) if find.strip().lower() in name.lower()}
    return found


def nothing(chosen: Chosen, layer: str) -> None:
    """Say why the wall is empty."""
    if address.read("find") and not chosen.found:
        labelled = " These images have no classes." if chosen.selective is None else ""
        st.info(f"No channel of {layer} has a winner of a class like “{as_literal(address.read('find'))}”.{labelled}")
    elif address.read("show") == DEAD:
        st.info(f"No channel of {layer} is dead over these images.")
    else:
        st.info(f"No channel of {layer} passes both “Show” and “Find”.")


def leaf(row: Any, chosen: Chosen, unit: int, per_page: int) -> tuple[list[int], list[int]]:
    """The channels of one page of the wall, by default the page with the chosen unit, and those of the page after."""
    pages = math.ceil(len(chosen.channels) / per_page)
    first = chosen.channels.index(unit) // per_page + 1 if unit in chosen.channels else 1
    with row:
        page = controls.bind(
            st.number_input, f"Page (of {pages})", "wall", first, min_value=1, max_value=pages, step=1, width=130
        )
    start = (int(page) - 1) * per_page
    return chosen.channels[start : start + per_page], chosen.channels[start + per_page : start + 2 * per_page]


def blocks(
    later: deferred.Later, where: deferred.Where, shown: list[int], following: list[int], chosen: Chosen,
    rule: str, side: int, unit: int,
) -> list[Block]:  # fmt: skip
    """The blocks of a page of the wall, whose reconstructions come later, those of the chosen `unit` first; what the
    page after needs is made ahead."""
    for channel in following:
        later.ahead(*_tile(where, channel, side))
    order = sorted(shown, key=lambda channel: channel != unit)
    low = {channel: later.get(*_low_tile(where, channel, rule, side), lead=True) for channel in order}
    return [
        Block(
            channel, shared.drawn(*_tile(where, channel, side)), low[channel], caption(*where[2:], channel, chosen)
        )
        for channel in shown
    ]  # fmt: skip


def _tile(where: deferred.Where, channel: int, side: int) -> tuple[tuple, Callable[[], np.ndarray]]:
    """The patches of a channel as one picture: how it is remembered, and how it is made."""
    name = indexing.recipe(*where, channel, f"patches at {side}")
    return name, lambda: three_by_three(indexing.patches(*where, channel), side)


def _low_tile(where: deferred.Where, channel: int, rule: str, side: int) -> tuple[tuple, Callable[[], np.ndarray]]:
    """The same of the reconstructions."""
    name = indexing.recipe(*where, channel, f"{rule} at {side}")
    return name, lambda: three_by_three(indexing.reconstructions(*where, channel, rule), side)


def show(where: deferred.Where, made: list[Block], unit: int, columns: int, rule: str, side: int, fill: bool) -> None:
    """The wall with a frame round the chosen unit; a click on a block chooses its channel."""
    known = tuple((b.channel, b.reconstructions is not None) for b in made)
    wall = shared.drawn(
        indexing.recipe(*where, -1, f"wall {rule} {side} {columns} {known}"),
        lambda: patch_wall(made, columns, side, False),
    )

    def choose(x: float, y: float) -> None:
        column, line = int(x // wall.pitch[1]), int(y // wall.pitch[0])
        if 0 <= line * columns + column < len(wall.items):
            st.session_state["unit"] = wall.items[line * columns + column]

    left, top, width, height = wall.box(unit) or (0, 0, 0, 0)
    frames = [Frame(left - 2, top - 2, width + 4, height + 4)] if width else []
    labels = [Label(*caption) for caption in list_captions(wall, made)]
    ready = sum(b.reconstructions is not None for b in made)
    words = f"Top-9 wall of {where[3]}, reconstructions of {ready} of {len(made)} channels"
    picture(wall.png, wall.size, words, "wall_picture", frames, choose, fill=fill, labels=labels)


def caption(index: PatchIndex, layer: str, channel: int, chosen: Chosen) -> str:
    """What stands under a block, in parts, of which those are shown that have room."""
    best = index.top(layer, channel)
    words = [f"channel {channel}"]
    if (place := int(chosen.places[channel])) and address.read("show") == ENTERED:
        words.append(f"photo: place {place}")
    if chosen.found.get(channel):
        words.append(f"{chosen.found[channel]} of {len(best)}")
    elif chosen.selective is not None and (label := chosen.selective.commonest[channel]):
        words.append(f"{label} {chosen.selective.classes[channel][label]} of {len(best)}")
    return " · ".join([*words, *([f"up to {value_text(best[0].value)}"] if best else [])])


def ranking(index: PatchIndex, layer: str, image: str, chosen: Chosen, most: int = 8) -> None:
    """In which channels the photograph would be among the winners, and where, as links."""
    entered = [int(c) for c in np.argsort(chosen.places, kind="stable") if chosen.places[c]]
    k, first = index.meta.get("k", 9), int((chosen.places == 1).sum())
    who = f"**{image}** joins the ranking: it"
    also = " (It is one of the images searched.)" if chosen.own else ""
    if not entered:
        st.write(f"{who} is among the {k} strongest of none of the {len(chosen.places)} channels of this layer.")
        return
    st.write(
        f"{who} is among the {k} strongest of {len(entered)} of {len(chosen.places)} channels"
        f"{f', the first in {first}' if first else ''}.{also} “Show: {ENTERED}” gives their wall."
    )
    with st.container(horizontal=True, gap="small"):
        for channel in entered[:most]:
            deferred.unit_link(layer, channel, note=f": place {chosen.places[channel]}", small=True)
