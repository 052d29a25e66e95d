"""Backward through single layers: slow loops over windows, autograd, and the network's own layers."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cnnviz
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel
from cnnviz.studies.backward.through import (
    CONV,
    POOL,
    RELU,
    compare_with_autograd,
    conv_backward,
    layer_backward,
    list_layers_back,
    regroup_kernel,
)
from cnnviz.studies.convolution.toeplitz import build_toeplitz


def test_sixty_slices_become_three_sets_of_depth_twenty_each_slice_turned():
    kernel = torch.randn(20, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    turned = regroup_kernel(kernel)
    assert turned.shape == (3, 20, 3, 3)
    for f in range(20):
        for c in range(3):
            assert torch.equal(turned[c, f], kernel[f, c].rot90(2))
    letters = torch.arange(9.0).reshape(1, 1, 3, 3)  # a … i
    assert regroup_kernel(letters).flatten().tolist() == [8, 7, 6, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    "how",
    [
        dict(stride=(1, 1)),
        dict(stride=(2, 3), padding=(1, 2)),
        dict(padding=(2, 0), dilation=(2, 1)),
        dict(groups=2, stride=(2, 2), padding=(1, 1)),
        dict(padding=(4, 4)),
    ],
)
def test_the_backward_pass_of_a_convolution_is_a_convolution_with_the_turned_kernel(how):
    torch.manual_seed(0)
    groups = how.get("groups", 1)
    x = torch.randn(2, 4, 9, 10, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(6, 4 // groups, 3, 2, dtype=torch.float64)
    y = F.conv2d(x, kernel, **how)
    arriving = torch.randn_like(y)
    (true,) = torch.autograd.grad(y, x, arriving)
    torch.testing.assert_close(conv_backward(arriving, kernel, (9, 10), **how), true)


def test_on_a_small_grid_it_is_the_transposed_matrix():
    rng = np.random.default_rng(0)
    x, kernel, arriving = rng.integers(-4, 5, (4, 5)), rng.integers(-4, 5, (2, 3)), rng.integers(-4, 5, (3, 3))
    back, error = compare_with_autograd(CONV, x, arriving, kernel, 0, 1)
    matrix = build_toeplitz(kernel, (4, 5)).matrix
    assert back.ravel().tolist() == (matrix.T @ arriving.ravel()).tolist() and error == 0


def test_relu_is_a_mask_with_0_at_0_and_of_equal_maxima_the_first_gets_the_gradient():
    back, error = compare_with_autograd(RELU, np.array([[-1, 0, 2.0]]), np.array([[5, 6, 7.0]]), None, 0, 1)
    assert back.tolist() == [[0, 0, 7]] and error == 0
    x = np.array([[3, 3, 1, 0], [3, 0, 0, 1.0]])
    back, error = compare_with_autograd(POOL, x, np.array([[5.0, 6]]), None, 2, 2)
    assert back.tolist() == [[5, 0, 6, 0], [0, 0, 0, 0]] and error == 0
    back, _ = compare_with_autograd(POOL, np.array([[0, 9, 0], [0, 0, 0.0]]), np.array([[1.0, 2]]), None, 2, 1)
    assert back.tolist() == [[0, 3, 0], [0, 0, 0]]  # both windows have it as their maximum


def test_a_gradient_of_the_wrong_shape_is_refused_in_words():
    with pytest.raises(BadInput, match="The output has 1×2 values"):
        compare_with_autograd(POOL, np.zeros((2, 4)), np.zeros((2, 2)), None, 2, 2)


def test_every_layer_of_a_network_agrees_with_autograd():
    model = cnnviz.load("lenet5", device="cpu")
    digit = cnnviz.corpus("digits").image(3)
    layers = list_layers_back(model)
    assert set(layers.values()) == {CONV, RELU, POOL} and layers["conv2"] == CONV
    assert all(found.ndim == 4 for found in cnnviz.capture(model, digit, list(layers)).values())  # no vectors
    for name, kind in layers.items():
        found = layer_backward(model, digit, name)
        assert found.kind == kind and found.error < 1e-5 and found.passed.shape == found.entering.shape
        assert np.abs(found.passed).max() > 0
        if kind == POOL:
            assert found.chosen.sum() == found.leaving.size


def test_strides_groups_and_same_padding_of_a_network_agree_and_other_padding_is_left_out():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding="same"),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 4, 3, 2, 1, groups=4),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        nn.Flatten(),
        nn.Linear(4 * 3 * 3, 2),
    )
    model = LoadedModel(net, "net", Preprocessing((8, 8)), ["a", "b"], torch.device("cpu"))
    layers = list_layers_back(model)
    assert list(layers) == ["0", "1", "2", "4"]
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert all(layer_backward(model, image, name).error < 1e-5 for name in layers)
    with pytest.raises(BadInput, match="is no convolution"):
        layer_backward(model, image, "6")
