"""A tour in the app: its stops are links, its bar is on every page, its work is done ahead; keys step pickers."""

import itertools
from pathlib import Path

import pytest
from app_pages import errors, stop_jobs, turned
from streamlit.testing.v1 import AppTest

from app.jobs import background
from app.session import shared
from app.shell import presenting, prewarm
from cnnviz.tours import Stop, Tour

TOUR = """
title: Two stops and a third
stops:
  - {page: playground, query: {view: Matrix}, title: "The *first* [link](http://example.org)", notes: Look.}
  - {page: filters, query: {net: lenet5, unit: 3}, title: Kernels}
  - {page: playground, title: The last}
"""


STOPS = [
    ("1", "Convolution playground", {"view": "Matrix"}),
    ("2", "First-layer filters", {"net": "lenet5", "unit": "3"}),
    ("3", "Convolution playground", {}),
]


@pytest.fixture
def tours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tours"
    folder.mkdir()
    (folder / "mine.yaml").write_text(TOUR)
    monkeypatch.setenv("CNNVIZ_TOURS", str(folder))
    monkeypatch.setattr(prewarm, "start", lambda tour: None)  # measured on its own below
    return folder


def bar(at: AppTest) -> str:
    """The words of the bar."""
    return next(m.value for m in at.markdown if "/ 3" in m.value)


def query(at: AppTest) -> dict[str, str]:
    pairs = dict(at.query_params).items()
    return {key: value if isinstance(value, str) else value[0] for key, value in pairs}


def test_a_tour_leads_from_stop_to_stop_and_its_place_is_in_the_address(opened, tours):
    at = opened("playground", tour="mine")
    assert errors(at) == [] and query(at) == {"view": "Matrix", "tour": "mine", "stop": "1"}
    assert "1 / 3" in bar(at) and "Look" in bar(at) and at.button(key="tour_back").disabled
    assert r"\[link\](http" in bar(at)  # words of a file are no Markdown
    at.button(key="tour_on").click().run()
    assert errors(at) == [] and query(at) == {"net": "lenet5", "unit": "3", "tour": "mine", "stop": "2"}
    assert at.title[0].value == "First-layer filters" and at.number_input(key="unit").value == 3
    at.button(key="tour_on").click().run()
    assert query(at) == {"tour": "mine", "stop": "3"} and at.button(key="tour_on").disabled
    at.button(key="tour_back").click().run()
    assert query(at)["stop"] == "2" and at.number_input(key="unit").value == 3


@pytest.mark.parametrize(("stop", "page", "choices"), STOPS)
@pytest.mark.parametrize("present", [{}, {"present": "True"}])
def test_a_link_that_names_tour_and_stop_alone_opens_that_stop(stop, page, choices, present, opened, tours):
    at = opened("home", tour="mine", stop=stop, **present)
    assert errors(at) == [] and at.title[0].value == page
    assert query(at) == {**choices, "tour": "mine", "stop": stop, **present}


def test_home_can_be_visited_during_a_tour(opened, tours):
    at = opened("playground", tour="mine", stop="3")
    turned(at, "home")
    at.query_params.update({"tour": "mine", "stop": "3"})
    at.run()
    assert errors(at) == [] and query(at) == {"tour": "mine", "stop": "3"}
    assert [button for button in at.button if button.key == "tour_here"]


def test_who_leaves_the_way_finds_back_and_who_leaves_the_tour_keeps_the_view(opened, tours):
    at = opened("first_layer_filters", tour="mine", stop="2", net="lenet5", unit="3")
    at.number_input(key="unit").set_value(5).run()
    assert query(at) == {"net": "lenet5", "unit": "5", "tour": "mine", "stop": "2"}
    turned(at, "playground")
    at.query_params.update({"tour": "mine", "stop": "2"})
    at.run()
    at.button(key="tour_here").click().run()
    assert errors(at) == [] and query(at)["unit"] == "3" and at.title[0].value == "First-layer filters"
    at.button(key="leave_tour").click().run()
    assert query(at) == {"net": "lenet5", "unit": "3"} and not [m for m in at.markdown if "/ 3" in m.value]


@pytest.mark.parametrize("stop", ["99", "0", "-1", "abc", "²", "9" * 50])
def test_a_stop_that_does_not_exist_gives_way_to_one_that_does(stop, opened, tours):
    at = opened("playground", tour="mine", stop=stop)
    assert errors(at) == [] and ("3 / 3" if stop == "99" else "1 / 3") in bar(at)


@pytest.mark.parametrize("name", ["missing", "../mine", "broken"])
def test_a_tour_that_cannot_run_is_said_in_words_and_can_be_left(name, opened, tours):
    (tours / "broken.yaml").write_text("title: T\nstops: [{page: nowhere, title: A}]")
    at = opened("playground", tour=name)
    said = next(m.value for m in at.markdown if "cannot run" in m.value)
    assert errors(at) == [] and at.title[0].value == "Convolution playground"
    assert ("stop 1" in said) == (name == "broken")
    at.button(key="leave_tour").click().run()
    assert query(at) == {} and not [m for m in at.markdown if "cannot run" in m.value]


