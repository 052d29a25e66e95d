"""A tour that runs: its bar on every page, the way from stop to stop, and the work done ahead of them.

Tour and stop are choices of the URL like any other (`tour=lecture&stop=3`); the files are read by cnnviz.tours."""

from __future__ import annotations

import re

import streamlit as st

from app import access
from app.markdown import literal
from app.shell import prewarm
from app.url import address, navigation
from cnnviz.errors import CnnvizError
from cnnviz.tours import Tour, load_tour, tour_files

_PAGES = "pages"  # in the session: the addresses that stops may name


def begin(addresses: list[str]) -> None:
    """Call before the page is drawn, after the URL was read. A link with a tour and no stop goes to the first."""
    st.session_state[_PAGES] = addresses
    if running() and not address.current("stop"):
        try:
            _go(_tour(), 1)
        except CnnvizError:
            return  # the bar says it


def running() -> bool:
    """Whether this view belongs to a tour."""
    return bool(address.current("tour"))


def move(by: int, press: int = 0) -> None:
    """In a callback: some stops on, not beyond the ends; 0: to the present stop as it was prepared. `press`: see
    going.go."""
    try:
        tour = _tour()
    except CnnvizError:
        return
    there = navigation.wanted()  # of a key pressed a moment before
    _go(tour, _number(there[1].get("stop", "1") if there else address.current("stop"), tour) + by, press)


def start(name: str) -> None:
    """In a callback: the first stop of a tour. A file that is no tour is said by the bar."""
    try:
        _go(load_tour(name, st.session_state.get(_PAGES)), 1)
    except CnnvizError:
        navigation.go(address.page() or "", {"tour": name, "stop": "1"})


def leave() -> None:
    """In a callback: the same view without the tour."""
    navigation.go(address.page() or "", address.link(("tour", "stop")))


def bar(led: bool = False) -> None:
    """Where the tour is, at the foot of the page. `led`: by a lecturer, so that there is nothing to press."""
    if not running():
        return
    with st.container(key="tour_bar", horizontal=True, vertical_alignment="center", gap="small"):
        try:
            tour = _tour()
        except CnnvizError as error:
            st.markdown(literal(f"This tour cannot run. {error}"), width="stretch")
            st.button("Leave the tour", on_click=leave, key="leave_tour")
            return
        _show(tour, led)
    if not led and access.may_start():
        prewarm.start(tour)


def _show(tour: Tour, led: bool) -> None:
    number = _number(address.current("stop"), tour)
    stop = tour.stops[number - 1]
    if not led:
        st.button("Previous", on_click=move, args=(-1,), key="tour_back", icon=":material/arrow_back:",
                  disabled=number == 1)  # fmt: skip
    count = f":gray[{number} / {len(tour.stops)}]"
    st.markdown(f"{count} **{literal(stop.title)}** {literal(stop.notes)}", width="stretch")
    if led:
        return
    if stop.page != address.page():
        st.button("Back to the stop", on_click=move, args=(0,), key="tour_here")
    st.button("Next", on_click=move, args=(1,), key="tour_on", icon=":material/arrow_forward:", type="primary",
              disabled=number == len(tour.stops))  # fmt: skip
    st.button("Leave", on_click=leave, key="leave_tour", help="Leave the tour and stay on this view.")


def menu() -> None:
    """The tours there are, in the sidebar."""
    names = list(tour_files())
    if running() or not names:
        return
    with st.popover("Tours", icon=":material/route:", width="stretch"):
        st.caption("Prepared stops, one key or click apart. Own ones: a folder that CNNVIZ_TOURS names.")
        for name in names:
            st.button(name, on_click=start, args=(name,), key=f"tour_{name}", width="stretch")


def _tour() -> Tour:
    return load_tour(address.current("tour"), st.session_state.get(_PAGES))


def _number(text: str, tour: Tour) -> int:
    """The stop that the URL names, from 1; a number that is none gives way to the nearest."""
    number = int(text) if re.fullmatch("[0-9]{1,4}", text) else 1
    return min(max(number, 1), len(tour.stops))


def _go(tour: Tour, number: int, press: int = 0) -> None:
    number = min(max(number, 1), len(tour.stops))
    stop = tour.stops[number - 1]
    navigation.go(stop.page, {**stop.query, "tour": tour.name, "stop": str(number)}, press)
