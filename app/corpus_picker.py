"""The images to search, in the row above the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import controls, index_jobs, session
from app.controls import Network
from cnnviz.errors import CnnvizError

if TYPE_CHECKING:
    from cnnviz.data.corpora import Corpus

SOURCES = (
    "samples", "digits", "cifar10-test", "cifar10", "mnist-test", "mnist", "imagenette-val", "imagenette",
    "folder", "upload",
)  # fmt: skip


def pick_corpus(network: Network) -> tuple[Corpus, Any]:
    """The corpus and the row of columns beside its picker. Stops the page with a message if it cannot
    be opened. Paths on the server are offered only where the server is this computer."""
    row = st.columns([1.5, 1.3, 1, 0.9, 1.2], vertical_alignment="bottom")
    local = st.get_option("server.address") in ("127.0.0.1", "localhost", "::1")
    options = [name for name in SOURCES if local or name != "folder"]
    with row[0]:
        default = index_jobs.default_corpus(network)
        source = controls.bound(st.selectbox, "Images to search", "corpus", default, options=options)
    try:
        if source == "folder":
            return _folder(), row
        if source == "upload":
            return _upload(), row
        with st.spinner(f"Opening {source} …", show_time=True):
            return session.corpus(source), row
    except CnnvizError as error:
        session.problem(error)
        st.stop()


def _folder() -> Corpus:
    path = controls.bound(
        st.text_input, "Folder or zip on this computer", "folder", "", placeholder="/home/me/photographs"
    )
    if not path:
        st.info("Type the path of a folder of images, nested as it may be, or of a zip.")
        st.stop()
    return session.corpus(str(path))


def _upload() -> Corpus:
    files = st.file_uploader(
        "Several images, or one zip of images", accept_multiple_files=True, key="corpus_upload", max_upload_size=1024
    )
    if not files:
        st.info("Drop some images or a zip here; they are searched on this machine only.")
        st.stop()
    return session.uploaded_corpus(tuple(f.file_id for f in files), [(f.name, f.getvalue()) for f in files])
