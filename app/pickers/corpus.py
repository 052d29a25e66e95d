"""The images to search: their picker in the row above the picture, and opening them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import access, limits
from app.jobs import download
from app.pickers import bar, controls, index_file
from app.pickers.controls import Network
from app.session import shared, uploads
from app.url import address
from cnnviz.errors import BadInput

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus

SOURCES = tuple("samples digits cifar10-test cifar10 mnist-test mnist imagenette-val imagenette folder upload".split())
OFFLINE = ("samples", "digits")
_UPLOADED = "uploaded_corpus"  # in the session: the last corpus this tab has uploaded


def default_corpus(network: Network) -> str:
    """What is searched unless the link says otherwise."""
    return "digits" if network.one_channel else "samples"


def pick_corpus(
    network: Network, label: str = "Images to search", default: str = "", indexes: bool = False
) -> tuple[Corpus, Any]:
    """The corpus, and the row that its picker stands in, for more controls. `default`: another than
    `default_corpus`. `indexes`: an index file may stand for its images. Raises CnnvizError if it cannot be
    opened, PageEnded after a question to the user, or while it is downloaded."""
    row = bar.row()
    options = [name for name in SOURCES if name != "folder" or access.is_on_this_computer()]
    options += [index_file.SOURCE] if indexes else []
    with row:
        source = controls.bind(
            st.selectbox, label, "corpus", default or default_corpus(network), options=options, width=170
        )
    if source == "folder":
        return _folder(), row
    if source == "upload":
        return _upload(), row
    if source == index_file.SOURCE:
        return index_file.pick(network), row
    if source not in OFFLINE:
        download.require_data(source)
    return shared.corpus(source), row


def find_chosen_corpus(network: Network) -> Corpus:
    """The corpus that is chosen, without a picker. Raises BadInput where opening it would need a download
    or an answer; that is for the page with the picker."""
    source = address.read("corpus") or default_corpus(network)
    folder, uploaded = address.read("folder"), st.session_state.get(_UPLOADED)
    if source == index_file.SOURCE:
        return index_file.find_chosen(network, address.read("indexfile"))
    if source == "upload" and uploaded is not None:
        return _still_here(uploaded)
    if source == "folder" and folder and access.is_on_this_computer():
        return shared.corpus(folder)
    if source in OFFLINE or (source in SOURCES[2:-2] and shared.is_here(source)):
        return shared.corpus(source)
    raise BadInput("Choose the images to search on the page of the top-9 patches.")


def _folder() -> Corpus:
    path = controls.bind(
        st.text_input, "Folder or zip on this computer", "folder", "", placeholder="/home/me/photographs"
    )
    if not path:
        st.info("Type the path of a folder of images, nested as it may be, or of a zip.")
        raise shared.PageEnded
    return shared.corpus(str(path))


def _upload() -> Corpus:
    label, most = "Several images, or one zip of images", limits.zip_mb()
    files = st.file_uploader(label, accept_multiple_files=True, key="corpus_upload", max_upload_size=most)
    if files:
        chosen = [(f.name, f.getvalue()) for f in files]
        st.session_state[_UPLOADED] = shared.uploaded_corpus(tuple(f.file_id for f in files), chosen)
    elif _UPLOADED not in st.session_state:
        st.info("Drop some images or a zip here; they are searched on this machine only.")
        raise shared.PageEnded
    return _still_here(st.session_state[_UPLOADED])


def _still_here(images: Corpus) -> Corpus:
    """An upload that this tab goes on using; its file is not the next to go. Raises BadInput if it has gone."""
    archive = getattr(images, "archive", None)
    if archive is not None and not uploads.use(archive):
        raise BadInput(uploads.GONE.format("The uploaded zip is"))
    return images
