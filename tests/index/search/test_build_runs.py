"""Index runs that are stopped, killed, continued or pointed at another's file."""

import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from same_index import assert_same
from slowindex import branching, memory, noise, run

from cnnviz.errors import BadInput, CnnvizError
from cnnviz.index.result import PatchIndex
from cnnviz.index.search.build import index_patches


@pytest.fixture(scope="module")
def unbroken() -> PatchIndex:
    return run(None, memory(noise(60)))


def test_a_run_whose_first_batches_are_unreadable_can_be_stopped_and_continued(tmp_path):
    pixels = [b"no image"] * 4 + list(noise(6))
    out = tmp_path / "index.npz"
    stopped = run(out, memory(pixels), progress=lambda _progress: False)
    assert not stopped.complete and stopped.layers == []
    resumed = run(out, memory(pixels))
    assert resumed.complete and len(resumed.meta["skipped"]) == 4
    assert_same(resumed, run(None, memory(pixels)))


def test_cancelling_gives_a_partial_index_and_continuing_an_identical_one(unbroken, tmp_path):
    out, seen = tmp_path / "index.npz", []

    def stop(progress):
        seen.append((progress.done, progress.total))
        return progress.done < 24

    partial = run(out, memory(noise(60)), progress=stop)
    assert not partial.complete and partial.meta["next"] == 24
    assert seen == [(done, 60) for done in range(4, 25, 4)]
    assert max(partial.ids) < 24
    resumed = run(out, memory(noise(60)), progress=lambda p: seen.append((p.done, p.total)))
    assert seen[6] == (28, 60)
    assert_same(resumed, unbroken)
    assert_same(PatchIndex.load(out), unbroken)


def test_cancelling_does_not_wait_for_images_that_were_asked_for_ahead():
    corpus, reads, cancelled = memory(noise(60)), [], threading.Event()
    read = corpus.image

    def image(position, side=None):
        reads.append(position)
        if position >= 20:  # the third batch, decoded together with the second, hangs until the run was cancelled
            cancelled.wait(60)
        return read(position, side)

    corpus.image = image
    stop = threading.Timer(1.0, cancelled.set)
    index_patches(branching(), corpus, ["a"], batch=10, progress=lambda p: p.done < 20 or bool(stop.start()))
    assert 20 < len(reads) <= 20 + (os.cpu_count() or 2)  # as many threads were at work


def test_a_finished_index_is_returned_without_looking_at_an_image(unbroken, tmp_path):
    out = unbroken.save(tmp_path / "index.npz")
    corpus, calls = memory(noise(60)), []
    corpus.image = lambda position, side=None: calls.append(position)
    assert_same(run(out, corpus), unbroken)
    assert not calls


def test_what_earlier_versions_left_of_a_search_in_bfloat16_is_not_continued(unbroken, tmp_path):
    out, state = tmp_path / "index.npz", tmp_path / "index.npz.screening"
    partial = run(None, memory(noise(60)), progress=lambda p: p.done < 24)
    replace(partial, meta=partial.meta | {"precision": "bfloat16", "phase": "screening"}).save(out)
    state.write_bytes(b"no index")
    seen = []
    assert_same(run(out, memory(noise(60)), progress=lambda p: seen.append(p.done)), unbroken)
    assert seen[0] == 4 and [path.name for path in tmp_path.iterdir()] == ["index.npz"]
    screened = replace(unbroken, meta=unbroken.meta | {"screening": {"run_again": 9}, "statistics": "bfloat16"})
    screened.save(out)
    assert_same(run(out, memory(noise(60)), progress=lambda _: pytest.fail("searched again")), screened)


def killed(command: list[str], paths: str, out: Path, saves: int, later: float) -> None:
    """Start a run and kill it `later` seconds after it has saved its index so many times."""
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": paths}, stderr=subprocess.PIPE)
    until, stamps = time.monotonic() + 300, {out.stat().st_mtime_ns if out.exists() else 0}
    while len(stamps) <= saves and process.poll() is None and time.monotonic() < until:
        stamps.add(out.stat().st_mtime_ns if out.exists() else 0)
        time.sleep(0.002)
    time.sleep(later)
    process.send_signal(signal.SIGKILL)
    _output, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors.decode()


def test_a_run_killed_at_any_moments_goes_on_to_the_identical_index(unbroken, tmp_path):
    out, moments = tmp_path / "index.npz", random.Random(0)
    script = Path(__file__).resolve().parents[2] / "helpers" / "slowindex.py"
    paths = os.pathsep.join([str(script.parents[2]), str(script.parent)])
    command = [sys.executable, str(script), str(out), str(torch.get_num_threads()), "0.15"]
    steps = [0]
    for _ in range(3):
        killed(command, paths, out, 1, moments.uniform(0, 0.3))
        steps.append(PatchIndex.load(out).meta["next"])
    assert steps == sorted(set(steps)) and steps[-1] < 60  # each went on where the one before stood
    assert_same(run(out, memory(noise(60))), unbroken)


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes: the system refuses to write, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_at_the_end_is_told_and_leaves_the_partial_index_to_go_on_from(unbroken, tmp_path):
    out = tmp_path / "index.npz"
    run(out, memory(noise(60)), progress=lambda p: p.done < 24)
    before = out.read_bytes()
    with room_for(len(before) // 2), pytest.raises(CnnvizError, match="Could not write .*What was there is unchanged"):
        run(out, memory(noise(60)))
    assert out.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["index.npz"]
    assert_same(run(out, memory(noise(60))), unbroken)


def test_a_disk_that_is_full_for_a_while_does_not_stop_the_run(unbroken, tmp_path, monkeypatch):
    monkeypatch.setattr("cnnviz.index.search.run.FIRST_SAVE", 0.0)
    monkeypatch.setattr("cnnviz.index.search.run.SAVE_EVERY", 0.0)
    out, told, limit = tmp_path / "index.npz", [], ExitStack()

    def progress(state):
        told.append(state.problem)
        if state.done == 12:
            limit.enter_context(room_for(1000))
        if state.done == 40:
            limit.close()

    with limit:
        assert_same(run(out, memory(noise(60)), progress=progress), unbroken)
    assert [bool(problem) for problem in told] == [False] * 3 + [True] * 7 + [False] * 5
    assert "Could not write" in told[5] and "Free space" in told[5]


@pytest.mark.usefixtures("bfloat16_everywhere")
@pytest.mark.parametrize("named", ["model fingerprint", "corpus fingerprint", "k", "precision", "wanted layers"])
def test_a_file_of_another_run_is_refused_naming_what_differs_and_left_alone(tmp_path, named):
    model, corpus, more = branching(), memory(noise(5)), {"layers": ["a"], "k": 3}
    out = tmp_path / "index.npz"
    index_patches(model, corpus, out=out, **more)
    before = out.read_bytes()
    if named == "model fingerprint":
        model = branching()
        model.module.a.weight += 0.1
    elif named == "corpus fingerprint":
        corpus = memory(noise(5, seed=1))
    else:
        more |= {"k": {"k": 4}, "precision": {"precision": "bfloat16"}, "wanted layers": {"layers": ["a", "b"]}}[named]
    with pytest.raises(BadInput, match=f"different {named}\\b.*Choose another file"):
        index_patches(model, corpus, out=out, **more)
    assert out.read_bytes() == before
