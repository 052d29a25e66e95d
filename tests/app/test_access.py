"""Who may do what: whoever sits at this computer, a visitor of a server, the lecturer and the students of a class."""

import pytest
import streamlit as st

from app import access
from app.classroom.room import Classroom

TOKEN = "a-token-of-this-test"


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch):
    """Become somebody, at an address that the app listens to."""
    room = Classroom(TOKEN)

    def become(who: str, address: str, allowed: bool = False) -> None:
        room.allowed = allowed
        monkeypatch.setattr(access, "get_room", lambda: room)
        monkeypatch.setattr(st, "get_option", {"server.address": address}.get)
        monkeypatch.setattr(st, "session_state", {"class_lecturer": True} if who == "lecturer" else {})
        if who in ("lecturer", "student"):
            monkeypatch.setenv("CNNVIZ_CLASS_TOKEN", TOKEN)
        else:
            monkeypatch.delenv("CNNVIZ_CLASS_TOKEN", raising=False)

    return become


@pytest.mark.parametrize(
    "who, address, may_start, shared, here, sees_the_disk",
    [
        ("user", "localhost", True, False, True, True),
        ("user", "0.0.0.0", True, True, False, False),
        ("lecturer", "127.0.0.1", True, True, True, True),
        ("lecturer", "192.168.1.20", True, True, False, True),
        ("student", "127.0.0.1", False, True, False, False),
        ("student", "192.168.1.20", False, True, False, False),
    ],
)
def test_rights_follow_from_the_role_and_the_address(person, who, address, may_start, shared, here, sees_the_disk):
    person(who, address)
    assert access.may_start() == may_start
    assert access.is_shared() == shared
    assert access.is_on_this_computer() == here
    assert access.may_see_the_disk() == sees_the_disk


def test_students_start_long_work_while_the_lecturer_lets_them(person):
    person("student", "192.168.1.20", allowed=True)
    access.check_may_start("An index")
    person("student", "192.168.1.20")
    with pytest.raises(access.NotAllowed, match="“An index” takes the whole machine"):
        access.check_may_start("An index")


def test_the_right_token_makes_a_lecturer_and_a_wrong_one_does_not(person):
    person("student", "192.168.1.20")
    assert not access.become_lecturer("a guess") and not access.is_lecturer()
    assert access.become_lecturer(TOKEN) and access.is_lecturer()


def test_a_session_s_name_stays_and_cannot_be_guessed(person):
    person("user", "localhost")
    first = access.visitor()
    assert first == access.visitor() and len(first) == 16
    person("user", "localhost")
    assert access.visitor() != first
