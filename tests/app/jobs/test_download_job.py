"""Weights and data sets that have to be downloaded: beside the page, once for all, and only by those who may."""

import gzip
import hashlib
import shutil
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from app_pages import choose, chosen, entered, errors, pictures, turned
from fileserver import Server
from own_weights import saved
from streamlit.testing.v1 import AppTest
from torch import nn

from app.classroom import room
from app.jobs import background
from app.shell import prewarm
from app.views.patches import building
from cnnviz.data.public import public_files
from cnnviz.data.public.public_files import Archive, PublicSet
from cnnviz.models.catalogue import architecture, downloads, registry
from cnnviz.models.zoo import download as pretrained
from cnnviz.models.zoo.public_weights import PublicWeights
from cnnviz.tours import Stop, Tour


def mnist_files() -> dict[str, bytes]:
    """MNIST's four files with 3 images each. Source of the format: LeCun, Cortes, Burges."""
    pixels, labels = struct.pack(">4I", 2051, 3, 28, 28) + bytes(3 * 784), struct.pack(">2I", 2049, 3) + bytes(3)
    kinds = (("images-idx3", pixels), ("labels-idx1", labels))
    return {f"{split}-{kind}-ubyte": content for split in ("train", "t10k") for kind, content in kinds}


@pytest.fixture(autouse=True)
def no_indexing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is about indexes."""
    monkeypatch.setattr(building, "wants_start", lambda *_: False)


@pytest.fixture
def held(server: Server) -> Iterator[threading.Event]:
    """While it is not set, the server has sent half of each file."""
    server.hold = threading.Event()
    yield server.hold
    server.hold.set()


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path) -> str:
    """A small MNIST on the server, which no machine has yet."""
    archives = []
    for file, content in mnist_files().items():
        packed = gzip.compress(content)
        server.files[f"{file}.gz"] = packed
        archives.append(Archive(f"http://nobody.invalid/{file}.gz", hashlib.md5(packed).hexdigest(), len(packed)))
    monkeypatch.setitem(public_files.SETS, "mnist", PublicSet("MNIST", "MNIST/raw", tuple(archives)))
    monkeypatch.setenv("CNNVIZ_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("CNNVIZ_DATA_MIRROR", server.address)
    return "mnist-test"


class Tiny(nn.Sequential):
    """(N, 3, 16, 16) → (N, 4)."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, classes))


@pytest.fixture
def publish(registered, monkeypatch: pytest.MonkeyPatch, server: Server, weights_home) -> Callable[[str], str]:
    """`publish("tiny")`: a network of that name whose weights the server has; returns the file's name."""

    def enter(name: str) -> str:
        registered(name, Tiny)
        content = saved(Tiny().state_dict())
        file = f"{name}-{hashlib.sha256(content).hexdigest()[:8]}.pth"
        server.files[file] = content
        known = registry.find(name)
        meta = {"categories": list("abcd")}
        public = PublicWeights(name, "a test", f"{server.address}/{file}", known.preprocessing, meta)
        architecture.replace(replace(known, pretrained=name))
        find = pretrained.find_weights
        monkeypatch.setattr(pretrained, "find_weights", lambda one: public if one.name == name else find(one))
        return file

    return enter


@pytest.fixture
def tiny(publish) -> str:
    """A network whose weights the server publishes."""
    publish("tiny")
    return "tiny"


def brought(at: AppTest) -> AppTest:
    """The page once no download runs any more."""
    found, _lock = background._registry()
    for job in found.values():
        job._thread.join(30)
    return at.run()


def under_way(server: Server) -> None:
    """Wait until the server has been asked for a file."""
    end = time.monotonic() + 20
    while not server.asked and time.monotonic() < end:
        time.sleep(0.01)


def words(at: AppTest) -> str:
    return " ".join(str(shown.value) for shown in (*at.caption, *at.info, *at.markdown))


def keys(at: AppTest) -> set[str]:
    return {button.key for button in at.button}


def clicked(at: AppTest, key: str) -> AppTest:
    """The page once the download that this button starts has ended."""
    return brought(at.button(key=key).click().run())


