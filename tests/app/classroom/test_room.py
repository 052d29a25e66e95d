"""A class: one room for all sessions, a role that needs the token, long work that needs the lecturer."""

import threading
from pathlib import Path

import pytest
import streamlit as st
from app_pages import entered, errors, pictures, turned
from streamlit.testing.v1 import AppTest

from app import access
from app.classroom import room as classroom
from app.classroom.room import GONE, PAUSE, TRIES, Classroom
from app.jobs import background
from app.session import networks
from app.session.networks import Choice
from app.views.patches import building
from cnnviz.data.open import corpus
from cnnviz.errors import BadInput
from cnnviz.index.search.build import index_patches

HOME = Path(__file__).resolve().parents[3] / "app" / "Home.py"
TOKEN = "a-token-of-this-test"


@pytest.fixture
def lesson(monkeypatch: pytest.MonkeyPatch) -> Classroom:
    """The room of an app that `cnnviz class` has started."""
    monkeypatch.setenv("CNNVIZ_CLASS_TOKEN", TOKEN)
    monkeypatch.setenv("CNNVIZ_CLASS_ADDRESS", "http://192.168.1.20:8501")
    return classroom.get_room()


def choice(at: AppTest, key: str) -> str:
    """What the URL says."""
    value = dict(at.query_params).get(key, "")
    return value if isinstance(value, str) else value[0]


def alts(at: AppTest) -> list[str]:
    """The descriptions of the plain pictures."""
    return [image.alt for shown in at.get("image") for image in shown.proto.imgs]


def take_the_lead(at: AppTest, token: str = TOKEN) -> AppTest:
    at.text_input(key="class_token_text").set_value(token)
    next(b for b in at.button if b.label == "Take the lead").click()
    return at.run()


# --- the room -----------------------------------------------------------------------------------------------


def test_a_view_gets_a_new_version_only_when_it_changes():
    room = Classroom(TOKEN)
    assert room.view.version == 0
    assert room.publish("filters", {"unit": "3"}).version == 1
    assert room.publish("filters", {"unit": "3"}).version == 1
    assert room.publish("filters", {}).version == 2
    assert room.publish("", {}).version == 3
    assert (room.view.page, room.view.query) == ("", {})
    assert room.publish("", {"net": "lenet5"}, same=True).version == 3 and room.view.query == {"net": "lenet5"}


def test_what_concerns_the_lecturer_s_own_screen_is_not_shown_to_the_class():
    room = Classroom(TOKEN)
    assert room.publish("unit", {"present": "True", "device": "cuda", "unit": "1"}).query == {"unit": "1"}
    assert room.publish("unit", {"unit": "1"}).version == 1
    paths = {"folder": "/home/me/photographs", "indexfile": "/home/me/a.npz"}
    assert room.publish("top-9", {"corpus": "folder", **paths}).query == {"corpus": "folder"}


def test_many_threads_publish_and_follow_without_losing_or_mixing_views():
    room, seen, going = Classroom(TOKEN), [], threading.Event()

    def lead(page: str) -> None:
        for number in range(60):
            room.publish(page, {"unit": str(number), "page": page})

    def follow() -> None:
        while not going.is_set():
            seen.append(room.view)

    followers = [threading.Thread(target=follow) for _ in range(3)]
    leaders = [threading.Thread(target=lead, args=(page,)) for page in ("a", "b", "c", "d")]
    for thread in followers + leaders:
        thread.start()
    for thread in leaders:
        thread.join(60)
    going.set()
    for thread in followers:
        thread.join(60)
    assert room.view.version == 240  # every one differs from the one before
    assert all(view.query.get("page", "") == view.page for view in seen)
    by_version: dict[int, classroom.View] = {}
    for view in seen:
        assert by_version.setdefault(view.version, view) == view


def test_only_the_token_admits_and_after_some_wrong_ones_even_it_has_to_wait():
    room = Classroom(TOKEN)
    assert room.admit(TOKEN, "me", 0.0) and room.admit(f" {TOKEN}\n", "me", 0.0)
    wrong = ["", TOKEN[:-1], TOKEN + "\udcff", TOKEN.upper(), "ключ"]  # a lone surrogate, which is no UTF-8
    assert len(wrong) == TRIES
    for token in wrong:
        assert not room.admit(token, "guest", 1.0)
    with pytest.raises(BadInput, match="Wait a minute"):
        room.admit(TOKEN, "guest", 2.0)
    assert room.admit(TOKEN, "me", 2.0)  # one visitor's guesses do not lock out another
    assert room.admit(TOKEN, "guest", 1.0 + PAUSE)


