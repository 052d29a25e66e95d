"""The layer strip: a network as a row of little blocks, of which one is chosen by click, arrow key or name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st

from app.components.newest import keep_newest, number_data
from app.components.source import read_source

_render = st.components.v2.component(
    "cnnviz_strip", css=read_source("pickers/strip.css"), js=keep_newest(read_source("pickers/strip.js"))
)


@dataclass(frozen=True, slots=True)
class StripLayer:
    """One block. `kind`: "conv", "block", "pool", "linear" or "norm", which tells its colour; `words`: shown when it is
    pointed at; `share`: of the input's side that its maps have, 0 to 1, which tells its height."""

    name: str
    kind: str
    words: str
    share: float


def layer_strip(
    label: str, layers: Sequence[StripLayer], chosen: str, key: str, on_pick: Callable[[str], None]
) -> None:
    """Draw `layers` in their order. `on_pick(name)` runs before the page is drawn again."""

    def picked() -> None:
        name: Any = st.session_state.get(key, {}).get("pick")
        if isinstance(name, str) and name in {layer.name for layer in layers}:
            on_pick(name)

    data = {"label": label, "layers": [asdict(layer) for layer in layers], "chosen": chosen}
    _render(key=key, data=number_data(key, data), on_pick_change=picked)
