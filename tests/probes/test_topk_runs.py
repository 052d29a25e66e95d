"""Index runs that are stopped, killed, continued or pointed at another's file."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from slowindex import branching, memory, noise, run

from cnnviz.errors import BadInput
from cnnviz.probes.patchindex import PatchIndex
from cnnviz.probes.topk import index_patches


def assert_same(one: PatchIndex, other: PatchIndex) -> None:
    assert one.layers == other.layers and one.ids == other.ids and one.meta == other.meta
    for layer in one.layers:
        for name, array in one.tops[layer].arrays().items():
            np.testing.assert_array_equal(array, other.tops[layer].arrays()[name], err_msg=f"{layer} {name}")


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

    def image(position):
        reads.append(position)
        if position >= 20:  # the second batch hangs until the run was cancelled
            cancelled.wait(60)
        return read(position)

    corpus.image = image
    stop = threading.Timer(1.0, cancelled.set)
    index_patches(branching(), corpus, ["a"], batch=20, progress=lambda _progress: stop.start() or False)
    assert len(reads) <= 22  # two threads were at work


def test_a_finished_index_is_returned_without_looking_at_an_image(unbroken, tmp_path):
    out = unbroken.save(tmp_path / "index.npz")
    corpus, calls = memory(noise(60)), []
    corpus.image = lambda position: calls.append(position)
    assert_same(run(out, corpus), unbroken)
    assert not calls


def test_a_run_killed_at_any_moment_goes_on_to_the_identical_index(unbroken, tmp_path):
    out = tmp_path / "index.npz"
    script = Path(__file__).with_name("slowindex.py")
    paths = os.pathsep.join([str(script.parents[2]), str(script.parent)])
    command = [sys.executable, str(script), str(out), str(torch.get_num_threads()), "0.2"]
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": paths}, stderr=subprocess.PIPE)
    until = time.monotonic() + 300
    while not out.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    _output, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors.decode()
    assert 0 < PatchIndex.load(out).meta["next"] < 60
    assert_same(run(out, memory(noise(60))), unbroken)


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
