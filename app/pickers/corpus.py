"""The images to search: their picker in the row above the picture, and opening them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import access, limits
from app.jobs import download
from app.pickers import bar, controls, index_file
from app.pickers.controls import Network
from app.session import shared, tabs, uploads
from app.url import address
from cnnviz.errors import BadInput

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus

SOURCES = tuple(
    "samples digits cifar10-test cifar10 mnist-test mnist imagenette-val imagenette flowers folder upload".split()
)
OFFLINE = ("samples", "digits")
_SHOWN = "shown_corpus"  # in the session: (links opened until then, the name that was shown last)
_UPLOADED = "uploaded_corpus"  # in the session: the last corpus this tab has uploaded


def default_corpus(network: Network) -> str:
    """What is searched unless the link says otherwise."""
    return "digits" if network.one_channel else "samples"


def pick_corpus(
    network: Network, label: str = "Images to search", default: str = "", indexes: bool = False
) -> tuple[Corpus, Any]:
    """The corpus, and the row that its picker stands in, for more controls. `default`: another than
    `default_corpus`. `indexes`: an index file may stand for its images. Raises CnnvizError if it cannot be
    opened, PageEnded after a question to the user. A set that has to be downloaded is asked about, and the page goes on
    with the images it showed."""
    row = bar.row()
    options = [name for name in SOURCES if name != "folder" or access.is_on_this_computer()]
    options += [index_file.SOURCE] if indexes else []
    usual = default or default_corpus(network)
    with row:
        source = controls.bind(st.selectbox, label, "corpus", usual, options=options, width=150)
    if source == "folder":
        return _folder(), row
    if source == "upload":
        return _upload(), row
    if source == index_file.SOURCE:
        return index_file.pick(network), row
    return _open_or_ask(source, [usual, default_corpus(network)]), row


def _open_or_ask(name: str, usual: list[str]) -> Corpus:
    """The images of this name. Where they have to be downloaded, a question, and those that were shown here before, or
    the first of the usual ones that are here."""
    if not _is_ready(name):
        links, before = st.session_state.get(_SHOWN, (0, ""))
        known = [before, *usual] if links == address.count_links() else usual
        wanted, name = shared.data_download(name), next(filter(_is_ready, known))
        download.ask(
            "data",
            wanted,
            f"{wanted.title} is not on this computer.",
            f"Used until then: {name}.",
            f"Stay with {name}",
            partial(address.choose, "corpus", name),
        )
    st.session_state[_SHOWN] = address.count_links(), name
    return shared.corpus(name)


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
    if _is_ready(source):
        return shared.corpus(source)
    raise BadInput("Choose the images to search on the page of the top-9 patches.")


def _is_ready(name: str) -> bool:
    """Whether a named set needs neither a download nor an answer."""
    return name in OFFLINE or (name in SOURCES[2:-2] and shared.is_here(name))


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
        for file in files:
            tabs.check_room(file, most)
        chosen = [(f.name, f.getvalue()) for f in files]
        images = shared.uploaded_corpus(tuple(f.file_id for f in files), chosen)
        tabs.replace(_archive_of(st.session_state.get(_UPLOADED)), _archive_of(images))
        st.session_state[_UPLOADED] = images
    elif _UPLOADED not in st.session_state:
        st.info("Drop some images or a zip here; they are searched on this machine only.")
        raise shared.PageEnded
    return _still_here(st.session_state[_UPLOADED])


def _archive_of(images: Corpus | None) -> str:
    """The name of the zip that holds uploaded images; "" for none."""
    archive = getattr(images, "archive", None)
    return "" if archive is None else archive.name


def _still_here(images: Corpus) -> Corpus:
    """An upload that this tab goes on using; its file is not the next to go. Raises BadInput if it has gone."""
    archive = getattr(images, "archive", None)
    if archive is not None and not uploads.use(archive):
        raise BadInput(uploads.GONE.format("The uploaded zip is"))
    return images
