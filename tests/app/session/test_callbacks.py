"""The callbacks of a click are carried out whole, whatever message comes meanwhile."""

from typing import Any

import pytest
from streamlit.runtime.scriptrunner_utils.exceptions import RerunException
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
from streamlit.runtime.state.safe_session_state import SafeSessionState
from streamlit.runtime.state.session_state import SessionState

from app.session.callbacks import carry_out_whole


class Session:
    """A session in which a message waits from the moment on at which a callback has begun."""

    def __init__(self) -> None:
        self.waiting = False
        self.state = SafeSessionState(SessionState(), self.turn)

    def turn(self) -> None:
        if self.waiting:
            raise RerunException(RerunData())

    def click(self) -> None:
        self.waiting = True
        self.state["channel"] = 3
        self.state["row"] = 2

    def fail(self) -> None:
        self.waiting = True
        raise ValueError("a callback that fails")


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    patched: Any = SafeSessionState.on_script_will_rerun
    monkeypatch.setattr(SafeSessionState, "on_script_will_rerun", getattr(patched, "__wrapped__", patched))
    monkeypatch.setattr(SessionState, "on_script_will_rerun", lambda _state, click, **_: click())
    return Session()


def test_without_it_a_message_cuts_a_click_off(session: Session):
    with pytest.raises(RerunException):
        session.state.on_script_will_rerun(session.click)
    assert session.state.filtered_state == {}


def test_both_choices_of_a_click_are_made_and_then_the_message_has_its_turn(session: Session):
    for _ in range(2):  # a second time changes nothing
        carry_out_whole()
    session.state.on_script_will_rerun(session.click)
    assert session.state.filtered_state == {"channel": 3, "row": 2}
    with pytest.raises(RerunException):
        session.state["column"] = 1


def test_a_message_that_waits_already_comes_before_the_click(session: Session):
    carry_out_whole()
    session.waiting = True
    with pytest.raises(RerunException):
        session.state.on_script_will_rerun(session.click)
    assert session.state.filtered_state == {}


def test_a_callback_that_fails_leaves_the_session_open_to_messages(session: Session):
    carry_out_whole()
    with pytest.raises(ValueError, match="fails"):
        session.state.on_script_will_rerun(session.fail)
    with pytest.raises(RerunException):
        session.state["row"] = 1