def test_the_sidebar_offers_the_tours_and_presenter_mode_stays_over_pages(opened, tours):
    at = opened("playground", present="1")
    assert at.toggle(key="present").value is True and any("--cnnviz-present" in h.proto.body for h in at.get("html"))
    at.button(key="tour_mine").click().run()
    assert query(at) == {"view": "Matrix", "tour": "mine", "stop": "1", "present": "True"}
    at.toggle(key="present").set_value(False).run()
    assert "present" not in query(at) and not any("--cnnviz-present" in h.proto.body for h in at.get("html"))
    at.toggle(key="present").set_value(True).run()
    at.button(key="tour_on").click().run()
    assert query(at)["stop"] == "2" and query(at)["present"] == "True" and at.toggle(key="present").value is True


def test_every_key_of_the_list_is_bound_and_no_key_of_streamlit_s_is(opened):
    assert not {"r", "c", "R", "C"} & set(presenting._KEYS)
    listed = " ".join(keys for keys, _words in presenting._HELP)
    assert all(key in listed for key in "npgluif0s?")


def press(action: str) -> None:
    """A script with pickers, on which a key is pressed."""
    import streamlit as st

    from app.url import address

    address.begin("page")
    action = st.session_state.pop("pressed", None)
    if action:
        address.acknowledge(action[2] - 1)
        st.session_state["moved"] = address.step(*action)
    address.bind(st.selectbox, "Layer", "layer", "b", options=["a", "b", "c"])
    address.bind(st.number_input, "Channel", "unit", 0, min_value=0, max_value=3, step=1)
    address.finish(drawn=True)


def test_a_step_moves_a_picker_up_to_its_ends_and_only_one_that_the_page_has():
    at, presses = AppTest.from_function(press, default_timeout=30, args=("",)).run(), itertools.count(1)

    def stepped(key: str, by: int) -> bool:
        at.session_state["pressed"] = (key, by, next(presses))
        at.run()
        assert not at.exception
        return at.session_state["moved"]

    assert stepped("layer", 1) and at.selectbox(key="layer").value == "c" and query(at) == {"layer": "c"}
    assert not stepped("layer", 1) and at.selectbox(key="layer").value == "c"
    assert stepped("layer", -1) and query(at) == {}
    assert stepped("unit", 2) and stepped("unit", 9) and at.number_input(key="unit").value == 3
    assert not stepped("unit", 1) and not stepped("image", 1)


def test_a_press_is_not_undone_by_the_old_value_that_the_browser_sends_with_the_next():
    at = AppTest.from_function(press, default_timeout=30, args=("",)).run()
    at.session_state["pressed"] = ("unit", 1, 5)
    at.run()
    at.session_state["unit"] = 0  # sent before the browser saw the 1
    at.session_state["pressed"] = ("unit", 1, 5)  # and it has seen presses up to 4 only
    at.run()
    assert at.number_input(key="unit").value == 2
    at.session_state["unit"] = 1  # the page is drawn, this field not yet
    at.session_state["pressed"] = ("unit", 1, 6)
    at.run()
    assert at.number_input(key="unit").value == 3
    at.number_input(key="unit").set_value(0).run()  # by hand, later
    at.session_state["pressed"] = ("unit", 1, 7)
    at.run()
    assert at.number_input(key="unit").value == 1


def hop() -> None:
    """A script in which keys ask for pages, and the browser's answers lag behind."""
    import streamlit as st

    from app.url import address

    address.go("playground", {"stop": "2"}, press=4)
    st.session_state.pop("go")  # obeyed
    address.acknowledge(3)  # the next press was made before the browser saw it
    st.session_state["again"] = address.peek()
    address.acknowledge(4)
    st.session_state.pop("go", None)
    address.acknowledge(4)
    st.session_state["later"] = address.peek()


def test_a_change_of_page_is_not_undone_by_a_press_made_before_the_browser_saw_it():
    at = AppTest.from_function(hop, default_timeout=30).run()
    assert not at.exception
    assert at.session_state["again"] == ("playground", {"stop": "2"}) and at.session_state["later"] is None


def test_the_work_of_a_tour_is_done_ahead_and_a_stop_that_fails_stops_nothing(monkeypatch):
    loaded, told = [], []
    original = shared.maps
    monkeypatch.setattr(shared, "maps", lambda *where: loaded.append((where[0].key, *where[1:])) or original(*where))
    stops = (
        Stop("playground", {}, "no network", ""),
        Stop("filters", {"net": "no-such-net"}, "fails", ""),
        Stop("feature-maps", {"net": "lenet5", "image": "digit-x"}, "fails", ""),
        Stop("feature-maps", {"net": "lenet5", "layer": "conv2", "image": "digit-3"}, "works", ""),
        Stop("top-9", {"net": "lenet5", "layer": "conv1"}, "indexed", ""),
    )
    prewarm.visit_stops(Tour("t", "T", stops), lambda progress: told.append(progress.note) or True)
    assert told == ["no network", "fails", "fails", "works", "indexed"]
    assert ("lenet5|bundled|auto||", "digit-3", "conv2") in loaded
    assert [job.name for job in background._registry()[0].values()] == ["Indexing digits"]
    stop_jobs()


def test_a_tour_that_is_left_prepares_no_further_stop():
    told: list[str] = []
    stops = tuple(Stop("playground", {}, str(n), "") for n in range(3))
    prewarm.visit_stops(Tour("t", "T", stops), lambda progress: told.append(progress.note) or len(told) < 2)
    assert told == ["0", "1"]
