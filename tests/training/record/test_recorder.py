"""The recorder in a stranger's loop: what it writes equals what a slow loop computes, and a kill loses nothing."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

import cnnviz
from cnnviz.errors import BadInput
from cnnviz.training.record import recorder
from cnnviz.training.record.files import choose_dispensable
from cnnviz.training.record.result import list_runs, read_run

IMAGES = torch.randn(32, 3, 8, 8, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(32) % 4


class Strange(nn.Module):
    """A convolution whose rectifier is a function, one that is a module, and a frozen layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.frozen = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 5, 1)
        self.relu, self.fc = nn.ReLU(inplace=True), nn.Linear(5, 4)
        self.frozen.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x))
        return self.fc(self.relu(self.frozen(x)).mean((2, 3)))


def network() -> Strange:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        found = Strange()
        with torch.no_grad():
            found.conv.bias[:2] = -100.0  # two channels that are silent from the start
    return found


def train(net: nn.Module, run: recorder.RunRecorder, steps: int, seen: list[dict] | None = None) -> None:
    """Twenty lines of anybody's. `seen`: what a slow loop says of every step."""
    optimiser = torch.optim.SGD(net.parameters(), 0.05)
    for _ in range(steps):
        before = {name: p.detach().clone() for name, p in net.named_parameters()}
        optimiser.zero_grad()
        loss = F.cross_entropy(net(IMAGES), LABELS)
        loss.backward()
        optimiser.step()
        if seen is not None:
            seen.append(describe(net, before, float(loss.detach())))
        run.step(loss=loss, lr=0.05)


def describe(net: nn.Module, before: dict[str, Tensor], loss: float) -> dict:
    now = dict(net.named_parameters())

    def norm(values: list[Tensor]) -> float:
        return sum(float((value.double() ** 2).sum()) for value in values) ** 0.5

    found = {}
    for layer in ("conv", "fc"):
        names = [f"{layer}.weight", f"{layer}.bias"]
        change, old = norm([now[n] - before[n] for n in names]), norm([before[n] for n in names])
        found[layer] = (norm([now[n].grad for n in names]), norm([now[n] for n in names]), change / old)
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    return {"loss": loss, "layers": found, "state": state}


def test_losses_norms_and_ratios_are_those_of_a_slow_loop(tmp_path):
    net, seen = network(), []
    with cnnviz.record(tmp_path / "run", net, every=4) as run:
        train(net, run, 9, seen)
    found = read_run(tmp_path / "run")
    np.testing.assert_allclose(found.steps["loss"], [one["loss"] for one in seen], rtol=1e-6)
    assert found.steps["step"].tolist() == list(range(1, 10)) and (found.steps["lr"] == 0.05).all()
    assert found.looks["step"].tolist() == [1, 4, 8] and found.layers == ["conv", "fc"]
    for row, step in enumerate(found.looks["step"]):
        for col, layer in enumerate(found.layers):
            values = [found.looks[what][row, col] for what in ("gradient", "weight", "update")]
            np.testing.assert_allclose(values, seen[step - 1]["layers"][layer], rtol=1e-4)


def test_silent_channels_are_counted_whoever_calls_the_rectifier_and_no_hook_stays(tmp_path):
    net = network()
    with cnnviz.record(tmp_path / "run", net, every=1) as run:
        net.eval()
        net(IMAGES[:1] - 1e6)  # a look at the test set does not count
        net.train()
        train(net, run, 3)
    found = read_run(tmp_path / "run")
    first, second = F.relu(net.conv(IMAGES)), F.relu(net.frozen(F.relu(net.conv(IMAGES))))
    expected = [float((one.amax((0, 2, 3)) <= 0).float().mean()) for one in (first, second)]
    assert found.rectifiers == ["network", "relu"] and expected[0] == pytest.approx(2 / 6)
    np.testing.assert_allclose(found.looks["dead"][0], expected, rtol=1e-5)
    assert all(not part._forward_hooks and not part._forward_pre_hooks for part in net.modules())


def test_a_snapshot_is_the_network_at_its_step_in_half_precision(tmp_path):
    net, seen = network(), []
    with cnnviz.record(tmp_path / "run", net, snapshots=6) as run:
        start = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        train(net, run, 40, seen)
    found = read_run(tmp_path / "run")
    steps = list(found.snapshots)
    assert steps[0] == 0 and steps[-1] == 40 and len(steps) == 6
    for step, path in found.snapshots.items():
        expected = start if step == 0 else seen[step - 1]["state"]
        for name, tensor in load_file(path).items():
            assert torch.equal(tensor, expected[name].half()), (step, name)
    gaps = np.diff(np.log1p(steps))
    assert gaps.max() < 5 * gaps.min()


