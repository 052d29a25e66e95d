"""A training that is paused, made to step and stopped from outside: what is done is kept to the step."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_folders import class_folders

from cnnviz.errors import BadInput, Cancelled
from cnnviz.training.control import TrainingControl
from cnnviz.training.loop import train
from cnnviz.training.recipe import Recipe
from cnnviz.training.record.probes import read_probes
from cnnviz.training.record.result import read_run
from cnnviz.training.state import CHECKPOINT, HISTORY

ROOT = Path(__file__).resolve().parents[2]
NETWORK = "variant:lenet5.drop30"  # dropout: random numbers beside those of order and augmentation
RECIPE = Recipe(epochs=2, batch=4, lr=0.02, warmup=0.5, crop=0, flip=False, shift=1, precision="float32")
STEPS = 15  # an epoch


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    return class_folders(tmp_path_factory.mktemp("bars"), train=60, test=20)


def weights(out: Path) -> dict[str, torch.Tensor]:
    return torch.load(out / CHECKPOINT, weights_only=True)["model"]


def history(out: Path) -> list[dict]:
    return [{k: v for k, v in one.items() if k != "seconds"} for one in json.loads((out / HISTORY).read_text())]


@pytest.fixture(scope="module")
def unbroken(folders, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("unbroken")
    train(NETWORK, folders, out, RECIPE, "cpu")
    return out


def assert_same_run(out: Path, unbroken: Path) -> None:
    assert history(out) == history(unbroken)
    ours, theirs = weights(out), weights(unbroken)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    found, whole = read_run(out), read_run(unbroken)
    assert found.steps["step"].tolist() == list(range(1, 2 * STEPS + 1))
    np.testing.assert_array_equal(found.steps["loss"], whole.steps["loss"])


class Stepping:
    """A training in a thread that makes exactly the steps it is told to."""

    def __init__(self, folders: Path, out: Path, recipe: Recipe = RECIPE) -> None:
        self.control, self.seen, self.problem = TrainingControl(), [], None
        self.control.pause()
        self.thread = threading.Thread(target=self._run, args=(folders, out, recipe), daemon=True)
        self.thread.start()

    def _run(self, folders: Path, out: Path, recipe: Recipe) -> None:
        try:
            train(NETWORK, folders, out, recipe, "cpu", self.seen.append, control=self.control)
        except Cancelled as error:
            self.problem = error

    def wait_for(self, step: int) -> None:
        """Until it waits behind this step."""
        self.wait(lambda: bool(self.seen) and self.seen[-1].paused and self.seen[-1].step == step)

    def wait(self, happened) -> None:
        until = time.monotonic() + 60
        while not happened():
            assert time.monotonic() < until and self.thread.is_alive(), self.seen[-1:]
            time.sleep(0.01)


@pytest.mark.parametrize("stop", [1, 7, STEPS - 1, STEPS, STEPS + 4], ids="after {} steps".format)
def test_a_run_stopped_at_any_step_goes_on_to_the_same_weights_and_the_same_record(folders, unbroken, tmp_path, stop):
    run = Stepping(folders, tmp_path)
    run.control.step(stop)
    run.wait_for(stop)
    run.control.stop()
    run.thread.join(60)
    assert f"Stopped in epoch {stop // STEPS + 1} after {stop % STEPS} of its 15 steps" in str(run.problem)
    assert read_run(tmp_path).steps["step"].tolist() == list(range(1, stop + 1))
    train(NETWORK, folders, tmp_path, RECIPE, "cpu")
    assert_same_run(tmp_path, unbroken)


def test_a_step_is_one_step_and_a_pause_holds_until_it_is_resumed(folders, unbroken, tmp_path):
    run = Stepping(folders, tmp_path)
    run.wait_for(0)
    for step in (1, 2, 3):
        run.control.step()
        run.wait_for(step)
    time.sleep(0.5)
    assert run.seen[-1].step == 3 and len(read_run(tmp_path).steps["step"]) == 3
    reports = len(run.seen)
    run.wait(lambda: len(run.seen) > reports)  # it says that it is there, several times a second
    run.control.resume()
    run.thread.join(60)
    assert run.problem is None
    assert_same_run(tmp_path, unbroken)


def test_a_watcher_that_says_no_while_it_is_paused_ends_it_with_all_that_was_done(folders, unbroken, tmp_path):
    control = TrainingControl()
    control.step(5)
    with pytest.raises(Cancelled, match="epoch 1 after 5 of its 15 steps"):
        train(
            NETWORK,
            folders,
            tmp_path,
            RECIPE,
            "cpu",
            lambda seen: not (seen.paused and seen.step == 5),
            control=control,
        )
    train(NETWORK, folders, tmp_path, RECIPE, "cpu")
    assert_same_run(tmp_path, unbroken)


def test_other_settings_do_not_go_on_from_a_part_of_an_epoch(folders, tmp_path):
    control = TrainingControl()
    control.stop()
    with pytest.raises(Cancelled):
        train(NETWORK, folders, tmp_path, RECIPE, "cpu", control=control)
    with pytest.raises(BadInput, match="initialisation: default there, he now"):
        train(NETWORK, folders, tmp_path, replace(RECIPE, initialisation="he"), "cpu")


KILLED = """
import json, os, signal, sys, threading, torch
from cnnviz.errors import Cancelled
from cnnviz.training.control import TrainingControl
from cnnviz.training.loop import train
from cnnviz.training.recipe import Recipe
torch.set_num_threads(int(sys.argv[5]))
recipe, control = Recipe.from_dict(json.loads(sys.argv[4])), TrainingControl()
control.step(18)
try:
    train(sys.argv[1], sys.argv[2], sys.argv[3], recipe, "cpu", lambda seen: not seen.paused, control=control)
