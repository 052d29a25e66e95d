"""Blur-pooling, against the sum written out."""

import numpy as np
import pytest
import torch
from nets import images, published, tiny
from torch import nn

import cnnviz
from cnnviz.errors import BadInput
from cnnviz.interventions.padding import override_padding
from cnnviz.studies.equivariance.blurpool import Blur, add_blur_pooling, binomial
from cnnviz.studies.equivariance.shift import EXACT, equivariance


@pytest.mark.parametrize("size, row", [(3, [1, 2, 1]), (4, [1, 3, 3, 1]), (5, [1, 4, 6, 4, 1])])
def test_the_kernels_are_binomial_and_sum_to_one(size, row):
    expected = np.array([[a * b for a in row] for b in row]) / sum(row) ** 2
    np.testing.assert_allclose(binomial(size), expected, rtol=1e-15)


@pytest.mark.parametrize("size", [2, 3, 4, 5])
@pytest.mark.parametrize("length", [7, 8])
def test_a_blur_equals_the_loop_and_keeps_every_second_pixel(size, length):
    x = images(1, (length, length), channels=2).double()
    mirrored = list(range(length)) + list(range(length - 2, 0, -1))
    kernel, before, n = binomial(size), (size - 1) // 2, -(-length // 2)
    expected = np.zeros((2, n, n))
    for c, i, j in np.ndindex(*expected.shape):
        for a, b in np.ndindex(size, size):
            row, col = (mirrored[(2 * p - before + t) % len(mirrored)] for p, t in ((i, a), (j, b)))
            expected[c, i, j] += kernel[a, b] * float(x[0, c, row, col])
    np.testing.assert_allclose(Blur(size, (2, 2))(x)[0].numpy(), expected, atol=1e-7)


def test_strided_layers_become_dense_ones_and_a_blur():
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 3, 2, 1)
    model = tiny(nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2), nn.Conv2d(4, 2, 1)), (16, 16))
    copy = add_blur_pooling(model, 4)
    assert copy.notes["blur"]["layers"] == ["0", "2", "3"]
    x = images(1, (16, 16))
    with torch.no_grad():
        y = torch.relu(Blur(4, (2, 2))(nn.functional.conv2d(x, conv.weight, conv.bias, 1, 1)))
        y = Blur(4, (2, 2))(nn.functional.max_pool2d(y, 3, 1, 1))
        expected = model.module[4](Blur(4, (2, 2))(y))
        torch.testing.assert_close(copy.module(x), expected)
        assert model.module[0].stride == (2, 2) and not torch.allclose(model.module(x), expected)
    assert cnnviz.receptive_field(copy, "4").stride == cnnviz.receptive_field(model, "4").stride == (8, 8)


def test_a_blurred_network_is_smoother_between_the_strides_and_still_exact_at_them():
    model = tiny(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)), (16, 16))
    shifts = [(0, 0), (1, 1), (2, 2), (3, 1)]
    plain = equivariance(model, images(1, (16, 16)), shifts, "2", "torus")["2"]
    copy = add_blur_pooling(model, 5)
    smooth = equivariance(copy, images(1, (16, 16)), shifts, "2", "torus")["2"]
    assert smooth.relative[[0, 2]].max() < EXACT
    assert (smooth.relative[[1, 3]] < 0.8 * plain.relative[[1, 3]]).all()


@pytest.mark.parametrize("name", ["alexnet", "squeezenet1_0", "resnet18", "densenet121"])
def test_published_networks_run_blurred_on_their_own_input_size(name):
    model = published(name, (128, 128) if name != "alexnet" else None)
    copy = add_blur_pooling(model, 3)
    with torch.no_grad(), override_padding("reflect"):
        found = copy.module(torch.zeros(1, *model.input_size))
    assert found.shape == (1, 1000) and torch.isfinite(found).all()


def test_nothing_to_blur_and_other_sizes_are_said():
    with pytest.raises(BadInput, match="nothing to blur"):
        add_blur_pooling(tiny(nn.Sequential(nn.Conv2d(3, 2, 3))))
    with pytest.raises(BadInput, match="taps, got 6"):
        add_blur_pooling(tiny(nn.Sequential(nn.Conv2d(3, 2, 3, 2))), 6)
