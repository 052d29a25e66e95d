"""What a class adds to the frame of every page: joining it, following, and the lecturer's switches."""

from __future__ import annotations

import html
import io

import streamlit as st

from app import access
from app.classroom import room
from app.components.token import ask_token, forget_token
from app.url import address
from cnnviz.errors import BadInput

_JOINED, _VERSION, _ALLOWED = "class_joined", "class_version", "class_allowed_seen"  # in the session
_FOLLOW, _PROBLEM, _EARLY = "class_follow", "class_problem", "class_early"
_STALE = "class_stale"  # the browser remembers a token of another class


def join() -> bool:
    """Ask the browser for the lecturer's token; True once it is known whose browser this is.

    Until then the page waits: the answer takes a moment, and the address, which may hold the token, must not be
    changed by anything else."""
    if not access.is_class() or st.session_state.get(_JOINED):
        return True
    st.caption("Joining the class …")
    ask_token(_admit)
    return False


def _admit(token: str) -> None:
    st.session_state[_JOINED] = True
    if token:
        st.session_state[_STALE] = _is_wrong(token)


def _is_wrong(token: str) -> bool:
    """Try a token. The problem with it stays on the page until the next try; one that was not compared, because too
    many wrong ones came before, is not wrong."""
    st.session_state.pop(_PROBLEM, None)
    try:
        right = access.become_lecturer(token)
    except BadInput as error:
        st.session_state[_PROBLEM] = str(error)
        return False
    if not right:
        st.session_state[_PROBLEM] = (
            "That is not this class's token. `cnnviz class` prints a new one whenever it is started: open its link."
        )
    return not right


def is_led() -> bool:
    """Whether this browser belongs to a student who follows now."""
    return access.is_class() and not access.is_lecturer() and _is_following()


def _is_following() -> bool:
    return bool(st.session_state.get(_FOLLOW, True))


def follow() -> None:
    """Call before the page is drawn: go where the lecturer has gone."""
    if not is_led():
        return
    view = room.get_room().view
    if view.version and view.version != st.session_state.get(_VERSION):
        st.session_state[_VERSION] = view.version
        address.go(view.page, view.query)


def announce(page: str) -> None:
    """Call before the page is drawn, after the URL was read: the class goes along at once, however long the
    lecturer's page takes."""
    if _leads():
        before = room.get_room().view.version
        view = room.get_room().publish(page, address.view())
        st.session_state[_EARLY] = view if view.version != before else None


def publish() -> None:
    """Call after the page is drawn: the class sees what the lecturer has chosen there."""
    if not _leads():
        return
    page, query, early = address.page() or "", address.view(), st.session_state.pop(_EARLY, None)
    shown = room.get_room().view
    # what only leaves out defaults is the view that was announced
    same = early is not None and shown is early and early.page == page and query.items() <= _whole(early).items()
    room.get_room().publish(page, query, same)


def _whole(view: room.View) -> dict[str, str]:
    """Its choices with those that are never shared, which the lecturer's URL still has."""
    return {**view.query, **{key: text for key in room.PRIVATE if (text := address.read(key))}}


def _leads() -> bool:
    return access.is_lecturer() and room.get_room().shared


def draw() -> None:
    """Draw the class's part of the sidebar."""
    if not access.is_class():
        return
    with st.sidebar, st.container(key="class_panel"):
        if access.is_lecturer():
            _lecturer()
        else:
            _student()


def _lecturer() -> None:
    _switch("shared", "Students follow me", "Off: look something up without taking the class along.")
    explained = "Indexing, landscapes, measurements over many images. All share this machine."
    _switch("allowed", "Students may start long work", explained)
    _attendance()
    if room.address_for_students() and st.button("Show the address", icon=":material/qr_code_2:"):
        _show_address()


def _switch(name: str, label: str, explained: str) -> None:
    """A switch of the room, which another tab of the lecturer's may have turned."""
    shared, key = room.get_room(), f"class_{name}"
    st.session_state[key] = getattr(shared, name)
    st.toggle(label, key=key, help=explained, on_change=lambda: setattr(shared, name, st.session_state[key]))


@st.fragment(run_every=2)
def _attendance() -> None:
    there, following = room.get_room().count_students()
    st.caption(f"{there} {'student is' if there == 1 else 'students are'} here, {following} of them following.")


@st.dialog("Open this address", width="large")
def _show_address() -> None:
    """The address for a beamer: it fills the window (see the style sheet), letters as large as its length allows."""
    import segno

    where, file = room.address_for_students(), io.BytesIO()
    segno.make(where, error="m").save(file, kind="png", scale=24, border=3)
    with st.container(key="class_address"):
        st.html(f'<p style="font-size: min(9vh, {150 / max(len(where), 1):.2f}vw)">{html.escape(where)}</p>')
        st.image(file.getvalue(), alt=f"QR code of {where}", output_format="PNG")


def _student() -> None:
    explained = "On: your view goes along, and what you change lasts until the lecturer moves on. Off: look around."
    label, again = "Follow the lecturer", _follow_again
    st.toggle(label, True, key=_FOLLOW, help=explained, on_change=again, persist_state="session")
    _listen()
    if st.session_state.get(_STALE):
        forget_token()
    problem = st.empty()  # outside the expander, which is closed
    with st.expander("I am the lecturer", icon=":material/key:"):
        with st.form("class_token", border=False, clear_on_submit=True):
            token = st.text_input("Token", type="password", key="class_token_text", max_chars=200)
            if st.form_submit_button("Take the lead"):
                _is_wrong(token)
                if access.is_lecturer():
                    address.rerun()
    if message := st.session_state.get(_PROBLEM):
        problem.error(message, icon=":material/key_off:")


def _follow_again() -> None:
    st.session_state.pop(_VERSION, None)


@st.fragment(run_every=1)
def _listen() -> None:
    """Draws the page anew when the lecturer has moved on, or lets students start long work."""
    shared = room.get_room()
    shared.hear(access.visitor(), _is_following())
    before = st.session_state.get(_ALLOWED)
    st.session_state[_ALLOWED] = shared.allowed
    moved = _is_following() and shared.view.version not in (0, st.session_state.get(_VERSION))
    if moved or before not in (None, shared.allowed):
        st.rerun()
