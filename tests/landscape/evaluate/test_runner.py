"""Every point of a plane has the loss of the network with its weights moved there, whatever its code does."""

import numpy as np
import pytest
import torch
from nets import Functional, tiny
from planenets import IMAGES, LABELS, plain, residual, slowly
from torch import nn

from cnnviz.landscape.evaluate.evaluator import Evaluator
from cnnviz.landscape.plane.directions import plane_directions

STEPS = [(0.1 * k - 0.2, 0.3 - 0.05 * k) for k in range(4)]


def check_points(model, batch, statistics="frozen"):
    """Points in a row against a copy whose weights are moved and which sees all images at once."""
    directions = plane_directions(model)
    plane = Evaluator(model, IMAGES.clone(), LABELS, "float32", statistics, batch=batch).plane(*directions)
    for step in STEPS:
        want = slowly(model, list(zip(step, directions, strict=True)), pixels=IMAGES.clone())
        assert plane.at(*step).loss == pytest.approx(want.loss, rel=1e-4)


@pytest.mark.parametrize("batch", [20, 7])  # parts of one size, and of two
@pytest.mark.parametrize("model", [residual(), plain()], ids=["residual", "without batch norm"])
def test_points_are_those_of_the_network(model, batch):
    check_points(model, batch)


class Choosing(nn.Module):
    """Takes another way where its images are bright."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3)) * (2 if self.fc.weight[0, 0] > 0 else 3))


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


@pytest.mark.parametrize("net", [Choosing, Unseen, Cached, Routed, Sorted, Remembering, Reshaping])
def test_networks_that_read_their_values_are_evaluated_as_they_are(net):
    torch.manual_seed(2)
    check_points(tiny(net()), 7)


@pytest.mark.parametrize("statistics", ["frozen", "recalibrated"])
def test_what_a_network_derived_from_other_weights_is_forgotten(statistics):
    torch.manual_seed(1)
    check_points(tiny(Forgetting()), 7, statistics)


def test_another_size_of_a_pass_gives_the_same():
    model = residual()
    evaluator = Evaluator(model, IMAGES, LABELS, "float32", batch=20)
    plane = evaluator.plane(*plane_directions(model))
    before = plane.at(0.2, 0.2)
    evaluator.fix("float32", 5)
    assert plane.at(0.2, 0.2).loss == pytest.approx(before.loss, rel=1e-6)


def test_where_nothing_is_finite_the_next_point_is_right():
    model = plain()
    plane = Evaluator(model, IMAGES, LABELS, "float32", batch=20).plane(*plane_directions(model))
    want = plane.at(0.1, 0.1)
    assert plane.at(1e38, 1e38).loss == float("inf")
    assert plane.at(0.1, 0.1) == want


def test_a_network_that_writes_into_its_input_sees_the_same_images_at_every_point():
    def forward(n, x):
        return n.fc(n.conv(x.sub_(0.5)).mean((2, 3)))

    check_points(tiny(Functional(forward, conv=nn.Conv2d(3, 4, 3), fc=nn.Linear(4, 3))), 7)
