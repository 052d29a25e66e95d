"""Motion: Space plays what a view steps through and stops it, the arrow keys step, and a button does the same.

The frames are asked for once, when they are first wanted, and played in the browser; the server is told where it was
stopped, so that the address, and a class that follows, have the place that is shown. A view without frames is drawn
by one run a place, the next when the last is painted. Any click, any key and a hidden tab stop it. Where the reader
asks for reduced motion nothing plays: Space steps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from app.components.newest import keep_newest, number_data
from app.components.source import read_source
from app.session.cache import picture_cache

_player = st.components.v2.component(
    "cnnviz_motion", css=read_source("motion/player.css"), js=keep_newest(read_source("typing.js", "motion/player.js"))
)
_reel = st.components.v2.component("cnnviz_reel", js=keep_newest(read_source("motion/reel.js")))
_WANTED = "motion_wanted"  # in the session: (key, recipe) of the motion whose frames the browser plays

ReelFrame = dict[str, dict[str, Any]]  # {key of a component: what of its data is other in this frame}


@dataclass(frozen=True, slots=True)
class Reel:
    """The frames of a motion, one a place. `shared`: what is alike in all of them, for each component."""

    frames: Sequence[ReelFrame]
    shared: ReelFrame = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Motion:
    """What a view steps through. `name`: for the button, e.g. "the window"; `places`: what is said of each place;
    `at`: the number of the one that is shown, None where it is none of them; `pace`: milliseconds a place; `first`:
    where playing begins, None: where it is, or at the start where that is the end; `jump`: places that an arrow key
    goes on by; `closed`: the last place is the first one again; `stale`: keys of the page's elements that follow only
    when it stands."""

    name: str
    places: Sequence[str]
    at: int | None
    pace: int
    first: int | None = None
    jump: int = 1
    closed: bool = False
    stale: Sequence[str] = ()


def offer_motion(
    motion: Motion,
    key: str,
    choose: Callable[[int], None],
    recipe: tuple = (),
    make_reel: Callable[[], Reel | None] | None = None,
    at_once: bool = False,
) -> None:
    """Draw the button, and listen to Space and the arrow keys.

    `choose(place)` runs before the page is drawn again where it was stopped. `make_reel()`: the frames, or None while
    they are being computed; called once they are wanted, and kept under `recipe`, which names all that they depend
    on. Without it every place is drawn by a run. `at_once`: the frames are small, and go along with the page."""
    stamp = hashlib.sha256(repr((key, recipe, tuple(motion.places))).encode()).hexdigest()[:20]

    def read(kind: str) -> Any:
        said: Any = st.session_state.get(key, {}).get(kind)
        return said["value"] if said and said["recipe"] == stamp else None

    def stopped() -> None:
        place = read("at")
        if isinstance(place, int) and 0 <= place < len(motion.places):
            choose(place)

    def wanted() -> None:
        if read("want") is not None:
            st.session_state[_WANTED] = key, stamp

    is_wanted = make_reel is not None and (at_once or st.session_state.get(_WANTED) == (key, stamp))
    data = {
        "name": motion.name,
        "places": list(motion.places),
        "at": motion.at,
        "pace": motion.pace,
        "first": motion.first,
        "jump": motion.jump,
        "closed": motion.closed,
        "stale": list(motion.stale),
        "recipe": stamp,
        "framed": make_reel is not None,
        "wanted": is_wanted,
    }
    _player(key=key, data=number_data(key, data), width="content", on_at_change=stopped, on_want_change=wanted)
    if is_wanted and make_reel is not None:
        _send_reel(key, stamp, make_reel)


def _send_reel(key: str, stamp: str, make_reel: Callable[[], Reel | None]) -> None:
    """A message of its own, which does not change while the motion goes on: Streamlit sends it once."""
    name = ("reel", stamp)
    encoded = picture_cache().find(name)
    if encoded is None:
        reel = make_reel()
        if reel is None:
            return
        encoded = json.dumps({"shared": reel.shared, "frames": list(reel.frames)}).encode()
        picture_cache().put(name, encoded)
    data = {"of": key, "recipe": stamp, "reel": encoded.decode()}
    with st.container(key="cnnviz_reel"):
        _reel(key=f"{key}_reel", data=number_data(f"{key}_reel", data))