except Cancelled:
    pass
def kill(seen):
    if seen.step >= 20: os.kill(os.getpid(), signal.SIGKILL)
control = TrainingControl()
control.step(4)
train(sys.argv[1], sys.argv[2], sys.argv[3], recipe, "cpu", kill, control=control)
"""


def test_a_run_stopped_gone_on_with_and_killed_equals_the_unbroken_one(folders, unbroken, tmp_path):
    threads = str(torch.get_num_threads())
    given = [NETWORK, str(folders), str(tmp_path), json.dumps(RECIPE.as_dict()), threads]
    environment = os.environ | {"OMP_NUM_THREADS": threads}
    done = subprocess.run([sys.executable, "-c", KILLED, *given], cwd=ROOT, env=environment, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    train(NETWORK, folders, tmp_path, RECIPE, "cpu")
    assert_same_run(tmp_path, unbroken)


def test_progress_is_reported_several_times_a_second_whatever_a_step_takes(folders, tmp_path, monkeypatch):
    from cnnviz.training import loop

    step, seen = loop._Run._step, []
    monkeypatch.setattr(loop._Run, "_step", lambda *given: (time.sleep(0.15), step(*given))[1])
    with pytest.raises(Cancelled):
        train(NETWORK, folders, tmp_path, RECIPE, "cpu", lambda state: seen.append(state.step) or len(seen) < 4)
    assert seen[-1] <= 10  # 20 steps would take three seconds


def test_commands_come_from_many_threads_and_none_is_lost():
    control, made = TrainingControl(), []
    control.pause()

    def work() -> None:
        while control.wait():
            made.append(1)

    training = threading.Thread(target=work)
    training.start()
    callers = [threading.Thread(target=lambda: [control.step() for _ in range(50)]) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    until = time.monotonic() + 30
    while len(made) < 400 and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.3)
    assert len(made) == 400 and control.paused
    control.stop()
    training.join(10)
    assert not training.is_alive() and control.stopped and len(made) == 400
    with pytest.raises(ValueError, match="at least 1"):
        control.step(0)


def test_the_answers_to_one_test_image_of_each_class_are_recorded_after_every_epoch(folders, unbroken):
    from cnnviz.data.labelled import load_labelled
    from cnnviz.models.catalogue.registry import build, find

    entry = find(NETWORK)
    testing = load_labelled(folders, "test", entry.preprocessing)
    found = read_probes(unbroken)
    assert found is not None and found.epochs.tolist() == [1, 2] and found.labels.tolist() == [0, 1]
    rows = [next(i for i, label in enumerate(testing.labels) if label == wanted) for wanted in found.labels]
    np.testing.assert_array_equal(found.pixels, testing.batch(np.array(rows)))
    module = build(NETWORK, 2).eval()
    module.load_state_dict(weights(unbroken))
    images = entry.preprocessing.normalise(torch.from_numpy(found.pixels))
    with torch.no_grad():
        np.testing.assert_allclose(found.logits[-1], module(images).numpy(), atol=1e-3)
    assert read_probes(unbroken / "nothing") is None
