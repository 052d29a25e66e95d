"""An index file opened without its images: from this computer or uploaded, shown from the crops it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import streamlit as st

from app import access, limits
from app.pickers import controls
from app.pickers.controls import Network
from app.session import shared, tabs, uploads
from cnnviz.data.corpus import Corpus
from cnnviz.errors import BadImage, BadInput
from cnnviz.store import is_there

if TYPE_CHECKING:
    from cnnviz.index.result import PatchIndex
    from cnnviz.models.model import LoadedModel

SOURCE = "index file"  # in the picker of the images to search
_UPLOADED = "uploaded_index"  # in the session: where the last index file of this tab lies
_TITLE = "uploaded_index_title"  # in the session: what it was called
_KEPT = 8  # uploads


class AbsentCorpus(Corpus):
    """The images of an index file, which are not here: no image can be read. `kept`: the index; `place`: names the
    file as it was read, so that pictures of one file are never shown for another of the same images."""

    def __init__(self, index: PatchIndex, place: tuple[str, int]) -> None:
        super().__init__(index.meta["corpus"], ())
        self.kept, self._place = index, place

    @property
    def fingerprint(self) -> str:
        """Unlike that of the images themselves, and safe in a file's name."""
        return hashlib.sha256(f"index of {self.kept.meta['corpus_fingerprint']} {self._place}".encode()).hexdigest()

    def image(self, index: int, side: int | None = None) -> NoReturn:
        raise BadImage(f"Only the index is here, not its images ({self.name}).")

    _read = image

    def _contents(self) -> Iterable[bytes]:
        return ()


def pick(network: Network) -> AbsentCorpus:
    """Where the file is named or dropped. Raises PageEnded after the question, BadInput for what is no index of this
    network."""
    left, right = st.columns(2, gap="small")
    with left:
        path = ""
        if access.is_on_this_computer():
            path = controls.bind(
                st.text_input, "Index file on this computer", "indexfile", "", placeholder="/home/me/squeezenet.npz"
            )
    with right:
        label, most = "Or drop it here: an .npz of `cnnviz index`", limits.zip_mb()
        file = st.file_uploader(label, type=["npz"], key="index_upload", max_upload_size=most)
    if file is not None:
        tabs.check_room(file, most)
        place = _store(file.file_id, file)
        tabs.replace(Path(st.session_state.get(_UPLOADED, "")).name, Path(place).name)
        st.session_state[_UPLOADED], st.session_state[_TITLE] = place, uploads.clean_title(file.name)
    if not (path or _UPLOADED in st.session_state):
        st.info("An index made with `cnnviz index … --embed 32` holds small crops and needs no images.")
        raise shared.PageEnded
    found = _open(network, path)
    if not found.kept.embedded:
        st.info(
            "This index holds no crops, so that only its values can be shown. Make it with `cnnviz index --embed 32`."
        )
    return found


def find_chosen(network: Network, path: str) -> AbsentCorpus:
    """The file that is chosen, without asking. Raises BadInput if none is."""
    if not ((path and access.is_on_this_computer()) or _UPLOADED in st.session_state):
        raise BadInput("Choose the index file on the page of the top-9 patches.")
    return _open(network, path if access.is_on_this_computer() else "")


def _open(network: Network, path: str) -> AbsentCorpus:
    """What has a path comes first: it stands in the link."""
    place = Path(path).expanduser() if path else Path(st.session_state[_UPLOADED])
    if not path and not uploads.use(place):
        raise BadInput(uploads.GONE.format("The uploaded index file is"))
    if not is_there(place) or not place.is_file():
        raise BadInput(f"There is no file {str(place)[:200]!r}. Give the path of an .npz that `cnnviz index` wrote.")
    with uploads.called(place.name, place.name if path else st.session_state.get(_TITLE, "The index file")):
        return _load(str(place), place.stat().st_mtime_ns, network.model.fingerprint, network.model)


@st.cache_resource(max_entries=4, show_spinner=False)
def _load(path: str, stamp: int, fingerprint: str, _model: LoadedModel) -> AbsentCorpus:
    from cnnviz.index.untrusted import open_index

    return AbsentCorpus(open_index(path, _model), (path, stamp))


@st.cache_resource(max_entries=4, show_spinner=False)
def _store(file_id: str, _file: Any) -> str:
    """Keep an upload under its hash."""
    from cnnviz.store import write_bytes_atomic

    data = _file.getvalue()
    folder = uploads.cache_folder("uploads")
    path = folder / f"{hashlib.sha256(data).hexdigest()[:16]}.npz"
    write_bytes_atomic(path, data)
    uploads.keep_newest(folder, "*.npz", _KEPT)
    return str(path)
