"""What the app keeps, computes at once and takes in is bounded; those who wait know their place, and nobody starves."""

import gc
import io
import logging
import threading
import time
import weakref
import zipfile

import numpy as np
import pytest
import torch
from app_jobs import ended, until_cancelled
from app_pages import choose
from PIL import Image
from streamlit.testing.v1 import AppTest
from torch import nn

from app import access, limits
from app.jobs import background
from app.jobs.background import FULL, Job
from app.jobs.queue import JobQueue
from app.pickers import corpus as corpus_picker
from app.session import networks, shared, uploads
from app.session.cache import LruCache, array_cache, bytes_of, network_cache, weight_of
from app.session.networks import Choice, Network
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadImage, BadInput
from cnnviz.models.model import LoadedModel


def network(width: int = 4) -> LoadedModel:
    """A layer of `width` × 3 weights and as many biases: 16 bytes a channel."""
    net = nn.Sequential(nn.Conv2d(3, width, 1), nn.Flatten())
    return LoadedModel(net, "one", Preprocessing((4, 4)), ["a"], torch.device("cpu"))


def loaded(width: int = 4) -> Network:
    return Network(network(width), Choice("one", "random", "cpu"))


# --- what is kept ---------------------------------------------------------------------------------------


def test_the_bytes_of_a_result_are_those_of_everything_in_it():
    photo = Image.new("RGB", (10, 4))
    nested = {"maps": [np.zeros((3, 5), np.float32), b"1234"], "photo": photo, "more": (Preprocessing((8, 8)), 3)}
    assert bytes_of(nested) == 3 * 5 * 4 + 4 + 10 * 4 * 3
    assert weight_of(network(8)) == 8 * (3 + 1) * 4


def test_the_least_recently_used_result_goes_first_and_the_newest_stays_whatever_its_size():
    kept = LruCache(lambda group: 100, lambda: 99)
    for name in "abc":
        kept.put(name, bytes(30))
    assert kept.find("a") == bytes(30)
    kept.put("d", bytes(30))
    assert [name in kept for name in "abcd"] == [True, False, True, True] and kept.bytes == 90
    kept.put("large", bytes(500))
    assert [name in kept for name in "abcd"] == [False] * 4 and "large" in kept
    kept.put("large", bytes(10))
    assert kept.bytes == 10


def test_there_are_never_more_results_than_allowed_however_small():
    kept = LruCache(lambda group: 100, lambda: 2)
    for name in "abc":
        kept.put(name, None)
    assert kept.names() == ["b", "c"] and kept.find_all("abc") == [None, None, None]
    assert kept.get("b", lambda: pytest.fail("it is there, although it is None")) is None
    assert kept.get_all([("c", str), ("d", lambda: 4)]) == [None, 4] and kept.names() == ["c", "d"]


def test_what_many_ask_for_at_once_is_made_once():
    kept, made, found = LruCache(lambda group: 100, lambda: 99), [], []
    barrier = threading.Barrier(8)

    def make() -> bytes:
        made.append(1)
        time.sleep(0.02)
        return b"x"

    def ask() -> None:
        barrier.wait()
        found.append(kept.get("one", make))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert made == [1] and found == [b"x"] * 8


def test_what_could_not_be_made_is_tried_again():
    kept = LruCache(lambda group: 100, lambda: 99)
    with pytest.raises(BadInput):
        kept.get("one", lambda: (_ for _ in ()).throw(BadInput("not now")))
    assert kept.get("one", lambda: b"x") == b"x"


def test_networks_are_bounded_in_number_and_who_works_with_one_keeps_it():
    cache = network_cache(lambda: 2, lambda device: 10**9)
    first = cache.get("a", loaded)
    gone = weakref.ref(cache.get("b", loaded).model.module)
    assert cache.get("a", loaded) is first
    cache.get("c", loaded)
    assert cache.names() == ["a", "c"] and gone() is None
    cache.get("d", loaded)
    assert cache.names() == ["c", "d"]
    assert first.model.predict(np.zeros((4, 4, 3), np.uint8)).shape  # it is out of the cache, and still at work


def test_networks_are_bounded_in_bytes_on_each_device():
    room = 16 * 10  # bytes: ten channels
    cache = network_cache(lambda: 99, lambda device: room)
    for name, width in (("a", 3), ("b", 3), ("c", 3)):
        cache.get(name, lambda width=width: loaded(width))
    assert cache.names() == ["a", "b", "c"]
    cache.get("d", lambda: loaded(6))
    assert cache.names() == ["c", "d"]
    cache.get("large", lambda: loaded(50))
    assert cache.names() == ["large"]


