"""The frame around every page: navigation, style, and errors that never show a stack trace."""

import json
import logging
import os
import time
from typing import Any

import streamlit as st

from app import access
from app.classroom import panel
from app.components.keys import mark_drawn
from app.jobs import clicks, watch
from app.pickers import bar
from app.session import callbacks, shared, tabs
from app.shell import presenting, saving, sheet, touring
from app.shell.pages import list_pages
from app.url import address, scene
from cnnviz.errors import CnnvizError, DeviceLost

log = logging.getLogger("cnnviz")
callbacks.carry_out_whole()


def build_pages() -> dict[str, st.Page]:
    """{file: page}, built on every run as st.navigation wants it."""
    return {
        entry.file: st.Page(
            f"../pages/{entry.file}",
            title=entry.title,
            url_path=entry.address,
            icon=entry.icon,
            default=not entry.address,
        )
        for entry in list_pages()
    }


def run() -> None:
    """Draw the chosen page. What goes wrong is said in words; details go to the log.

    With $CNNVIZ_TIMINGS, a file, every run appends {"ms"} to it: the time of the whole script."""
    started = time.perf_counter()
    try:
        with clicks.drawing():
            _run()
    finally:
        if log_file := os.environ.get("CNNVIZ_TIMINGS"):
            with open(log_file, "a", encoding="utf-8") as file:
                file.write(json.dumps({"ms": (time.perf_counter() - started) * 1000}) + "\n")
    watch.linger()


def _run() -> None:
    shared.warm_up()
    tabs.arrive()
    offered = list(build_pages().values())
    chosen = st.navigation(offered, position="hidden")
    by_address = {page.url_path: page for page in offered}
    in_class = access.is_class()
    if in_class:
        if not panel.join():
            return
        panel.follow()
    address.perform(by_address, chosen.url_path)
    address.begin(chosen.url_path)
    touring.begin(list(by_address))
    address.perform(by_address, chosen.url_path)
    if in_class:
        panel.announce(chosen.url_path)
    failed = _frame(chosen, offered, in_class)
    if failed is not None:
        _say(failed)


def _frame(chosen: st.Page, offered: list[st.Page], in_class: bool) -> Exception | None:
    """What surrounds every page, and the page; returns what went wrong in it."""
    scene.begin(chosen.url_path)
    watch.begin((chosen.url_path, address.read("view")))
    presented, touring_now = presenting.is_on(), touring.is_running()
    st.html(f"<style>{presenting.read_style(presented)}</style>")
    presenting.listen([page.url_path for page in offered], presented, touring_now)
    if touring_now:
        touring.draw_bar(led=in_class and panel.is_led())
    else:
        sheet.draw_button()
    if in_class:
        panel.draw()
    links, choices = st.sidebar.container(key="cnnviz_pages").empty(), address.link()
    _draw_links(links, offered)
    with bar.draw():
        saving.say()
        failed = _draw(chosen)
    watch.finish()
    scene.finish()
    with st.sidebar:
        if not touring_now:
            touring.draw_menu()
        presenting.draw_switch()
    address.finish(drawn=True)
    mark_drawn()
    if in_class:
        panel.publish()
    if address.link() != choices:  # the links take along what was chosen on this page
        _draw_links(links, offered)
    return failed


def _draw_links(place: Any, offered: list[st.Page]) -> None:
    """The links to the other pages, which take the present choices along."""
    choices, group = address.link(), ""
    with place.container(gap=None):
        for page, entry in zip(offered, list_pages(), strict=True):
            if entry.group != group:
                group = entry.group
                st.caption(group)
            st.page_link(page, query_params=choices, width="stretch")
        st.divider()


def _draw(page: st.Page) -> Exception | None:
    """Run the page; returns what went wrong beyond cnnviz's own errors, which are said at once."""
    try:
        page.run()
    except DeviceLost as error:
        return _alone(error)  # there may be another device
    except CnnvizError as error:
        shared.problem(error)
    except shared.PageEnded:
        pass
    except Exception as error:  # the outermost edge: whatever it is, a class must not see a stack trace
        log.exception("page %s failed", page.title)
        return _alone(error)
    return None


def _alone(error: Exception) -> Exception:
    """The error without its traceback, whose frames hold what fills the memory."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _say(error: Exception) -> None:
    """Outside the except block, which would hold the traceback."""
    if shared.out_of_memory(error):
        st.rerun()
    if shared.memory_short(error):
        st.error(
            "This view needs more memory than this computer has free. Choose a smaller network, a smaller image or "
            "fewer maps, or close other programs; then try again.",
            icon=":material/memory_alt:",
        )
        return
    st.error(
        f"This view could not be computed ({type(error).__name__}). Choose another network, layer or image; the "
        "details are in the server's log.",
        icon=":material/error:",
    )
