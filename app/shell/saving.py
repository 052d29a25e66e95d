"""The note on every page that nothing can be saved, where that is so: looking goes on."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app import access
from app.markdown import escape_markdown
from app.pickers import bar
from app.session import storage
from cnnviz.paths import CACHE, NOWHERE, cache_root
from cnnviz.store import why_unwritable

SECONDS = 30  # after which it is tried anew whether the cache folder can be written


@st.cache_data(ttl=SECONDS, show_spinner=False)
def _look(folder: Path) -> str:
    return why_unwritable(folder)


def say() -> None:
    """Write it above the picture: the folder, the reason, and the variable that names another; students are told of no
    folder."""
    folder = cache_root()
    if not (reason := _look(folder)):
        return
    lasts = "Uploads and results last until the app ends" if storage.root() != folder else "Uploads are not taken"
    text = f"Nothing can be saved on this computer now. {lasts}."
    if access.may_see_the_disk():
        absent = NOWHERE in (folder, *folder.parents)
        where = "there is no folder for it" if absent else f"{folder} cannot be written"
        text = f"Nothing is saved: {where} ({reason}). {lasts}. Name another folder in {CACHE}."
    bar.notices().warning(escape_markdown(text), icon=":material/save:")
