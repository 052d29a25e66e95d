"""Effective receptive fields: the gradient of a linear network is its kernel."""

import numpy as np
import pytest
import torch
from nets import images, tiny
from torch import nn

from cnnviz.attribution.effective_field import EffectiveField, effective_field
from cnnviz.errors import BadInput


def test_of_a_linear_network_it_is_the_absolute_kernel(seeded):
    conv = nn.Conv2d(3, 2, (3, 5), bias=False)
    conv.weight.data = torch.randn(conv.weight.shape, generator=seeded)
    found = effective_field(tiny(nn.Sequential(conv), (9, 9)), images(2, (9, 9)), "0", [(1, 2, 3), (1, 6, 0)])
    kernel = conv.weight.detach()[1].abs().sum(0).numpy()
    assert found.size == (3, 5)
    np.testing.assert_allclose(found.weight, kernel / kernel.sum(), rtol=1e-5)


def test_two_linear_layers_give_the_convolved_kernel(seeded):
    first, second = nn.Conv2d(1, 1, 3, bias=False), nn.Conv2d(1, 1, 3, bias=False)
    for conv in (first, second):
        conv.weight.data = torch.rand(conv.weight.shape, generator=seeded)  # positive: nothing cancels
    found = effective_field(tiny(nn.Sequential(first, second), (9, 9), 1), images(1, (9, 9), 1), "1", [(0, 2, 2)])
    whole = np.zeros((5, 5))
    for (r, c), value in np.ndenumerate(second.weight.detach()[0, 0].numpy()):
        whole[r : r + 3, c : c + 3] += value * first.weight.detach()[0, 0].numpy()
    np.testing.assert_allclose(found.weight, whole / whole.sum(), rtol=1e-5)


def test_what_lies_outside_an_image_does_not_dilute_the_mean(seeded):
    conv = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    conv.weight.data = torch.rand(conv.weight.shape, generator=seeded) + 0.1
    kernel = conv.weight.detach()[0, 0].numpy()
    corner_and_middle = [(0, 0, 0), (0, 4, 4)]  # the corner's first row and column are padding
    found = effective_field(tiny(nn.Sequential(conv), (9, 9), 1), images(2, (9, 9), 1), "0", corner_and_middle)
    np.testing.assert_allclose(found.weight, kernel / kernel.sum(), rtol=1e-5)


def test_the_box_that_holds_a_share_grows_from_the_middle():
    weight = np.zeros((7, 7), np.float32)
    weight[3, 3], weight[2:5, 2:5] = 0, 0.05
    weight[3, 3] = 0.5  # 0.5 in the middle, 0.4 in the ring, the rest in the corner
    weight[0, 0] = 0.1
    field = EffectiveField(weight, (7, 7))
    assert [field.within(share) for share in (0.5, 0.51, 0.9, 0.95)] == [(1, 1), (3, 3), (3, 3), (7, 7)]
    with pytest.raises(BadInput, match="0..1"):
        field.within(1.5)


def test_a_dead_rectifier_gives_zero_and_no_nan():
    conv = nn.Conv2d(1, 1, 3, bias=False)
    conv.weight.data.fill_(-1.0)
    net = nn.Sequential(conv, nn.ReLU(), nn.Conv2d(1, 1, 1))
    found = effective_field(tiny(net, (5, 5), 1), torch.ones(1, 1, 5, 5), "2", [(0, 1, 1)])
    assert not found.weight.any()
