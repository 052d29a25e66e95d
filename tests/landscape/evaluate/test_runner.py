"""A pass that is recorded after a few points gives the network's own values, to the bit, at every point."""

import numpy as np
import pytest
import torch
from nets import Functional, tiny
from planenets import IMAGES, LABELS, plain, residual, slowly
from torch import nn

from cnnviz.engine.replay import record_pass
from cnnviz.landscape.evaluate import runner as runner_module
from cnnviz.landscape.evaluate.evaluator import Evaluator
from cnnviz.landscape.evaluate.runner import RECORDED
from cnnviz.landscape.plane.directions import plane_directions

STEPS = [(0.1 * k - 0.7, 0.3 - 0.05 * k) for k in range(RECORDED + 6)]


def surfaces(model, precision="float32", batch=None, pixels=IMAGES, labels=LABELS):
    """(losses with recording, without, the runner that recorded)."""
    directions, found = plane_directions(model), []
    for records in (True, False):
        evaluator = Evaluator(model, pixels, labels, precision, batch=batch)
        plane, runner = evaluator.plane(*directions), evaluator._runner(precision == "bfloat16")
        runner.records = records
        found.append([plane.at(*step) for step in STEPS])
        if records:
            recorder = runner
    return *found, recorder


@pytest.mark.usefixtures("bfloat16_everywhere")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("batch", [20, 7])  # parts of one size, and of two
@pytest.mark.parametrize("model", [residual(), plain()], ids=["residual", "without batch norm"])
def test_every_point_is_that_of_the_network_to_the_bit(model, precision, batch):
    have, want, runner = surfaces(model, precision, batch)
    assert have == want
    assert {shape[0] for shape in runner._flat} == ({20} if batch == 20 else {6, 7})
    if precision == "float32":
        moves = list(zip(STEPS[-1], plane_directions(model), strict=True))
        assert have[-1].loss == pytest.approx(slowly(model, moves).loss, rel=1e-4)


def test_what_depends_on_values_is_not_recorded_and_evaluated_as_it_is():
    net = Functional(
        lambda n, x: n.fc(n.conv(x).mean((2, 3)) * (2 if x.mean() > 0 else 3)),
        conv=nn.Conv2d(3, 4, 3),
        fc=nn.Linear(4, 3),
    )
    have, want, runner = surfaces(tiny(net), batch=7)
    assert have == want and runner._flat == {}


def test_what_reads_its_weights_is_not_recorded():
    def forward(n, x):
        return n.fc(n.conv(x).mean((2, 3))) * float(n.fc.weight.detach().numpy()[0, 0])

    have, want, runner = surfaces(tiny(Functional(forward, conv=nn.Conv2d(3, 4, 3), fc=nn.Linear(4, 3))), batch=7)
    assert have == want and runner._flat == {}


class Unseen(nn.Module):
    """Reads a weight in a way that leaves no trace among the operations."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3))) * float(np.from_dlpack(self.fc.weight.detach())[0, 0])


class Cached(nn.Module):
    """Derives a tensor from its weights anew only when they were written to."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)
        self.register_buffer("rounded", torch.zeros(3, 4), persistent=False)
        self.seen = -1

    def forward(self, x):
        if self.seen != self.fc.weight._version:
            self.rounded.copy_((self.fc.weight * 64).round() / 64)
            self.seen = self.fc.weight._version
        return self.conv(x).mean((2, 3)) @ self.rounded.T


@pytest.mark.parametrize("net", [Unseen, Cached])
def test_a_record_that_holds_what_the_weights_decide_is_dropped(net, monkeypatch):
    recorded = []

    def spy(*parts):
        recorded.append(record_pass(*parts))
        return recorded[-1]

    monkeypatch.setattr(runner_module, "record_pass", spy)
    torch.manual_seed(1)
    have, want, runner = surfaces(tiny(net()), batch=20)
    assert recorded and all(recorded)  # it was made, and is wrong
    assert have == want and runner._flat == {}