def shown(at: AppTest) -> str:
    """What a page shows of its network: its pictures."""
    return str(sorted((key, data.get("src")) for key, data in pictures(at).items()))


def test_a_data_set_is_downloaded_after_a_click_and_opens_again_and_again(opened, published, server):
    at = brought(opened("top9", net="lenet5", corpus=published))
    assert errors(at) == [] and server.asked == []
    assert "MNIST is not on this computer" in words(at) and "Used until then: digits" in words(at)
    size = sum(len(content) for content in server.files.values())
    assert f"{size / 1e6:,.1f} MB from 127.0.0.1" in words(at)
    at = clicked(at, "start_data")
    for _ in range(3):
        assert errors(at) == [] and at.selectbox(key="corpus").value == published
        assert "3 images" in words(at) or "Index" in str([b.label for b in at.button])
        at.run()
    again = opened("top9", net="lenet5", corpus="mnist")
    assert errors(again) == [] and len(server.asked) == 4 and "start_data" not in keys(again)


def test_staying_with_the_images_that_are_shown_takes_the_question_away(opened, published, server):
    at = opened("top9", net="lenet5", corpus=published)
    at.button(key="stay_data").click().run()
    assert errors(at) == [] and at.selectbox(key="corpus").value == "digits"
    assert "start_data" not in keys(at) and server.asked == []


PAGES = ("home", "inspect", "feature_maps", "camera")


@pytest.mark.parametrize("page", PAGES)
def test_a_link_to_weights_that_are_not_here_shows_random_ones_and_asks(opened, tiny, server, weights_home, page):
    at = opened(page, net=tiny, weights="pretrained", camera="Snapshot")
    assert errors(at) == [] and server.asked == [] and not weights_home.exists()
    assert {"start_download", "stay_download"} <= keys(at)
    (title,) = at.title
    assert "random weights" in title.value and "Size not published from 127.0.0.1" in words(at)
    (file,) = server.files
    assert f"[{file}]({server.address}/{file})" in words(at).replace("\\", "") and str(weights_home) in words(at)


def test_agreeing_shows_the_trained_network_and_staying_the_random_one(opened, tiny, server):
    at = opened("first_layer_filters", net=tiny, weights="pretrained")
    before = shown(at)
    stayed = at.button(key="stay_download").click().run()
    assert shown(stayed) == before and stayed.selectbox(key="weights").value == "random"
    assert "start_download" not in keys(stayed) and server.asked == []
    at = opened("first_layer_filters", net=tiny, weights="pretrained")
    at = clicked(at, "start_download")
    assert shown(at) != before and "random weights" not in at.title[0].value
    assert keys(at).isdisjoint({"start_download", "stay_download", "cancel_download"}) and len(server.asked) == 1


def test_what_was_chosen_on_the_page_before_stays_until_the_weights_are_here(opened, tiny, publish, server):
    publish("other")
    at = opened("first_layer_filters", net="other")
    before = shown(at)
    at.session_state["net"] = tiny  # both at once, as by a card of a network whose weights can be downloaded
    at.selectbox(key="weights").select("pretrained").run()
    assert errors(at) == [] and shown(at) == before and server.asked == []
    assert "Shown until then: other with random weights" in words(at)
    elsewhere = turned(at, "feature_maps")
    assert "Shown until then: tiny with random weights" in words(elsewhere)  # nothing was shown here before
    at = clicked(turned(elsewhere, "first_layer_filters"), "start_download")
    assert errors(at) == [] and shown(at) != before and chosen(at, "net") == tiny


def test_clicks_and_other_pages_do_not_stop_a_download_and_all_see_the_same(opened, tiny, held, server):
    at = opened("first_layer_filters", net=tiny, weights="pretrained")
    before = shown(at)
    at.button(key="start_download").click().run()
    under_way(server)
    assert shown(at) == before and "cancel_download" in keys(at)
    choose(at, "net", "lenet5")
    assert errors(at) == [] and at.get("bidi_component")  # another network is looked at meanwhile
    other = opened("feature_maps", net=tiny, weights="pretrained")
    assert errors(other) == [] and "cancel_download" in keys(other)
    held.set()
    other = brought(other)
    assert errors(other) == [] and other.get("bidi_component")
    assert len(server.asked) == 1
    at = opened("home", net=tiny, weights="pretrained")
    assert errors(at) == [] and len(server.asked) == 1 and "random weights" not in at.title[0].value


