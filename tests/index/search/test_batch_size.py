"""Which number of images a pass takes."""

import pytest
import torch
from nets import tiny
from torch import nn

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.index.search import batch_size
from cnnviz.index.search.batch_size import SMALL, choose_batch_size, list_sizes
from cnnviz.models.model import LoadedModel


@pytest.mark.parametrize("layers, best", [(0, 4), (200, 8), (10_000, 32)])
def test_what_every_pass_costs_counts_less_for_more_images(layers, best, monkeypatch):
    monkeypatch.setattr(batch_size, "_measure", lambda *_: {4: 0.0100, 8: 0.0101, 32: 0.0120})
    assert choose_batch_size(tiny(nn.Conv2d(3, 4, 3)), layers=layers) == best


@pytest.mark.parametrize("device, best", [("cpu", 8), ("meta", 32)])
def test_on_a_cpu_what_differs_from_time_to_time_decides_nothing(device, best, monkeypatch):
    monkeypatch.setattr(batch_size, "_measure", lambda *_: {4: 0.0110, 8: 0.0103, 32: 0.0100})
    model = LoadedModel(nn.Conv2d(3, 2, 3), "some", Preprocessing((12, 12)), ["a"], torch.device(device))
    assert choose_batch_size(model) == best


def test_the_size_is_one_of_those_that_are_measured_and_stays():
    model = tiny(nn.Conv2d(3, 4, 3))
    first = choose_batch_size(model, layers=1)
    assert first in list_sizes(model) and choose_batch_size(model, layers=1) == first


def test_without_room_for_any_it_is_small(monkeypatch):
    monkeypatch.setattr(batch_size, "_time_pass", lambda *_: None)
    assert choose_batch_size(tiny(nn.Conv2d(3, 4, 3))) == SMALL