class Forgetting(nn.Module):
    """Keeps what it derived from its weights until the next train() or eval(), as some of timm's networks do."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc, self.kept = nn.Conv2d(3, 4, 3), nn.Linear(4, 3), {}

    def train(self, mode=True):
        self.kept = {}
        return super().train(mode)

    def forward(self, x):
        if "doubled" not in self.kept:
            self.kept["doubled"] = self.fc.weight * 2
        return self.conv(x).mean((2, 3)) @ self.kept["doubled"].T


@pytest.mark.parametrize("statistics", ["frozen", "recalibrated"])
def test_what_a_network_derived_from_other_weights_is_forgotten(statistics):
    torch.manual_seed(1)
    model = tiny(Forgetting())
    directions = plane_directions(model)
    evaluator = Evaluator(model, IMAGES, LABELS, "float32", statistics, batch=7)
    plane = evaluator.plane(*directions)
    for step in STEPS:
        want = slowly(model, list(zip(step, directions, strict=True)))
        assert plane.at(*step).loss == pytest.approx(want.loss, rel=1e-4)
    assert evaluator._runner(False)._trusted


def test_another_size_of_a_pass_is_recorded_anew():
    model = residual()
    evaluator = Evaluator(model, IMAGES, LABELS, "float32", batch=20)
    plane = evaluator.plane(*plane_directions(model))
    for step in STEPS:
        plane.at(*step)
    before = plane.at(0.2, 0.2)
    evaluator.fix("float32", 5)
    assert evaluator._runner(False)._flat == {}
    for step in STEPS:
        plane.at(*step)
    assert {shape[0] for shape in evaluator._runner(False)._flat} == {5}
    assert plane.at(0.2, 0.2).loss == pytest.approx(before.loss, rel=1e-6)


class Routed(nn.Module):
    """A mixture of experts: each image goes to one of two layers, and a layer without images is passed over."""

    def __init__(self):
        super().__init__()
        self.conv, self.gate = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)
        self.experts = nn.ModuleList(nn.Linear(4, 3) for _ in range(2))

    def forward(self, x):
        h = self.conv(x).mean((2, 3))
        choice, out = self.gate(h).argmax(1), x.new_zeros(len(x), 3)
        for number, expert in enumerate(self.experts):
            (rows,) = torch.where(choice == number)
            if rows.numel() == 0:
                continue
            out[rows] = expert(h[rows]).to(out.dtype)
        return out


class Sorted(Routed):
    """The same, with the images sorted by layer and split there."""

    def forward(self, x):
        h = self.conv(x).mean((2, 3))
        choice, out = self.gate(h).argmax(1), x.new_zeros(len(x), 3)
        ends = torch.bincount(choice, minlength=2).cumsum(0)
        for rows, expert in zip(choice.argsort(stable=True).tensor_split(ends[:-1]), self.experts, strict=True):
            if rows.numel() != 0:
                out[rows] = expert(h[rows]).to(out.dtype)
        return out


class Remembering(nn.Module):
    """Keeps what it derived from its weights until they change."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)
        self.register_buffer("rounded", torch.zeros(3, 4), persistent=False)
        self.seen = None

    def forward(self, x):
        first = self.fc.weight.detach().numpy()[0, 0].copy()
        if self.seen != first:
            self.rounded.copy_((self.fc.weight * 4).round() / 4)
            self.seen = first
        return self.conv(x).mean((2, 3)) @ self.rounded.T


class Reshaping(nn.Module):
    """Remembers a shape that the weights decide, in Python."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

    def forward(self, x):
        size = 2 + int(float(self.fc.weight[0, 0].numpy()) * 1000) % 2
        return self.fc(x.new_ones(len(x), size).sum(1, keepdim=True) * self.conv(x).mean((2, 3)))


@pytest.mark.parametrize("net", [Routed, Sorted, Remembering, Reshaping])
def test_networks_that_read_their_values_are_evaluated_as_they_are(net):
    torch.manual_seed(2)
    have, want, runner = surfaces(tiny(net()), batch=7)
    assert have == want and runner._flat == {}


def test_records_are_not_trusted_where_nothing_is_finite():
    model = plain()
    evaluator = Evaluator(model, IMAGES, LABELS, "float32", batch=20)
    plane, runner = evaluator.plane(*plane_directions(model)), evaluator._runner(False)
    for _ in range(RECORDED + 3):
        assert plane.at(1e38, 1e38).loss == float("inf")
    assert runner._flat and not runner._trusted
    plane.at(0.1, 0.1)
    assert runner._trusted


def test_a_record_that_fails_later_is_dropped_and_the_point_is_the_network_s():
    model = residual()
    evaluator = Evaluator(model, IMAGES, LABELS, "float32", batch=20)
    plane, runner = evaluator.plane(*plane_directions(model)), evaluator._runner(False)
    for step in STEPS:
        plane.at(*step)
    want = plane.at(0.2, 0.1)
    (shape,) = runner._flat
    runner._flat[shape]._steps.pop()
    assert plane.at(0.2, 0.1) == want and runner._flat == {}


def test_recalibrated_statistics_are_those_of_each_point_with_records_too():
    model, found = residual(), []
    for records in (True, False):
        evaluator = Evaluator(model, IMAGES, LABELS, "float32", "recalibrated", batch=20)
        evaluator._runner(False).records = records
        plane = evaluator.plane(*plane_directions(model))
        found.append([plane.at(*step) for step in STEPS])
        assert bool(evaluator._runner(False)._flat) == records
    assert found[0] == found[1]


def test_a_network_that_writes_into_its_input_sees_the_same_images_at_every_point():
    def forward(n, x):
        return n.fc(n.conv(x.sub_(0.5)).mean((2, 3)))

    model = tiny(Functional(forward, conv=nn.Conv2d(3, 4, 3), fc=nn.Linear(4, 3)))
    kept = IMAGES.clone()
    have, want, runner = surfaces(model, batch=7)
    assert have == want and torch.equal(IMAGES, kept) and runner._trusted
    moves = list(zip(STEPS[-1], plane_directions(model), strict=True))
    assert have[-1].loss == pytest.approx(slowly(model, moves, pixels=IMAGES.clone()).loss, rel=1e-4)
