"""A closed tab leaves nothing behind but what is to stay; and what one person brings is bounded."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import streamlit as st

from app import access, limits
from app.classroom import room
from app.session import tabs, uploads
from cnnviz.errors import BadInput
from cnnviz.figures.base.encode import rgb_png

TOKEN = "a-token-of-this-test"


class People:
    """Visitors in turn; `open`: the sessions whose browsers are connected."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch, self.open = monkeypatch, set[str]()

    def come(self, name: str, lecturer: bool = False) -> None:
        """From here on this one acts, in a tab of its own."""
        self._patch.setattr(st, "session_state", {"class_visitor": name, "class_lecturer": lecturer})
        self.open.add(name)
        tabs.arrive()
        tabs._me().session = name

    def leave(self, *names: str, at: float = 0.0) -> list[str]:
        """Their tabs are closed at a time, and do not come back; returns the sessions that ended."""
        self.open -= set(names)
        tabs.sweep(self.open.__contains__, at)
        return tabs.sweep(self.open.__contains__, at + tabs.GRACE)


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch) -> People:
    """A class."""
    monkeypatch.setenv("CNNVIZ_CLASS_TOKEN", TOKEN)
    return People(monkeypatch)


def photo(shade: int) -> str:
    name = uploads.store_photo(rgb_png(np.full((4, 4, 3), shade, np.uint8)), "a.png")
    tabs.bring(name)
    return name


def weights(data: bytes, answered: bool = True) -> str:
    name = uploads.store_weights(data)
    if answered:
        uploads.side_file(name).write_text("{}")
    tabs.bring(name)
    return name


def images(data: bytes) -> str:
    name = uploads.store_zip(data).name
    tabs.bring(name)
    return name


def stored(cache: Path) -> list[str]:
    return sorted(str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file())


def test_six_students_who_upload_and_leave_leave_nothing(people, cache):
    uploads.cache_folder("weights")
    before = stored(cache)
    for number in range(6):
        people.come(f"student {number}")
        weights(b"w%d" % number, answered=number % 2 == 0)
        photo(number)
        images(b"PK%d" % number)
    assert len(stored(cache)) == 6 * 4 + 3
    everybody = [f"student {number}" for number in range(6)]
    assert people.leave(*everybody) == everybody
    assert stored(cache) == before and tabs._tabs().here == {}


def test_what_the_lecturer_brings_stays_but_for_a_file_nobody_has_answered_about(people, cache):
    people.come("lecturer", lecturer=True)
    kept = weights(b"answered")
    weights(b"not answered", answered=False)
    shown = photo(1)
    people.leave("lecturer")
    assert [uploads.size_of(name) > 0 for name in (kept, shown)] == [True, True]
    assert len(stored(cache)) == 4


def test_what_the_lecturer_has_brought_does_not_go_with_a_student_who_has_it_too(people):
    people.come("lecturer", lecturer=True)
    name = weights(b"of both")
    people.come("student")
    weights(b"of both")
    people.leave("student")
    people.leave("lecturer")
    assert uploads.size_of(name) == len(b"of both")


def test_a_student_s_upload_goes_with_the_last_tab_that_shows_it(people, cache):
    people.come("student")
    name = photo(7)
    people.come("friend")
    tabs.use(name)  # by a link
    people.leave("student")
    assert uploads.is_stored_photo(name)
    people.leave("friend", at=1000.0)
    assert stored(cache) == []


def test_a_tab_that_comes_back_keeps_what_it_has(people):
    people.come("student")
    name = photo(3)
    people.open.clear()
    assert tabs.sweep(people.open.__contains__, 0.0) == [] == tabs.sweep(people.open.__contains__, tabs.GRACE - 1)
    people.open.add("student")
    assert tabs.sweep(people.open.__contains__, tabs.GRACE) == []
    people.open.clear()
    assert tabs.sweep(people.open.__contains__, 500.0) == [] and uploads.is_stored_photo(name)
    assert tabs.sweep(people.open.__contains__, 500.0 + tabs.GRACE) == ["student"]
    assert not uploads.is_stored_photo(name)


def test_a_zip_that_takes_the_place_of_another_takes_its_room_too(people):
    people.come("student")
    first = images(b"PK1")
    second = uploads.store_zip(b"PK2").name
    tabs.replace(first, second)
    assert uploads.size_of(first) == 0 and uploads.size_of(second) == 3


def test_without_a_class_uploads_stay_and_a_file_nobody_has_answered_about_goes(people, monkeypatch, cache):
    monkeypatch.delenv("CNNVIZ_CLASS_TOKEN")
    people.come("somebody")
    kept, _ = weights(b"answered"), weights(b"not answered", answered=False)
    people.leave("somebody")
    assert stored(cache) == sorted([f"weights/{kept[5:]}", f"weights/{kept[5:]}.json"])


def arriving(name: str, size: int, key: str = "") -> SimpleNamespace:
    """A file as Streamlit's uploader gives it."""
    return SimpleNamespace(name=name, file_id=key or name, getbuffer=lambda: memoryview(bytes(size)))


def test_the_limit_that_is_stated_is_the_one_that_holds(people):
    people.come("lecturer", lecturer=True)
    tabs.check_room(arriving("a.png", 64 * limits.MIB), 64)
    with pytest.raises(BadInput, match=r"a\.png has 64 MB; up to 64 MB are taken here"):
        tabs.check_room(arriving("a.png", 64 * limits.MIB + 1), 64)


def test_one_person_keeps_only_so_many_bytes_and_the_lecturer_is_not_bound(people, monkeypatch):
    monkeypatch.setattr(limits, "OWN_BYTES", 1000)
    people.come("student")
    weights(bytes(700))
    tabs.check_room(arriving("b.zip", 300), 1)
    images(bytes(300))
    tabs.check_room(arriving("b.zip", 300), 1)  # drawn again: it is here already
    with pytest.raises(BadInput, match=r"c\.pth is not kept.*Remove a file"):
        tabs.check_room(arriving("c.pth", 1), 1)
    people.come("other")
    tabs.check_room(arriving("c.pth", 900), 1)
    people.come("lecturer", lecturer=True)
    weights(bytes(2000))
    tabs.check_room(arriving("c.pth", 900), 1)


@pytest.mark.parametrize(
    "name", ["", "file-", "file-../../etc/passwd", "../a.zip", "upload-x", "x.npz", "file-" + "0" * 17]
)
def test_no_name_leads_out_of_the_store(name, cache):
    assert uploads.place_of(name) is None and uploads.size_of(name) == 0
    uploads.forget(name)


def test_a_student_may_upload_weights_as_large_as_the_networks_that_students_open(people, monkeypatch):
    lesson = room.Classroom(TOKEN)
    monkeypatch.setattr(access, "get_room", lambda: lesson)
    people.come("student")
    assert limits.weights_mb() * limits.MIB == limits.LARGE_NETWORK
    lesson.allowed = True
    assert limits.weights_mb() == 600
    people.come("lecturer", lecturer=True)
    lesson.allowed = False
    assert limits.weights_mb() == 600