def test_a_download_is_cancelled_by_its_button_leaves_nothing_and_starts_by_another(
    opened, tiny, held, server, weights_home
):
    at = opened("first_layer_filters", net=tiny, weights="pretrained")
    at.button(key="start_download").click().run()
    under_way(server)
    at.button(key="cancel_download").click().run()
    held.set()
    at = brought(at)
    assert errors(at) == [] and "was stopped" in words(at) and not list(weights_home.glob("*"))
    at = clicked(at, "start_download")
    assert errors(at) == [] and at.get("bidi_component") and len(list(weights_home.glob("*.pth"))) == 1


def test_weights_that_are_damaged_on_the_disk_are_downloaded_again_after_a_click(opened, tiny, weights_home, server):
    weights_home.mkdir(parents=True)
    (weights_home / next(iter(server.files))).write_bytes(b"half a file")
    at = opened("first_layer_filters", net=tiny, weights="pretrained")
    assert errors(at) == [] and "damaged on this computer" in words(at) and server.asked == []
    at = clicked(at, "start_download")
    assert errors(at) == [] and at.get("bidi_component") and server.asked and "start_download" not in keys(at)


FAILURES = {
    "offline": "No connection to",
    "missing": "answered 404",
    "broken": "broke after",
    "other": "is not the expected file",
    "full": "Free space on that disk",
    "unwritable": "Could not write",
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failed_download_keeps_the_page_says_why_and_is_tried_again_by_a_button(
    opened, tiny, server, weights_home, monkeypatch, nobody, kind
):
    (file, content), *_ = server.files.items()
    with monkeypatch.context() as broken:
        if kind == "offline":
            broken.setenv("CNNVIZ_WEIGHTS_MIRROR", nobody)
        elif kind == "missing":
            server.files.clear()
        elif kind == "broken":
            server.drop = True
        elif kind == "other":
            server.files[file] = content[:-1] + b"?"
        elif kind == "full":
            usage = shutil.disk_usage(Path.home())
            broken.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100))
        else:
            weights_home.parent.mkdir(parents=True)
            weights_home.write_bytes(b"a file in place of the folder")
        at = opened("first_layer_filters", net=tiny, weights="pretrained")
        before = shown(at)
        at = clicked(at, "start_download")
        (message,) = errors(at)
        assert FAILURES[kind] in message and "The page is unchanged" in message
        assert shown(at) == before
        assert {"start_download", "stay_download"} <= keys(at)
    server.files[file], server.drop = content, False
    weights_home.unlink() if weights_home.is_file() else None
    at = clicked(at, "start_download")
    assert errors(at) == [] and shown(at) != before


@pytest.fixture
def lecture(monkeypatch: pytest.MonkeyPatch, publish, published, server: Server) -> list[str]:
    """A lecture that wants two networks and one set of the server's."""
    files = {name: publish(name) for name in ("first", "second")}
    wanted = {name: (f"{server.address}/{file}", len(server.files[file])) for name, file in files.items()}
    monkeypatch.setattr(downloads, "LECTURE_WEIGHTS", wanted)
    monkeypatch.setattr(downloads, "LECTURE_DATA", ("mnist",))
    return list(wanted)


def test_one_click_on_home_brings_what_a_lecture_wants_and_says_what_is_here(opened, lecture, server, weights_home):
    at = opened("home")
    sizes = [f"{downloads.LECTURE_WEIGHTS[name][1] / 1e6:,.1f} MB" for name in lecture]
    said = words(at)
    assert "For a lecture: First, Second, MNIST" in said and " + ".join(sizes) in said and "127.0.0.1" in said
    assert "None of it is here yet" in said and server.asked == []
    at = clicked(at, "start_lecture")
    assert errors(at) == [] and "For a lecture, all is here: First, Second, MNIST." in words(at)
    assert len(list(weights_home.glob("*.pth"))) == 2 and len(server.asked) == 2 + 4