def test_no_student_s_guesses_lock_the_lecturer_out_behind_a_proxy_that_gives_all_one_address(lesson, monkeypatch):
    monkeypatch.setattr(type(st.context), "ip_address", "10.0.0.1")
    student, lecturer = entered("playground"), entered("playground")
    for _ in range(TRIES + 1):
        take_the_lead(student, "guess")
    assert "Wait a minute" in errors(student)[0]
    take_the_lead(lecturer)
    assert errors(lecturer) == [] and "Students follow me" in {t.label for t in lecturer.toggle}


def test_a_token_that_can_be_guessed_is_refused_at_the_start(monkeypatch):
    monkeypatch.setenv("CNNVIZ_CLASS_TOKEN", "1234")
    with pytest.raises(BadInput, match="has 4 characters.*at least 16"):
        classroom.check_token()
    monkeypatch.setenv("CNNVIZ_CLASS_TOKEN", TOKEN)
    classroom.check_token()
    monkeypatch.delenv("CNNVIZ_CLASS_TOKEN")
    classroom.check_token()


def test_many_threads_get_no_more_tries_than_one():
    room, answers = Classroom(TOKEN), []

    def guess() -> None:
        for n in range(20):
            try:
                answers.append(room.admit(f"guess {n}", "guest", 1.0))
            except BadInput:
                answers.append("refused")

    threads = [threading.Thread(target=guess) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers.count(False) == TRIES and answers.count("refused") == 160 - TRIES


def test_who_is_not_heard_of_for_a_while_has_left():
    room = Classroom(TOKEN)
    room.hear("one", True, 0.0)
    room.hear("two", False, 1.0)
    assert room.count_students(2.0) == (2, 1)
    room.hear("two", True, GONE + 0.5)
    assert room.count_students(GONE + 0.6) == (1, 1)
    assert room.count_students(3 * GONE) == (0, 0)


# --- the app ------------------------------------------------------------------------------------------------


def test_without_a_class_there_is_no_class_in_the_app_and_everybody_may_do_everything(opened):
    at = opened("playground")
    assert errors(at) == [] and access.may_start()
    assert not {"Follow the lecturer", "Students follow me"} & {t.label for t in at.toggle}


def test_a_browser_is_asked_for_the_token_before_anything_is_drawn(lesson):
    at = AppTest.from_file(str(HOME), default_timeout=90)
    at.query_params["tour"] = "lecture"
    at.run()
    assert errors(at) == [] and not at.title and "Joining" in at.caption[0].value
    assert at.query_params["tour"] in ("lecture", ["lecture"]) and "stop" not in at.query_params


def test_the_token_gives_the_lead_and_a_wrong_one_is_refused_in_words(lesson):
    at = take_the_lead(entered("playground"), "guess")
    assert "not this class's token" in errors(at)[0] and lesson.view.version == 0
    assert "Students follow me" not in {t.label for t in at.toggle}
    for _ in range(TRIES):
        at = take_the_lead(at, "guess")
    assert "Wait a minute" in errors(at)[0]
    assert "Wait a minute" in errors(at.run())[0]  # until the next try
    lesson._wrong.clear()  # a minute later
    at = take_the_lead(at)
    assert errors(at) == [] and {"Students follow me", "Students may start long work"} <= {t.label for t in at.toggle}
    assert (lesson.view.version, lesson.view.page) == (1, "playground")
    assert TOKEN not in str(dict(at.query_params)) and TOKEN not in str(lesson.view)


def answering(token: str) -> None:
    """A page whose browser has answered with a token that it remembers."""
    import streamlit as st

    from app.classroom import panel

    if "class_joined" not in st.session_state:
        panel._admit(token)
    panel.draw()


def test_a_token_of_another_class_is_refused_where_it_is_seen_and_is_forgotten(lesson):
    at = AppTest.from_function(answering, args=("of-yesterday",), default_timeout=30)
    for _ in range(2):
        at.run()
        assert not at.exception and "not this class's token" in at.error[0].value
        assert not [e for expander in at.expander for e in expander.error]  # which is closed
        assert "token_forgotten" in {shown.key for shown in at.get("bidi_component")}
    assert sum(map(len, lesson._wrong.values())) == 1
    for _ in range(TRIES):
        lesson.admit("guess", "guest")
    at = AppTest.from_function(answering, args=(TOKEN,), default_timeout=30)
    at.session_state["class_visitor"] = "guest"
    at.run()  # right, and too early
    assert "Wait a minute" in at.error[0].value
    assert "token_forgotten" not in {shown.key for shown in at.get("bidi_component")}


def test_a_student_goes_where_the_lecturer_goes_roams_and_comes_back(lesson):
    lecturer, student = take_the_lead(entered("playground")), entered("playground")
    lecturer.query_params.clear()
    lecturer.query_params["view"] = "Matrix"
    lecturer.run()
    assert lesson.view.query == {"view": "Matrix"}
    student.run()
    assert errors(student) == [] and choice(student, "view") == "Matrix"
    follow = next(t for t in student.toggle if t.label == "Follow the lecturer")
    follow.set_value(False).run()
    lesson.publish("playground", {"view": "Counters"})
    student.run()
    assert choice(student, "view") == "Matrix"
    next(t for t in student.toggle if t.label == "Follow the lecturer").set_value(True).run()
    assert errors(student) == [] and choice(student, "view") == "Counters"


def test_the_lecturer_can_look_something_up_without_the_class(lesson):
    lecturer = take_the_lead(entered("playground"))
    version = lesson.view.version
    lecturer.toggle(key="class_shared").set_value(False).run()
    turned(lecturer, "playground")
    lecturer.query_params["view"] = "Matrix"
    lecturer.run()
    assert not lesson.shared and lesson.view.version == version
    lecturer.toggle(key="class_shared").set_value(True).run()
    assert lesson.view.version == version + 1


def test_a_student_starts_no_download(lesson, server, weights_home, monkeypatch):
    name = "squeezenet1_1-b8a52dc0.pth"
    server.files[name] = bytes(3_000_000)
    monkeypatch.setenv("CNNVIZ_WEIGHTS_MIRROR", server.address)
    at = entered("first_layer_filters", net="squeezenet1_1", weights="pretrained")
    refused = " ".join(shown.value for shown in at.info)
    assert "only the lecturer may start" in refused and "Downloading weights" in refused and errors(at) == []
    assert not list(weights_home.parent.rglob("*.pth")) and server.asked == []
    lesson.allowed = True
    at.run().button(key="start_download").click().run()
    for job in list(background._registry()[0].values()):
        job._thread.join(30)
    at.run()
    assert server.asked and "could not reach the file" in errors(at)[0]  # these are not the published bytes


def gated() -> None:
    """A script that starts long work, as a student or as the lecturer."""
    import streamlit as st
    from app_jobs import until_cancelled

    from app import access
    from app.jobs import background

    try:
        st.session_state["job"] = background.start("gated", "Indexing samples", until_cancelled)
    except access.NotAllowed as error:
        st.session_state["refused"] = str(error)
    if st.session_state.get("cancel"):
        background.find("gated").cancel()


def test_students_start_no_long_work_join_what_runs_and_cannot_stop_it(lesson):
    student = AppTest.from_function(gated, default_timeout=30).run()
    assert not student.exception and "only the lecturer may start" in student.session_state["refused"]
    assert "Indexing samples" in student.session_state["refused"] and "gated" not in background._registry()[0]
    lecturer = AppTest.from_function(gated, default_timeout=30)
    lecturer.session_state["class_lecturer"] = True
    job = lecturer.run().session_state["job"]
    joining = AppTest.from_function(gated, default_timeout=30)
    joining.session_state["cancel"] = True
    joining.run()
    assert joining.session_state["job"] is job and job.running and not job.cancelled
    lecturer.session_state["cancel"] = True
    lecturer.run()
    assert job.cancelled


def test_students_start_long_work_once_the_lecturer_lets_them(lesson):
    lesson.allowed = True
    at = AppTest.from_function(gated, default_timeout=30).run()
    assert at.session_state["job"].running and "refused" not in at.session_state


def test_a_student_s_home_says_that_the_index_is_the_lecturer_s_and_shows_the_rest(lesson):
    at = entered("home", net="lenet5")
    assert errors(at) == []
    assert any("only the lecturer may start" in caption.value for caption in at.caption)
    assert any(alt.startswith("Feature maps of") for alt in alts(at))
    at = turned(at, "top9")
    assert errors(at) == [] and ["only the lecturer may start" in one.value for one in at.info] == [True]
    at = turned(at, "feature_maps")
    assert errors(at) == [] and any("only the lecturer may start" in one.value for one in at.info)
    assert {"**Maps**", "Patches", "Unit"} <= {link.proto.label for link in at.get("page_link")}  # what stands above it


def test_a_student_sees_the_wall_of_an_index_that_the_lecturer_has_stopped_half_way(lesson):
    choice = Choice("lenet5", "bundled", "cpu")
    network, images = networks.load(choice), corpus("digits")
    path = building.index_path(network, images)
    partial = index_patches(network.model, images, ["conv1"], out=path, progress=lambda state: False, batch=8)
    assert 0 < partial.meta["next"] < len(images)
    at = entered("top9", net="lenet5", layer="conv1", device="cpu")
    assert errors(at) == [] and "wall_picture" in pictures(at)
    assert any("only the lecturer may start" in one.value for one in at.info)