def test_room_for_a_network_is_made_before_it_is_in_memory():
    cache = network_cache(lambda: 3, lambda device: 16 * 10)
    here = {name: weakref.ref(cache.get(name, lambda: loaded(3)).model.module) for name in "abc"}
    cache.make_room(16 * 7, "cpu")
    assert cache.names() == ["c"] and [one() is not None for one in here.values()] == [False, False, True]
    cache.make_room(16, "cpu")
    assert cache.names() == ["c"]
    cache.make_room(16 * 99, "cpu")
    assert cache.names() == [] and cache.bytes == 0
    for name in "abc":
        cache.get(name, lambda: loaded(1))
    cache.make_room(16, "cpu")  # one more than there may be
    assert cache.names() == ["b", "c"]


def test_the_app_s_networks_and_their_twins_share_one_bound(monkeypatch):
    monkeypatch.setattr(limits, "MODELS", 2)
    choice = Choice("lenet5", "bundled", "cpu")
    original = networks.load(choice)
    copies = [networks.derive(original, name, network).key for name in ("a copy", "another")]
    assert networks._cache().names() == copies == [f"{choice.key}|a copy", f"{choice.key}|another"]
    networks.load(choice)
    assert networks._cache().names() == [copies[1], choice.key]


def test_maps_are_bounded_in_bytes(monkeypatch):
    lenet = networks.load(Choice("lenet5", "bundled", "cpu"))
    monkeypatch.setattr(limits, "MAPS", 2 * shared.maps(lenet, "digit-1", "conv1").nbytes)
    for digit in (1, 2, 3):
        shared.maps(lenet, f"digit-{digit}", "conv1")
    assert ("maps", lenet.key, "digit-1", "conv1") not in array_cache()
    assert ("maps", lenet.key, "digit-3", "conv1") in array_cache()
    assert array_cache().bytes <= limits.MAPS


# --- what is computed at once ---------------------------------------------------------------------------


def running(*some: Job) -> list[bool]:
    """Which jobs have their turn."""
    end = time.monotonic() + 10
    while sum(job.state is not None for job in some) < 1 and time.monotonic() < end:
        time.sleep(0.005)
    time.sleep(0.05)
    return [job.place == 0 and job.running for job in some]


def test_no_more_jobs_run_than_there_are_places_and_the_others_know_their_place():
    line = JobQueue(2)
    some = [Job(str(i), until_cancelled, line.join()) for i in range(5)]
    assert running(*some) == [True, True, False, False, False]
    assert [job.place for job in some] == [0, 0, 1, 2, 3]
    assert all(job.running for job in some)
    assert some[3].describe_wait() == "queued (2nd); this machine runs 2 of this kind at once"
    assert some[0].describe_wait("reading") == "reading"
    some[0].stop()
    assert ended(some[0]) and running(*some[1:]) == [True, True, False, False]
    some[3].stop()  # in the middle of the line
    assert ended(some[3]) and some[3].state is None and some[4].place == 1
    for job in some:
        job.end(10)
    assert not any(job.running for job in some) and line.held_by(None) == 0


def test_one_person_never_takes_all_places():
    line = JobQueue(2, each=1)
    mine = [Job(f"mine {i}", until_cancelled, line.join("me")) for i in range(3)]
    other = Job("other", until_cancelled, line.join("you"))
    assert running(*mine, other) == [True, False, False, True]
    assert line.held_by("me") == 3 and line.held_by("you") == 1
    other.end(10)
    time.sleep(0.05)
    assert [job.place for job in mine] == [0, 1, 2]  # a free place is kept for others
    mine[0].end(10)
    assert running(*mine[1:]) == [True, False]
    for job in mine:
        job.end(10)


def test_many_threads_take_turns_and_each_has_one():
    line, inside, most, done = JobQueue(3), [], [], []

    def work(report) -> None:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.002)
        inside.pop()
        done.append(1)

    some = [Job(str(i), work, line.join(i % 5)) for i in range(40)]
    assert all(map(ended, some)) and len(done) == 40 and max(most) <= 3


