"""Follow what another program writes: a part of the page is drawn anew while more is to come and the tab is seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from app.components.newest import keep_newest, number_data
from app.components.source import read_source
from app.url import address

_render = st.components.v2.component("cnnviz_follow", js=keep_newest(read_source("motion/follow.js")))


def follow(draw: Callable[[], float | None], key: str) -> None:
    """Call `draw`, which returns after how many seconds it wants to be called again, None: no more. Then the whole page
    is drawn once more, whose other parts tell that it has ended."""
    st.fragment(_look)(draw, key)


def _look(draw: Callable[[], float | None], key: str) -> None:
    looks: dict[str, Any] = st.session_state.setdefault(f"{key}_looks", {"count": 0, "going": False})
    every = draw()
    ended = looks["going"] and every is None
    looks["count"], looks["going"] = looks["count"] + 1, every is not None
    data = {"going": every is not None, "every": round(1000 * (every or 0)), "count": looks["count"]}
    _render(key=key, data=number_data(key, data), on_look_change=_heard)
    if ended:
        address.rerun()


def _heard() -> None:
    """The fragment is drawn anew by being heard."""
