"""A photograph taken with the visitor's camera, in place of an upload; and where browsers give no camera."""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

import streamlit as st

from app import limits
from app.markdown import as_literal
from app.pickers import bar
from app.session import tabs, uploads
from cnnviz.errors import CnnvizError

PROBLEM = "upload_problem"  # in the session: what the picker of images says


def keep(file: Any, title: str = "") -> bool:
    """Store an image that came from the visitor, and choose it. One that is no usable image leaves the view as it
    was; the picker says why. `title`: instead of the file's name."""
    title = title or str(getattr(file, "name", ""))
    try:
        tabs.check_room(file, limits.PHOTO_MB)
        name = uploads.store_photo(file.getvalue(), title)
    except (CnnvizError, OSError) as error:
        report_problem(f"{uploads.clean_title(title)}: {error}" if title else str(error))
        return False
    tabs.bring(name)
    st.session_state.setdefault("uploads", {})[name] = uploads.clean_title(title)
    st.session_state["image"] = name
    return True


def report_problem(text: str) -> None:
    """What the picker of images says, below what it has to say already."""
    before = st.session_state.get(PROBLEM) if not st.session_state.get(f"{PROBLEM}_shown") else ""
    bar.report(PROBLEM, f"{before}  \n{text}" if before else f"{text} The view is unchanged.")


@st.dialog("Take a photo")
def open_dialog() -> None:
    """The camera instead of a file."""
    draw_camera("dialog_camera")
    if st.session_state.pop("dialog_camera_kept", None) is not None:
        st.rerun()  # closes the window


def draw_camera(key: str) -> None:
    """Draw the visitor's camera with its button; a photograph becomes the chosen image."""
    warn_if_unreachable()
    st.camera_input(
        "Photograph",
        key=key,
        help="The photograph is kept on the computer that runs cnnviz, like an upload.",
        label_visibility="collapsed",
        on_change=_take,
        args=(key,),
    )


def _take(key: str) -> None:
    if (file := st.session_state.get(key)) is not None:
        st.session_state[f"{key}_kept"] = keep(file, "Camera photograph")


def warn_if_unreachable() -> None:
    """Warn where the browser will not hand over a camera."""
    url = st.context.url or ""
    if url and not is_trusted(url):
        st.warning(
            f"Browsers give a camera only to pages from https or from their own computer; this one came from "
            f"{as_literal(urlsplit(url).netloc)} over {as_literal(urlsplit(url).scheme)}. Open cnnviz on the computer "
            "that has the camera, at http://localhost, or put it behind https.",
            icon=":material/no_photography:",
        )


def is_trusted(url: str) -> bool:
    """Whether a browser gives its camera to a page from here: https, localhost, or a loopback address.

    Source: W3C, Secure Contexts, section 3.1."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https" or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
