"""What the page looks at. From the moment that it changes until the page is drawn, all that is still there of the scene
before is pale: no old answer stands beside a new image as if it were its own."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.url import address

SUBJECT = (
    "net",
    "weights",
    "untrained",
    "image",
    "class",
    "view",
    "runs",
    "run",
)  # another one makes an answer on the page untrue
PLACE = ("layer", "unit")  # a step that is drawn in a moment shall not flicker: it is pale a little later
_DRAWN = "scene_drawn"  # in the session: (subject, place) of what the page shows
_MARK = "scene_mark"  # in the session: (where the mark of the present run stands, its scene)


def describe(page: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(subject, place) of a page with the choices as they are now."""
    return ((page or "", *map(address.read, SUBJECT)), tuple(map(address.read, PLACE)))


def begin(page: str | None) -> None:
    """Call before anything of the page is drawn: what is not drawn anew is pale if the scene is another one."""
    scene, mark = describe(page), st.container(key="cnnviz_scene").empty()
    drawn = st.session_state.get(_DRAWN)
    st.session_state[_MARK] = mark, scene
    if drawn not in (None, scene):
        what = "place" if drawn[0] == scene[0] else "subject"
        mark.html(f'<i data-cnnviz-changed="{what}"></i>')  # assets/theme/style.css says how what is old looks then


def finish() -> None:
    """Call once all of the page is drawn. What comes later, in runs for the same scene, is added to what is true."""
    mark: Any
    mark, scene = st.session_state.get(_MARK, (None, None))
    if mark is not None and st.session_state.get(_DRAWN) != scene:
        st.session_state[_DRAWN] = scene
        mark.empty()
