"""A message that the browser sent before it knew what it had been told undoes nothing."""

import pytest
from streamlit.runtime.scriptrunner_utils.script_run_context import ScriptRunContext
from streamlit.testing.v1 import AppTest


def page() -> None:
    """Two pickers and three buttons, whose callbacks choose in place of the visitor."""
    import streamlit as st

    from app.url import address

    address.begin("page")
    address.bind(st.number_input, "Unit", "unit", 0, min_value=0, max_value=9)
    address.bind(st.selectbox, "Layer", "layer", "b", options=["a", "b", "c"])
    st.button("Take 3", key="take", on_click=address.choose, args=("unit", 3))
    st.button("Reset", key="clear", on_click=address.reset, args=("unit",))
    if st.button("Look", key="look"):
        address.rerun()
    address.finish(drawn=True)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr("app.url.late.PATIENCE", 60)
    return AppTest.from_function(page, default_timeout=30).run()


def address(at: AppTest) -> dict[str, str]:
    return {key: value if isinstance(value, str) else value[0] for key, value in dict(at.query_params).items()}


def send_late(at: AppTest, unit: int, button: str = "", query: dict[str, str] | None = None) -> None:
    """A message with the address and the value of `unit` as the browser had them before."""
    for key in list(at.query_params):
        del at.query_params[key]
    for key, value in (query or {}).items():
        at.query_params[key] = value
    at.number_input(key="unit").set_value(unit)
    if button:
        at.button(key=button).click()
    at.run()


@pytest.mark.parametrize("button", ["", "look"])
def test_a_value_that_a_click_chose_stays_when_a_timer_brings_the_one_of_before(at: AppTest, button: str):
    at.button(key="take").click().run()
    assert at.number_input(key="unit").value == 3 and address(at) == {"unit": "3"}
    for _ in range(2):
        send_late(at, unit=0, button=button)
        assert at.number_input(key="unit").value == 3 and address(at) == {"unit": "3"}


def test_what_was_reset_stays_reset(at: AppTest):
    at.number_input(key="unit").set_value(5).run()
    at.button(key="clear").click().run()
    assert at.number_input(key="unit").value == 0 and address(at) == {}
    send_late(at, unit=5, query={"unit": "5"})
    assert at.number_input(key="unit").value == 0 and address(at) == {}


def test_another_choice_of_the_visitors_in_a_late_message_counts(at: AppTest):
    at.button(key="take").click().run()
    at.selectbox(key="layer").select("c")  # clicked before the browser drew unit 3
    send_late(at, unit=0)
    assert at.number_input(key="unit").value == 3 and at.selectbox(key="layer").value == "c"
    at.button(key="take").click().run()
    send_late(at, unit=7)  # neither of the two values
    assert at.number_input(key="unit").value == 7


def test_once_the_browser_knows_the_value_of_before_is_a_choice(at: AppTest):
    at.button(key="take").click().run()
    at.number_input(key="unit").set_value(0).run()  # with the address it was told
    assert at.number_input(key="unit").value == 0 and address(at) == {}


def test_a_quick_there_and_back_of_the_visitors_own_counts(at: AppTest):
    at.number_input(key="unit").set_value(4).run()
    send_late(at, unit=0)  # clicked again before the address came
    assert at.number_input(key="unit").value == 0 and address(at) == {}


def test_back_is_no_late_message(at: AppTest, monkeypatch):
    at.button(key="take").click().run()
    begun = ScriptRunContext.reset
    monkeypatch.setattr(
        ScriptRunContext, "reset", lambda self, **named: begun(self, **{**named, "is_history_navigation": True})
    )
    del at.query_params["unit"]
    at.run()
    assert at.number_input(key="unit").value == 0 and address(at) == {}
