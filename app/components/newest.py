"""Order of a component's messages: only the newest data are drawn, whatever arrives late.

Streamlit calls a component's script once for every change of its data. While the script still loads, the calls wait
for it, and the browser lets them go in any order: an older picture would be painted over the newer one and stay. So
data carry a number that grows, and a call with a lower one than was drawn does nothing. Two calls with the same data
may come in either order, too, and the one that was drawn first may be the one that stays: what they drew goes with the
last of them.

The script of app/components/motion shows other data for a while: `window.cnnvizShown[key](change)` draws what is shown
under `key` with these of its data in place of the server's; null draws the server's again."""

from __future__ import annotations

import time
from typing import Any

import streamlit as st

from app.components.source import read_source

_NEWEST_FIRST = read_source("newest.js")
_KEY = "components_newest"  # in the session: {key: (what was sent last, its number)}


def keep_newest(script: str) -> str:
    """A component's script that draws the newest data only.

    `script`: defines `draw(component)`, for data that `number_data` has numbered. What `draw` returned last is called
    when the component goes; it takes over what an earlier `draw` began."""
    return script + _NEWEST_FIRST


def number_data(key: str, data: dict[str, Any]) -> dict[str, Any]:
    """`data` with their "key" and a "number" that grows whenever they differ from those sent under `key` before.

    Data that stay the same stay the same message, which is sent once."""
    sent = st.session_state.setdefault(_KEY, {})
    digest, before = hash(repr(data)), sent.get(key)
    if before is None or before[0] != digest:
        last = before[1] if before else time.time_ns() // 1_000_000  # above those of a session that was lost
        sent[key] = digest, last + 1
    return {**data, "key": key, "number": sent[key][1]}
