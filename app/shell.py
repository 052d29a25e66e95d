"""The frame around every page: navigation, style, and errors that never show a stack trace."""

import json
import logging
import os
import time
from pathlib import Path
from typing import Any

import streamlit as st

from app import address, session
from cnnviz.errors import CnnvizError

log = logging.getLogger("cnnviz")
_PAGES = {  # file: (title, address, icon)
    "home.py": ("Home", "", ":material/home:"),
    "first_layer_filters.py": ("First-layer filters", "filters", ":material/grid_on:"),
    "feature_maps.py": ("Feature maps", "feature-maps", ":material/layers:"),
    "top9.py": ("Top-9 patches", "top-9", ":material/apps:"),
    "unit.py": ("Unit", "unit", ":material/center_focus_strong:"),
    "anatomy.py": ("Anatomy", "anatomy", ":material/account_tree:"),
    "landscape.py": ("Loss landscape", "landscape", ":material/landscape:"),
    "equivariance.py": ("Equivariance", "equivariance", ":material/open_with:"),
    "playground.py": ("Convolution playground", "playground", ":material/calculate:"),
}
_STYLE = Path(__file__).resolve().parents[1] / "assets" / "theme" / "style.css"


def pages() -> dict[str, st.Page]:
    """{file: page}, built on every run as st.navigation wants it."""
    return {
        file: st.Page(f"../pages/{file}", title=title, url_path=address, icon=icon, default=not address)
        for file, (title, address, icon) in _PAGES.items()
    }


def run() -> None:
    """Draw the chosen page. What goes wrong is said in words; details go to the log.

    With $CNNVIZ_TIMINGS, a file, every run appends {"ms"} to it: the time of the whole script."""
    started = time.perf_counter()
    try:
        _run()
    finally:
        if log_file := os.environ.get("CNNVIZ_TIMINGS"):
            with open(log_file, "a", encoding="utf-8") as file:
                file.write(json.dumps({"ms": (time.perf_counter() - started) * 1000}) + "\n")


def _run() -> None:
    session.warm_up()
    offered = list(pages().values())
    chosen = st.navigation(offered, position="hidden")
    address.begin(chosen.url_path)
    st.html(f"<style>{_style()}</style>")
    links = st.sidebar.empty()
    _draw_links(links, offered)
    failed = _draw(chosen)
    address.finish()
    _draw_links(links, offered)
    if failed is not None:
        _say(failed)


def _draw_links(place: Any, offered: list[st.Page]) -> None:
    """The way to the other pages, which takes the present choices along."""
    with place.container():
        for page in offered:
            st.page_link(page, query_params=address.link(), width="stretch")
        st.divider()


def _draw(page: st.Page) -> Exception | None:
    """Run the page; returns what went wrong beyond cnnviz's own errors, which are said at once."""
    try:
        page.run()
    except CnnvizError as error:
        session.problem(error)
    except session.PageEnded:
        pass
    except Exception as error:  # the outermost edge: whatever it is, a class must not see a stack trace
        log.exception("page %s failed", page.title)
        return error
    return None


def _say(error: Exception) -> None:
    """Outside the except block, so that the traceback holds no tensor any more."""
    if session.out_of_memory(error):
        st.rerun()
    st.error(
        f"This view could not be computed ({type(error).__name__}). Choose another network, layer or image; the "
        "details are in the server's log.",
        icon=":material/error:",
    )


@st.cache_resource
def _style() -> str:
    return _STYLE.read_text(encoding="utf-8")