def test_a_lecture_s_downloads_are_cancelled_together_and_what_came_is_kept(opened, lecture, server, weights_home):
    url, _size = downloads.LECTURE_WEIGHTS["first"]
    weights_home.mkdir(parents=True)
    (weights_home / url.rpartition("/")[2]).write_bytes(server.files[url.rpartition("/")[2]])
    at = opened("home")
    assert "For a lecture: Second, MNIST." in words(at) and "Here already: First." in words(at)
    server.hold = threading.Event()
    at.button(key="start_lecture").click().run()
    under_way(server)
    at.button(key="cancel_lecture").click().run()
    server.hold.set()
    at = brought(at)
    assert errors(at) == [] and "start_lecture" in keys(at) and "Here already: First." in words(at)
    server.files.clear()
    (message, *_) = errors(clicked(at, "start_lecture"))
    assert "404" in message or "could not" in message.lower()


def test_a_lecture_s_box_is_not_for_students(lesson, lecture, server):
    assert "For a lecture" not in words(entered("home"))


@pytest.fixture
def lesson(monkeypatch: pytest.MonkeyPatch) -> room.Classroom:
    monkeypatch.setenv("CNNVIZ_CLASS_TOKEN", "a-token-of-this-test")
    return room.get_room()


@pytest.mark.parametrize("what", ["weights", "data"])
def test_a_student_is_told_who_may_download_and_nothing_is_connected_to(lesson, tiny, published, server, what):
    if what == "weights":
        at = entered("first_layer_filters", net=tiny, weights="pretrained")
    else:
        at = entered("top9", net="lenet5", corpus=published)
    assert errors(at) == [] and at.get("bidi_component")  # the page shows what it can
    assert "only the lecturer may start" in words(at) and server.asked == []
    assert keys(at).isdisjoint({"start_download", "start_data"})


def test_a_student_joins_the_lecturer_s_download_and_cannot_stop_it(lesson, tiny, held, server):
    lecturer = AppTest.from_file(str(entered.__globals__["HOME"]), default_timeout=90)
    lecturer.session_state["class_joined"] = lecturer.session_state["class_lecturer"] = True
    lecturer.query_params["weights"] = "file-gone"
    lecturer.run()
    lecturer.query_params.clear()
    lecturer.query_params.update({"net": tiny, "weights": "pretrained"})
    assert errors(turned(lecturer, "first_layer_filters")) == []
    lecturer.button(key="start_download").click().run()
    under_way(server)
    student = entered("first_layer_filters", net=tiny, weights="pretrained")
    assert errors(student) == [] and student.button(key="cancel_download").disabled
    held.set()
    student = brought(student)
    assert errors(student) == [] and student.get("bidi_component") and len(server.asked) == 1


def test_no_folder_of_the_server_reaches_a_student(lesson, tiny, server, weights_home, tmp_path):
    server.files.clear()
    lesson.allowed = True
    at = entered("first_layer_filters", net=tiny, weights="pretrained")
    assert str(tmp_path) not in words(at).replace("\\", "")
    at = clicked(at, "start_download")
    (message,) = errors(at)
    assert "could not reach the file" in message and str(tmp_path) not in message.replace("\\", "")
    lesson.allowed = False
    assert errors(at.run()) == [] and "only the lecturer may start" in words(at)


def test_the_disk_of_a_class_s_computer_is_the_lecturer_s(lesson):
    def offered(lecturer: bool) -> list[str]:
        at = AppTest.from_function(sources, default_timeout=60)
        at.session_state["class_lecturer"] = lecturer
        at.run()
        assert not at.exception
        return at.selectbox(key="corpus").options

    assert "folder" not in offered(False) and "folder" in offered(True)


def sources() -> None:
    """A page with the picker of the images."""
    from types import SimpleNamespace

    from app.pickers import bar
    from app.pickers.corpus import pick_corpus

    bar.draw()
    pick_corpus(SimpleNamespace(one_channel=True))


def test_a_tour_downloads_nothing_ahead(tiny, server):
    stop = Stop("filters", {"net": tiny, "weights": "pretrained"}, "Tiny", "")
    prewarm.visit_stops(Tour("t", "T", (stop,)), lambda title: True)
    assert server.asked == []