def test_a_job_that_fails_makes_room_for_the_next():
    line = JobQueue(1)

    def broken(report) -> None:
        raise BadInput("No.")

    first, second = Job("first", broken, line.join()), Job("second", lambda report: None, line.join())
    assert ended(first) and ended(second) and first.problem == "No." and second.problem == ""


def test_a_job_that_runs_out_of_memory_says_what_to_do_and_gives_it_back(caplog):
    caplog.set_level(logging.CRITICAL, "cnnviz")  # what pytest records of the log would hold the traceback
    held: list[weakref.ref] = []

    class Large:
        pass

    def work(report) -> None:
        large = Large()
        large.itself = large  # only the collector finds it
        held.append(weakref.ref(large))
        raise MemoryError("Unable to allocate 9 TiB")

    job = Job("Indexing", work)
    assert ended(job) and job.problem == FULL.format("Indexing") and "fewer images" in job.problem
    assert held[0]() is None


def starts(count: int) -> None:
    """A page that starts jobs until it is told not to."""
    import streamlit as st
    from app_jobs import until_cancelled

    from app import access
    from app.jobs import background

    try:
        for number in range(count):
            background.start(f"key {number}", f"Job {number}", until_cancelled)
    except access.NotAllowed as error:
        st.error(str(error))


def test_one_person_may_have_only_so_many_jobs_and_is_told_so(monkeypatch):
    monkeypatch.setattr(access, "is_shared", lambda: True)
    at = AppTest.from_function(starts, args=(9,), default_timeout=30).run()
    assert not at.exception
    (message,) = [e.value for e in at.error]
    assert "“Job 6” was not started" in message and "may have 6" in message
    started, _lock = background._registry()
    assert len(started) == 6
    time.sleep(0.05)
    assert [job.place for job in started.values()] == [0, 1, 2, 3, 4, 5]  # one at a time on a shared server


def test_short_work_does_not_wait_for_long_work():
    long = [background.start(f"long {i}", "long", until_cancelled, watched=False) for i in range(9)]
    short = background.start("short", "short", until_cancelled, watched=False, lane=limits.SHORT)
    assert running(short) == [True] and long[-1].place > 0


def test_a_download_waits_for_no_computation_and_no_view_for_a_download():
    several = [(f"{lane} {i}", lane) for lane in (limits.LONG, limits.FETCH) for i in range(9)]
    busy = [background.start(key, "busy", until_cancelled, watched=False, lane=lane) for key, lane in several]
    assert running(busy[9]) == [True] and busy[9 + limits.DOWNLOADS].place == 1
    assert running(background.start("short", "short", until_cancelled, watched=False, lane=limits.SHORT)) == [True]


def test_in_a_class_one_person_has_one_long_job(monkeypatch):
    monkeypatch.setenv("CNNVIZ_CLASS_TOKEN", "token")
    assert limits.each(limits.LONG) == 1


def test_jobs_that_ended_long_ago_are_forgotten(monkeypatch):
    monkeypatch.setattr(limits, "ENDED", 3)
    for number in range(6):
        assert ended(background.start(f"key {number}", "test", lambda report: None, watched=False))
    assert ended(background.start("last", "test", lambda report: None, watched=False))
    started, _lock = background._registry()
    assert list(started)[-1] == "last" and len(started) <= 4


def test_a_closed_tab_cancels_its_jobs_also_those_in_line_and_their_memory_comes_back():
    line, held = JobQueue(1), []

    def work_on(photographs: np.ndarray):
        held.append(weakref.ref(photographs))
        return lambda report: until_cancelled(lambda state: report((state, photographs[0])))

    some = [Job(str(i), work_on(np.zeros((100, 100))), line.join("tab")) for i in range(3)]
    tab = background._WatchedJobs(some)
    for job in some:
        job.watchers.add(id(tab))
    assert running(*some) == [True, False, False]
    background._leave(tab)
    assert all(map(ended, some)) and all(job.cancelled and not job.problem for job in some)
    some.clear()
    tab.clear()
    del job
    gc.collect()
    assert [one() for one in held] == [None] * 3 and line.held_by("tab") == 0


# --- what is taken in -----------------------------------------------------------------------------------


