"""Numbers of what a component is sent: they grow with every change and with nothing else."""

from streamlit.testing.v1 import AppTest


def script() -> None:
    import streamlit as st

    from app.components.newest import number_data

    st.session_state.setdefault("numbers", []).append(number_data("one", {"src": st.session_state["src"]})["number"])
    number_data("other", {"src": st.session_state["src"]})


def test_the_number_grows_when_the_data_change_and_stays_when_they_stay():
    at = AppTest.from_function(script)
    for source in ("a", "a", "b", "a"):
        at.session_state["src"] = source
        at.run()
    first, again, changed, back = at.session_state["numbers"]
    assert first == again < changed < back


def test_a_session_after_a_lost_one_goes_on_above_its_numbers():
    numbers = []
    for _ in range(2):
        at = AppTest.from_function(script)
        for turn in range(3):
            at.session_state["src"] = f"{turn}"
            at.run()
        numbers.append(at.session_state["numbers"])
    assert numbers[1][0] > numbers[0][-1]
