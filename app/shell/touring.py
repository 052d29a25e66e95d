"""A tour that runs: its bar on every page, the way from stop to stop, and the work done ahead of them.

Tour and stop are choices of the URL like any other (`tour=lecture&stop=3`); the files are read by cnnviz.tours."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Any

import streamlit as st

from app import access
from app.markdown import as_literal
from app.shell import prewarm, sheet
from app.url import address
from cnnviz.errors import CnnvizError
from cnnviz.tours import RESERVED, Tour, load_tour, tour_files
from cnnviz.wording import plural

_PAGES = "pages"  # in the session: the addresses that stops may name


def begin(addresses: list[str]) -> None:
    """Call before the page is drawn, after the URL was read. A link to a tour that names no stop goes to its first;
    one to Home with which a session begins, and which names a stop and no choices, to that stop."""
    opened = _PAGES not in st.session_state
    st.session_state[_PAGES] = addresses
    if not is_running():
        return
    try:
        tour = _tour()
    except CnnvizError:
        return  # the bar says it
    if not address.read("stop"):
        _go(tour, 1)
    elif opened and not address.page() and set(address.link()) <= RESERVED:
        _go(tour, _number(address.read("stop"), tour))


def is_running() -> bool:
    """Whether this view belongs to a tour."""
    return bool(address.read("tour"))


def move(by: int, press: int = 0) -> None:
    """In a callback: some stops on, not beyond the ends; 0: to the present stop as it was prepared. `press`: see
    address.go."""
    try:
        tour = _tour()
    except CnnvizError:
        return
    there = address.peek()  # of a key pressed a moment before
    _go(tour, _number(there[1].get("stop", "1") if there else address.read("stop"), tour) + by, press)


def start(name: str) -> None:
    """In a callback: the first stop of a tour. A file that is no tour is said by the bar."""
    try:
        _go(load_tour(name, st.session_state.get(_PAGES)), 1)
    except CnnvizError:
        address.go(address.page() or "", {"tour": name, "stop": "1"})


def leave() -> None:
    """In a callback: the same view without the tour."""
    address.go(address.page() or "", address.link(("tour", "stop")))


def draw_bar(led: bool = False) -> None:
    """Draw where the tour that runs is, at the foot of the page. `led`: by a lecturer, with nothing to press."""
    with st.container(key="tour_bar", horizontal=True, vertical_alignment="center", gap="small"):
        try:
            tour = _tour()
        except CnnvizError as error:
            st.markdown(as_literal(f"This tour cannot run. {error}"), width="stretch")
            st.button("Leave the tour", on_click=leave, key="leave_tour")
            sheet.draw_button()
            return
        _show(tour, led)
        sheet.draw_button()
    if not led and access.may_start():
        prewarm.start(tour)


def _show(tour: Tour, led: bool) -> None:
    number = _number(address.read("stop"), tour)
    stop = tour.stops[number - 1]
    if not led:
        first, icon = number == 1, ":material/arrow_back:"
        st.button("Previous", on_click=move, args=(-1,), key="tour_back", icon=icon, disabled=first)
    count = f":gray[{number} / {len(tour.stops)}]"
    st.markdown(f"{count} **{as_literal(stop.title)}** {as_literal(stop.notes)}", width="stretch")
    if led:
        return
    if stop.page != address.page():
        st.button("Back to the stop", on_click=move, args=(0,), key="tour_here")
    last, icon = number == len(tour.stops), ":material/arrow_forward:"
    st.button("Next", on_click=move, args=(1,), key="tour_on", icon=icon, type="primary", disabled=last)
    explained, out = "Leave the tour and stay on this view.", ":material/close:"  # on a phone the icon alone
    st.button("Leave", on_click=leave, key="leave_tour", icon=out, help=explained)


def draw_menu() -> None:
    """Draw the list of tours in the sidebar, where none runs."""
    names = _list_tours(os.environ.get("CNNVIZ_TOURS", ""))
    if not names:
        return
    with st.popover("Tours", icon=":material/route:", width="stretch"):
        st.caption("Prepared stops, one key or click apart. Your own: put them in a folder named by CNNVIZ_TOURS.")
        for name in names:
            st.button(as_literal(name), on_click=start, args=(name,), key=f"tour_{name}", width="stretch")


def offer(place: Any) -> None:
    """Offer the tours in `place`, each with its title, its number of stops and the time it takes; none where one
    runs. A file that is no tour is left to the list in the sidebar, which says what is wrong with it."""
    if is_running():
        return
    found = []
    for name in _list_tours(os.environ.get("CNNVIZ_TOURS", "")):
        with contextlib.suppress(CnnvizError):
            found.append(load_tour(name))
    for tour in sorted(found, key=lambda tour: tour.title):
        name = tour.name
        time = f", about {plural(tour.minutes, 'minute')}" if tour.minutes else ""
        length = f"{plural(len(tour.stops), 'stop')}{time}"
        words = f"**Tour: {as_literal(tour.title)}**  \n{length}; next and back by key or click."
        with place, st.container(key=f"offer_{name}", horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(words, width="stretch")
            st.button("Start", on_click=start, args=(name,), key=f"begin_{name}", icon=":material/play_arrow:")


@st.cache_data(ttl=10, show_spinner=False)
def _list_tours(folders: str) -> list[str]:
    """Names of the tours here; a file that is added while the app runs is listed within seconds."""
    return list(tour_files())


def _tour() -> Tour:
    return load_tour(address.read("tour"), st.session_state.get(_PAGES))


def _number(text: str, tour: Tour) -> int:
    """The stop that the URL names, from 1; a number that is none gives way to the nearest."""
    number = int(text) if re.fullmatch("[0-9]{1,4}", text) else 1
    return min(max(number, 1), len(tour.stops))


def _go(tour: Tour, number: int, press: int = 0) -> None:
    number = min(max(number, 1), len(tour.stops))
    stop = tour.stops[number - 1]
    address.go(stop.page, {**stop.query, "tour": tour.name, "stop": str(number)}, press)