def test_every_line_has_its_time_to_the_millisecond(tmp_path):
    around = [time.time()]
    with cnnviz.record(tmp_path / "run", nn.Linear(2, 2)) as run:
        for _ in range(3):
            run.step(loss=1.0)
            around.append(time.time())
        run.epoch(test_loss=1.0)
    read = read_run(tmp_path / "run")
    for at, (before, after) in zip(read.steps["time"], pairwise(around), strict=True):
        assert before - 0.001 <= at <= after + 0.001
    assert around[-1] - 0.001 <= read.epochs["time"][0] <= time.time() + 0.001


def test_of_many_moments_those_stay_that_are_even_in_the_logarithm_of_time():
    kept: list[int] = []
    for step in range(0, 5000, 10):
        kept.append(step)
        if len(kept) > 12:
            kept.pop(choose_dispensable(kept))
    assert kept[0] == 0 and kept[-1] == 4990 and len(kept) == 12
    gaps = np.diff(np.log1p(kept[1:]))
    assert gaps.max() < 2.5 * gaps.min()
    with pytest.raises(ValueError, match="first and the last stay"):
        choose_dispensable([0, 5])


def test_epochs_their_answers_and_where_early_stopping_would_have_stopped(tmp_path):
    net, answers = network(), []
    with cnnviz.record(tmp_path / "run", net, probes=IMAGES[:2]) as run:
        for loss in (0.9, 0.4, 0.6):
            train(net, run, 2)
            run.epoch(test_loss=loss, test_accuracy=0.5)
            answers.append(net(IMAGES[:2]).detach())
    found = read_run(tmp_path / "run")
    assert found.epochs["epoch"].tolist() == [1, 2, 3] and found.best_epoch == 2 and not found.running
    line = json.loads((tmp_path / "run" / "epochs.jsonl").read_text().splitlines()[-1])
    np.testing.assert_allclose(line["probes"], answers[-1], atol=1e-4)
    assert net.training


def test_files_grow_with_the_logarithm_of_the_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, "MOST_STEPS", 100)
    net = network()
    with cnnviz.record(tmp_path / "run", net, every=10**9) as run:
        for _ in range(5000):
            run.step(loss=1.0)
    found = read_run(tmp_path / "run").steps["step"]
    assert 100 <= len(found) < 500 and found[-1] > 4900 and (np.diff(found) > 0).all()


KILLED = """
import os, signal, sys, torch
sys.path[:0] = {paths}
from test_recorder import network, train
import cnnviz
net = network()
with cnnviz.record({folder!r}, net, every=5) as run:
    train(net, run, 23)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_training_goes_on_as_one_run_without_a_gap(tmp_path):
    folder = tmp_path / "run"
    script = KILLED.format(paths=[str(Path(__file__).parent), *sys.path], folder=str(folder))
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert ended.returncode == -signal.SIGKILL
    assert read_run(folder).running and read_run(folder).steps["step"].tolist() == list(range(1, 24))
    with open(folder / "steps.jsonl", "a") as file:
        file.write('{"step": 24, "lo')  # a line that the kill cut off
    net = network()
    with cnnviz.record(folder, net, every=5, resume_at=20) as run:  # of the last checkpoint
        assert run.steps == 20
        train(net, run, 10)
    found = read_run(folder)
    assert found.steps["step"].tolist() == list(range(1, 31)) and not found.running
    assert found.looks["step"].tolist() == [1, 5, 10, 15, 20, 21, 25, 30]
    assert max(found.snapshots) == 30 and 22 not in found.snapshots


def test_a_folder_of_another_network_or_none_is_refused_in_words(tmp_path):
    with cnnviz.record(tmp_path / "run", network()) as run:
        run.step(loss=1.0)
    with pytest.raises(BadInput, match="another network"), cnnviz.record(tmp_path / "run", nn.Linear(2, 2)):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be the folder of a run"), cnnviz.record(tmp_path / "file", network()):
        pass
    with pytest.raises(BadInput, match="no recorded training"):
        read_run(tmp_path)
    with pytest.raises(BadInput, match="every must be at least 1"):
        cnnviz.record(tmp_path / "run", network(), every=0)
    assert list_runs(tmp_path) == [tmp_path / "run"]


def test_an_error_in_the_loop_leaves_no_hook_and_says_that_it_failed(tmp_path):
    net = network()
    with pytest.raises(ZeroDivisionError), cnnviz.record(tmp_path / "run", net) as run:
        net(IMAGES)
        raise ZeroDivisionError
    assert run.steps == 0 and all(not part._forward_hooks for part in net.modules())
    assert read_run(tmp_path / "run").about["failed"]


def test_processes_other_than_the_first_write_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    net = network()
    with cnnviz.record(tmp_path / "run", net) as run:
        train(net, run, 2)
    assert not (tmp_path / "run").exists()
