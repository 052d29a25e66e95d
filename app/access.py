"""Who may do what: the lecturer, students, and whoever sits at this computer.

Without a class everybody may start work; in one, the lecturer may, and students while the lecturer lets them. Paths on
this computer's disk are for those who sit at it: what listens to other computers never offers them. What one person may
take is in app/limits.py."""

from __future__ import annotations

import os
import secrets

import streamlit as st

from app import hosts
from app.classroom.room import get_room
from cnnviz.errors import CnnvizError

_ROLE, _VISITOR = "class_lecturer", "class_visitor"  # in the session


class NotAllowed(CnnvizError):
    """Work that this session may not start now: of a class's lecturer alone, or one too many."""


def is_class() -> bool:
    """Whether this app was started for a class."""
    return bool(os.environ.get("CNNVIZ_CLASS_TOKEN"))


def is_lecturer() -> bool:
    """Whether this session has shown the token."""
    return is_class() and bool(st.session_state.get(_ROLE))


def become_lecturer(token: str) -> bool:
    """Give this session the lecturer's role for the right token. Raises BadInput after too many wrong ones."""
    if get_room().admit(token, visitor()):
        st.session_state[_ROLE] = True
    return is_lecturer()


def may_start() -> bool:
    """Whether this session may start long work."""
    return not is_class() or is_lecturer() or get_room().allowed


def check_may_start(name: str) -> None:
    """Raise NotAllowed unless this session may start long work. Joining what runs already needs no permission.

    `name`: of the work, as the message calls it."""
    if not may_start():
        raise NotAllowed(
            f"“{name}” takes the whole machine, or its connection, for a while, which in this class only the "
            "lecturer may start. What the lecturer has computed opens at once; ask for this one, or choose another "
            "view."
        )


def is_shown(choice: str) -> bool:
    """Whether the lecturer of a class shows it a view in whose address this choice stands."""
    return is_class() and choice in get_room().view.query.values()


def _listens_here_alone() -> bool:
    return st.get_option("server.address") in hosts.LOOPBACK


def is_shared() -> bool:
    """Whether other computers can open the app, so that its users are not one person. A class's can, and whoever comes
    by a name that was given to it, through a proxy, also where only this computer is listened to."""
    return is_class() or not _listens_here_alone() or hosts.has_other_names()


def is_on_this_computer() -> bool:
    """Whether only this computer can open the app; in a class that listens here alone, behind a proxy, true for the
    lecturer. Only then paths on its disk and everybody's files are offered."""
    return _listens_here_alone() and (is_lecturer() if is_class() else not hosts.has_other_names())


def may_see_the_disk() -> bool:
    """Whether messages may name folders of this computer to this session."""
    return is_on_this_computer() or is_lecturer()


def visitor() -> str:
    """A name of this session that nobody can guess: for counting, and to tell apart what several people bring."""
    return st.session_state.setdefault(_VISITOR, secrets.token_hex(8))
