"""Weights and data sets that have to be downloaded: beside the page, once for all, and only by those who may."""

import gzip
import hashlib
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from app_pages import choose, entered, errors, turned
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
from cnnviz.models.catalogue import architecture, registry
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
def tiny(registered, monkeypatch: pytest.MonkeyPatch, server: Server, weights_home) -> str:
    """A network whose weights the server publishes."""
    name, content = registered("tiny", Tiny), saved(Tiny().state_dict())
    file = f"tiny-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    server.files[file] = content
    known = registry.find(name)
    meta = {"categories": list("abcd")}
    public = PublicWeights("Tiny", "a test", f"{server.address}/{file}", known.preprocessing, meta)
    architecture.replace(replace(known, pretrained="Tiny"))
    find = pretrained.find_weights
    monkeypatch.setattr(pretrained, "find_weights", lambda one: public if one.name == name else find(one))
    return name


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
    return " ".join(str(shown.value) for shown in (*at.caption, *at.info))


def test_a_downloaded_data_set_opens_again_and_again(opened, published, server):
    at = brought(opened("top9", net="lenet5", corpus=published))
    for _ in range(3):
        assert errors(at) == [] and at.selectbox(key="corpus").value == published
        assert "3 images" in words(at) or "Index" in str([b.label for b in at.button])
        at.run()
    again = opened("top9", net="lenet5", corpus="mnist")
    assert errors(again) == [] and len(server.asked) == 4


def test_clicks_and_other_pages_do_not_stop_a_download_and_all_see_the_same(opened, tiny, held, server):
    at = opened("first_layer_filters", net=tiny, weights="pretrained")
    under_way(server)
    assert errors(at) == [] and "cancel_download" in {b.key for b in at.button}
    choose(at, "net", "lenet5")
    assert errors(at) == [] and at.get("bidi_component")  # another network is looked at meanwhile
    other = opened("feature_maps", net=tiny, weights="pretrained")
    assert errors(other) == [] and "cancel_download" in {b.key for b in other.button}
    held.set()
    other = brought(other)
    assert errors(other) == [] and other.get("bidi_component")
    assert len(server.asked) == 1
    assert errors(opened("home", net=tiny, weights="pretrained")) == [] and len(server.asked) == 1


def test_a_download_is_cancelled_by_its_button_leaves_nothing_and_starts_by_another(
    opened, tiny, held, server, weights_home
):
    at = opened("first_layer_filters", net=tiny, weights="pretrained")
    under_way(server)
    at.button(key="cancel_download").click().run()
    held.set()
    at = brought(at)
    assert errors(at) == [] and "was stopped" in words(at) and not list(weights_home.glob("*"))
    at = brought(at.button(key="start_download").click().run())
    assert errors(at) == [] and at.get("bidi_component") and len(list(weights_home.glob("*.pth"))) == 1


def test_weights_that_are_damaged_on_the_disk_are_downloaded_again(opened, tiny, weights_home, server):
    weights_home.mkdir(parents=True)
    (weights_home / next(iter(server.files))).write_bytes(b"half a file")
    at = brought(opened("first_layer_filters", net=tiny, weights="pretrained"))
    assert errors(at) == [] and at.get("bidi_component") and server.asked


def test_a_failed_download_says_why_and_is_tried_again_by_a_button(opened, tiny, server, weights_home):
    name, content = server.files.popitem()
    at = brought(opened("first_layer_filters", net=tiny, weights="pretrained"))
    (message,) = errors(at)
    assert str(weights_home) in message.replace("\\", "")
    server.files[name] = content
    at = brought(at.button(key="start_download").click().run())
    assert errors(at) == [] and at.get("bidi_component")


@pytest.fixture
def lesson(monkeypatch: pytest.MonkeyPatch) -> room.Classroom:
    monkeypatch.setenv("CNNVIZ_CLASS_TOKEN", "a-token-of-this-test")
    return room.get_room()


@pytest.mark.parametrize("what", ["weights", "data"])
def test_a_student_is_refused_before_anything_is_connected_to(lesson, tiny, published, server, what):
    if what == "weights":
        at = entered("first_layer_filters", net=tiny, weights="pretrained")
    else:
        at = entered("top9", net="lenet5", corpus=published)
    (message,) = errors(at)
    assert "only the lecturer may start" in message and server.asked == []


def test_a_student_joins_the_lecturer_s_download_and_cannot_stop_it(lesson, tiny, held, server):
    lecturer = AppTest.from_file(str(entered.__globals__["HOME"]), default_timeout=90)
    lecturer.session_state["class_joined"] = lecturer.session_state["class_lecturer"] = True
    lecturer.query_params["weights"] = "file-gone"
    lecturer.run()
    lecturer.query_params.clear()
    lecturer.query_params.update({"net": tiny, "weights": "pretrained"})
    assert errors(turned(lecturer, "first_layer_filters")) == []
    under_way(server)
    student = entered("first_layer_filters", net=tiny, weights="pretrained")
    assert errors(student) == [] and student.button(key="cancel_download").disabled
    held.set()
    student = brought(student)
    assert errors(student) == [] and student.get("bidi_component") and len(server.asked) == 1


def test_no_folder_of_the_server_reaches_a_student(lesson, tiny, server, weights_home, tmp_path):
    server.files.clear()
    lesson.allowed = True
    at = brought(entered("first_layer_filters", net=tiny, weights="pretrained"))
    (message,) = errors(at)
    assert "could not reach the file" in message and str(tmp_path) not in message.replace("\\", "")
    lesson.allowed = False
    (message,) = errors(at.run())
    assert "only the lecturer may start" in message


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

    from app.pickers.corpus import pick_corpus

    pick_corpus(SimpleNamespace(one_channel=True))


def test_a_tour_downloads_nothing_ahead(tiny, server):
    stop = Stop("filters", {"net": tiny, "weights": "pretrained"}, "Tiny", "")
    prewarm.visit_stops(Tour("t", "T", (stop,)), lambda title: True)
    assert server.asked == []
