"""The image picker: samples, digits and uploads as thumbnails, files that are dropped anywhere on the page, and the
camera. An upload that is removed is gone from the list, and the default is chosen in its place."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import partial

import streamlit as st

from app import access, limits
from app.components.pickers.cards import Action, Card, Dropping, pick_card
from app.pickers import bar, webcam
from app.session import shared, tabs, uploads
from app.session.cache import picture_cache
from app.session.networks import Network
from app.url import address
from app.url.address import bind
from cnnviz.figures.base.encode import photo_jpeg

DEFAULT_PHOTO, DEFAULT_DIGIT = "chelsea", "digit-3"
ENDINGS = ("jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "avif")
THUMBNAIL = (132, 96)  # pixels, width and height at most
_UPLOADER = "upload"  # key of the file uploader, which the page does not show
_RECEIVED, _COMING = "uploads_received", "uploads_coming"  # in the session: files dealt with; files still to come
_SAMPLES = "sample thumbnails"  # in the cache of pictures: {name: data URL}, once somebody has opened the picker
_ACTIONS = (Action("choose_file", "Choose a file…", opens_files=True), Action("take_photo", "Take a photo"))
_HINT = "Drop photographs anywhere: the last one is shown, all are kept"


def pick_photo(network: Network | None, photo: str = "") -> str:
    """Draw the picker; returns the chosen name. `network`: decides what is shown first; None: no network. `photo`: what
    is shown first in place of the usual photograph."""
    one_channel = network is not None and network.one_channel
    own, offered = list_uploads(), shared.photo_names(one_channel)
    first = DEFAULT_DIGIT if one_channel else photo or DEFAULT_PHOTO
    options = own + offered
    default = first if first in offered else offered[0]
    samples = picture_cache().find(_SAMPLES)
    chosen = bind(
        pick_card,
        "Image",
        "image",
        default,
        options=options,
        cards=_list_cards(own, offered, samples or {}, _find_chosen(options, default)),
        on_pick=partial(address.choose, "image"),
        on_remove=_remove,
        on_action=_act,
        on_open=None if samples else _make_thumbnails,
        on_drop=_expect,
        actions=_ACTIONS,
        search="Search, or drop a file anywhere",
        tiles=True,
        dropping=Dropping(_UPLOADER, ENDINGS, limits.PHOTO_MB, _HINT, st.session_state.get(_RECEIVED, 0)),
    )
    st.file_uploader(
        "Use your own image",
        type=list(ENDINGS),
        max_upload_size=limits.PHOTO_MB,
        key=_UPLOADER,
        on_change=_take_upload,
        label_visibility="collapsed",
    )
    _say_problems()
    return str(chosen)


def list_uploads(also: Sequence[str] = ()) -> list[str]:
    """The uploads to offer: this session's, the one that the link names, and `also`, as far as they are here."""
    names = dict.fromkeys([*st.session_state.get("uploads", {}), address.read("image"), *also])
    found = [name for name in names if uploads.is_stored_photo(name)]
    for name in found:
        tabs.use(name)
    return found


def title_of(name: str) -> str:
    """What a photograph is called: an upload by the name that its file had here, or where it was stored first."""
    return str(st.session_state.get("uploads", {}).get(name) or uploads.photo_title(name))


def _find_chosen(options: Sequence[str], default: str) -> str:
    asked = address.read("image")
    return asked if asked in options else default


def _list_cards(own: Sequence[str], offered: Sequence[str], samples: dict[str, str], chosen: str) -> list[Card]:
    """Thumbnails of uploads and of the chosen image are always there; those of `samples` once they are made."""
    made = {name: thumbnail(name) for name in {*own, chosen}}
    cards = [Card(name, title_of(name), "Yours", thumbnail=made[name], removable=True) for name in own]
    for name in offered:
        group = "Digits" if name.startswith("digit-") else "Photographs"
        cards.append(Card(name, name, group, thumbnail=made.get(name) or samples.get(name, "")))
    return cards


def thumbnail(name: str) -> str:
    """A small JPEG of a photograph as a data URL; made once."""
    return str(picture_cache().get(("thumbnail", name), lambda: _encode(name)))


def _encode(name: str) -> str:
    picture = shared.read_photo(name).convert("RGB")
    if max(picture.size) <= 48:  # a digit: its pixels stay pixels
        picture = picture.resize((picture.width * 3, picture.height * 3), resample=0)
    picture.thumbnail(THUMBNAIL)
    return "data:image/jpeg;base64," + base64.b64encode(photo_jpeg(picture)).decode()


# --- what the picker is asked ---------------------------------------------------------------------------


def _make_thumbnails() -> None:
    picture_cache().get(_SAMPLES, lambda: {name: thumbnail(name) for name in shared.photo_names(False)})


def _act(name: str) -> None:
    if name == "take_photo":
        st.session_state["photo_dialog"] = True


def _expect(coming: int, refused: list[str]) -> None:
    """So many files will come, one after the other; those of these names are not taken."""
    st.session_state.pop(webcam.PROBLEM, None)
    st.session_state[_COMING] = int(coming)
    for name in refused:
        webcam.report_problem(
            f"{uploads.clean_title(name) or 'This file'} is not taken here: images are ({', '.join(ENDINGS)}), of up "
            f"to {limits.PHOTO_MB} MB; weights files are dropped into their own field on Home."
        )


def _take_upload() -> None:
    """Store a new upload and choose it. A file that is no usable image leaves the view as it was."""
    if (file := st.session_state.get(_UPLOADER)) is not None:
        webcam.keep(file)
        st.session_state[_RECEIVED] = st.session_state.get(_RECEIVED, 0) + 1
        st.session_state[_COMING] = max(0, st.session_state.get(_COMING, 0) - 1)


def _say_problems() -> None:
    """What went wrong stays in sight while more files of the same drop come."""
    bar.show_report(webcam.PROBLEM, ":material/broken_image:", hold=bool(st.session_state.get(_COMING)))
    if st.session_state.pop("photo_dialog", False):
        webcam.open_dialog()


def _remove(name: str) -> None:
    """From the list and, where nobody else may have it, from the disk; if it is chosen, the default is instead."""
    brought = st.session_state.get("uploads", {}).pop(name, None) is not None
    if access.is_on_this_computer() or (brought and access.is_class()):
        tabs.remove(name)
    else:
        tabs.let_go(name)
    if address.read("image") == name:
        address.reset("image")
