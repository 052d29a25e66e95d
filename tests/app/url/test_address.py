"""The view and the URL: Back counts, an address that the browser sent too early does not."""

import pytest
from streamlit.runtime.scriptrunner_utils.script_run_context import ScriptRunContext
from streamlit.testing.v1 import AppTest

from app.url.address import RENAMED, _Step


def page() -> None:
    """A picker; once `ask` is set, a fragment's kind of rerun."""
    import streamlit as st

    from app.url import address

    address.begin("page")
    address.bind(st.selectbox, "Layer", "layer", "b", options=["a", "b", "c"])
    st.session_state["runs"] = st.session_state.get("runs", 0) + 1
    if st.session_state.pop("ask", False):
        address.rerun()
    address.finish(drawn=True)


def query(at: AppTest) -> dict[str, str]:
    return {key: value if isinstance(value, str) else value[0] for key, value in dict(at.query_params).items()}


@pytest.fixture
def at() -> AppTest:
    at = AppTest.from_function(page, default_timeout=30).run()
    at.selectbox(key="layer").select("c").run()
    assert query(at)["layer"] == "c" and at.session_state["runs"] == 2
    return at


def test_a_link_makes_the_url_the_truth(at: AppTest):
    del at.query_params["layer"]
    at.run()
    assert at.selectbox(key="layer").value == "b" and "layer" not in query(at)


def test_back_counts_whatever_was_touched_just_before_it_and_the_browser_is_told_its_url(at: AppTest, monkeypatch):
    begun = ScriptRunContext.reset
    monkeypatch.setattr(
        ScriptRunContext, "reset", lambda self, **named: begun(self, **{**named, "is_history_navigation": True})
    )
    at.session_state["address"].again = True  # the run before had asked for one more
    del at.query_params["layer"]
    at.selectbox(key="layer").select("a").run()  # typed, and left with Back
    assert at.selectbox(key="layer").value == "b" and "layer" not in query(at)


def test_back_counts_above_a_key_whose_run_was_cut_short(at: AppTest, monkeypatch):
    begun = ScriptRunContext.reset
    monkeypatch.setattr(
        ScriptRunContext, "reset", lambda self, **named: begun(self, **{**named, "is_history_navigation": True})
    )
    at.session_state["stepped"] = {"layer": _Step("a", press=1)}  # never drawn to the end
    del at.query_params["layer"]
    at.run()
    assert at.selectbox(key="layer").value == "b" and "layer" not in query(at)


def test_a_rerun_of_our_own_keeps_the_view_though_the_browser_sends_the_url_of_before(at: AppTest):
    at.session_state["address"].again = True  # as `rerun` leaves it
    del at.query_params["layer"]
    at.run()
    assert at.selectbox(key="layer").value == "c" and query(at)["layer"] == "c"
    at.session_state["address"].told.left.clear()  # the browser knows
    del at.query_params["layer"]
    at.run()  # only that one run
    assert at.selectbox(key="layer").value == "b"


def test_a_rerun_draws_the_page_anew_with_what_was_chosen(at: AppTest):
    at.session_state["ask"] = True
    at.selectbox(key="layer").select("a").run()
    assert at.session_state["runs"] == 4 and not at.session_state["address"].again
    assert at.selectbox(key="layer").value == "a" and query(at)["layer"] == "a"


def test_choices_of_older_links_are_known_by_their_new_names():
    def old(words: str) -> None:
        import streamlit as st

        from app.url import address

        address.begin("page")
        address.bind(st.selectbox, "Show", "show", "All", options=["All", *address.RENAMED.values()])
        address.finish(drawn=True)

    for words in RENAMED:
        at = AppTest.from_function(old, default_timeout=30, args=(words,))
        at.query_params["show"] = words
        at.run()
        assert at.selectbox(key="show").value == RENAMED[words] == query(at)["show"]