def test_a_shared_server_takes_smaller_files_and_one_long_job_of_each(monkeypatch):
    own = limits.zip_mb(), limits.weights_mb(), limits.each(limits.LONG)
    monkeypatch.setattr(access, "is_shared", lambda: True)
    assert limits.zip_mb() < own[0] and 528 < limits.weights_mb() < own[1]
    assert limits.OWN_BYTES > 2 * 528 * 10**6 and limits.uploads_each() >= limits.upload_mb() * limits.MIB
    assert limits.uploads_in_all() >= limits.upload_mb() * limits.MIB
    assert limits.each(limits.LONG) == 1 <= own[2] and limits.each(limits.SHORT) == limits.at_once(limits.SHORT)


@pytest.mark.parametrize("asked, found", [("7", 7), ("1", 1), ("0", None), ("many", None), ("-3", None), ("²", None)])
def test_the_number_of_long_jobs_can_be_set_and_nonsense_is_passed_over(monkeypatch, asked, found):
    monkeypatch.delenv("CNNVIZ_JOBS", raising=False)
    usual = limits.at_once(limits.LONG)
    monkeypatch.setenv("CNNVIZ_JOBS", asked)
    assert limits.at_once(limits.LONG) == (found or usual) and limits.at_once(limits.SHORT) >= 2


def test_too_many_images_at_once_are_refused_in_words(monkeypatch):
    monkeypatch.setattr(limits, "IMAGES_AT_ONCE", 1_000_000)
    with pytest.raises(BadInput, match=r"3 files have 2 MB; 1 MB are taken at once.*zip"):
        shared.uploaded_corpus(("a", "b", "c"), [("a.png", bytes(600_000))] * 3)


def test_the_oldest_zips_go_when_there_are_too_many(monkeypatch, cache):
    monkeypatch.setattr(limits, "STORED_ZIPS", 2)
    kept = [uploads.store_zip(b"PK" + bytes([i])) for i in range(4)]
    assert sum(path.exists() for path in kept) == 2 and kept[-1].read_bytes() == b"PK\x03"


def zipped(number: int) -> bytes:
    """A zip of one picture."""
    picture, archive = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (8, 8), (number, 0, 0)).save(picture, "PNG")
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("a.png", picture.getvalue())
    return archive.getvalue()


def test_a_zip_in_use_stays_and_one_that_is_gone_is_said_without_a_path(monkeypatch):
    monkeypatch.setattr(limits, "STORED_ZIPS", 2)
    mine = shared.uploaded_corpus(("mine",), [("mine.zip", zipped(99))])
    for number in range(4):
        assert corpus_picker._still_here(mine) is mine
        uploads.store_zip(zipped(number))
    assert mine.image(0).getpixel((0, 0)) == (99, 0, 0)
    mine.archive.unlink()
    with pytest.raises(BadImage) as unread:
        mine.image(0)
    with pytest.raises(BadInput, match="Upload it again") as gone:
        corpus_picker._still_here(mine)
    assert not [error for error in (unread, gone) if str(mine.archive.parent) in str(error.value)]


def test_weights_beyond_the_room_for_all_are_refused_and_what_is_there_stays(monkeypatch):
    monkeypatch.setattr(limits, "STORED_WEIGHTS", 1000)
    name = uploads.store_weights(bytes(700))
    with pytest.raises(BadInput, match="Remove files"):
        uploads.store_weights(b"1" * 400)
    assert uploads.store_weights(bytes(700)) == name and len(list(uploads.cache_folder("weights").iterdir())) == 1


def test_on_a_shared_server_one_person_keeps_only_so_many_weights(opened, monkeypatch):
    monkeypatch.setattr(access, "is_shared", lambda: True)
    monkeypatch.setattr(limits, "OWN_FILES", 0)
    monkeypatch.setattr(access, "is_on_this_computer", lambda: False)
    at = opened("home", net="lenet5").file_uploader(key="own_weights_file").upload("mine.pth", b"weights").run()
    (message,) = [e.value for e in at.error]
    assert "mine.pth is not kept" in message and "Remove one" in message and not at.exception


def test_a_computer_whose_memory_is_full_is_told_in_words_and_another_view_opens(opened, registered):
    class Full(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            torch.empty(2**58)
            return super().forward(x)

    at = opened("home", net=registered("full", lambda classes: Full(nn.Conv2d(3, classes, 3), nn.Flatten())))
    (message,) = [e.value for e in at.error]
    assert "needs more memory than this computer has free" in message and not at.exception
    assert networks._cache().names() == []
    choose(at, "net", "lenet5")
    assert not at.error and not at.exception
