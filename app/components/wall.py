"""A wall of tiles that the browser lays out: it fills the room there is, a tile grows under the pointer and tells its
values, and a click comes back as tile and unit."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.components.newest import keep_newest, number_data
from app.components.source import read_source
from cnnviz.figures.base.encode import data_url

if TYPE_CHECKING:
    from cnnviz.figures.base.atlas import Atlas

_render = st.components.v2.component(
    "cnnviz_wall",
    css=read_source("wall.css"),
    js=keep_newest(read_source("room.js", "pointer.js", "wall_layout.js", "wall_sheet.js", "wall.js")),
)


@dataclass(frozen=True, slots=True)
class TileText:
    """What is written of a tile. `item`: its number, e.g. of the channel; `caption`: below it; `name`: what it is
    called when it is pointed at; `note`: what else is told then, e.g. its exact maximum."""

    item: int
    caption: str
    name: str
    note: str = ""


def show_wall(
    atlas: Atlas,
    texts: Sequence[TileText],
    alt: str,
    key: str,
    chosen: int | None = None,
    unit: tuple[int, int] | None = None,
    on_pick: Callable[[int, int | None, int | None], None] | None = None,
    ends: tuple[str, str] | None = None,
    foot: str = "",
    side: float | None = None,
    group: str = "",
) -> None:
    """Lay the tiles of `atlas` out, `texts[i]` beside the i-th, to the width of the column and the height of the
    window.

    `alt`: what the wall shows. `chosen`: the item with a frame; `unit`: (row, col) with a mark in it.
    `on_pick(item, row, col)` runs before the page is drawn again; row and col are None where no unit was meant: a
    click on a caption, or Enter. `ends`: words at the two ends of the bar of colours; `foot`: a sentence beside it.
    `side`: pixels of the screen that a cell's longer side measures; None: whatever fills the room. `group`: walls of
    one group mark what one of them is pointed at, the item and the unit at the same place."""

    def picked() -> None:
        found: Any = st.session_state.get(key, {}).get("pick")
        if found and on_pick is not None:
            item, row, col = (None if value is None else int(value) for value in found)
            if item is not None:
                on_pick(item, row, col)

    palette = atlas.palette
    data = {
        **wall_data(atlas),
        "columns": atlas.columns,
        "tile": atlas.tile,
        "cells": atlas.cells,
        "units": atlas.units,
        "block": atlas.block,
        "code": atlas.code,
        "tops": atlas.tops,
        "clipped": atlas.clipped,
        "palette": None if palette is None else base64.b64encode(palette.tobytes()).decode(),
        "items": [text.item for text in texts],
        "captions": [text.caption for text in texts],
        "names": [text.name for text in texts],
        "notes": [text.note for text in texts],
        "alt": alt,
        "chosen": chosen,
        "unit": unit,
        "live": on_pick is not None,
        "ends": ends,
        "foot": foot,
        "side": side,
        "group": group,
    }
    _render(key=key, data=number_data(key, data), on_pick_change=picked)


def wall_data(atlas: Atlas) -> dict[str, Any]:
    """What is other in a wall of as many tiles of the same size and scale: a frame of a motion."""
    return {"src": data_url(atlas.png), "stamp": hashlib.blake2b(atlas.png, digest_size=8).hexdigest()}
