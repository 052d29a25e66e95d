"""Activations: values and slopes are PyTorch's, and what a network gives them is what enters its modules."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cnnviz
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput, UnknownName
from cnnviz.models.model import LoadedModel
from cnnviz.studies.backward.activations import (
    ACTIVATIONS,
    FLAT,
    find_activation,
    list_activation_layers,
    pre_activations,
    slope_products,
)

OF_PYTORCH = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
    "leaky": F.leaky_relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
    "maxout": lambda x: torch.maximum(x, -0.5 * x - 0.5),
}


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_value_and_slope_are_those_of_autograd(kind):
    x = torch.linspace(-6.1, 6.2, 83, dtype=torch.float64).requires_grad_()
    y = OF_PYTORCH[kind](x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    function = find_activation(kind)
    np.testing.assert_allclose(function.value(x.detach().numpy()), y.detach().numpy(), atol=1e-12)
    np.testing.assert_allclose(function.slope(x.detach().numpy()), slope.numpy(), atol=1e-12)


def test_at_the_kink_the_slope_is_the_one_that_pytorch_takes():
    for kind in ("relu", "leaky", "elu"):
        x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(OF_PYTORCH[kind](x).sum(), x)
        assert find_activation(kind).slope(np.zeros(1))[0] == slope.item(), kind


def test_the_gradient_below_0_is_0_for_relu_alone():
    slopes = {kind: float(one.slope(np.array([-2.0]))[0]) for kind, one in ACTIVATIONS.items()}
    assert [kind for kind, slope in slopes.items() if slope == 0] == ["relu"]
    assert slopes["sigmoid"] == pytest.approx(0.1049936, rel=1e-6)  # 0.1192 · 0.8808


def test_products_of_slopes_are_powers():
    assert slope_products(0.25, 4).tolist() == [0.25, 0.0625, 0.015625, 0.00390625]
    with pytest.raises(BadInput):
        slope_products(1.0, 0)


def test_what_enters_an_activation_is_counted_where_it_is_flat():
    model = cnnviz.load("lenet5_tanh", device="cpu")
    digit = cnnviz.corpus("digits").image(3)
    layers = list_activation_layers(model)
    assert layers and set(layers.values()) == {"tanh"}
    first = next(iter(layers))
    given = pre_activations(model, digit, first)
    conv = cnnviz.capture(model, digit, ["conv1"])["conv1"].ravel()
    np.testing.assert_array_equal(given.values, conv)
    slow = [1 - np.tanh(float(v)) ** 2 for v in conv]
    assert given.flat_share("tanh") == pytest.approx(sum(s < FLAT for s in slow) / len(slow))
    assert given.mean_slope("tanh") == pytest.approx((sum(s * s for s in slow) / len(slow)) ** 0.5)


def test_an_in_place_relu_does_not_change_what_is_read_and_modules_that_never_run_are_left_out():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.relu, self.unused, self.head = (
                nn.Conv2d(3, 4, 3),
                nn.ReLU(inplace=True),
                nn.Tanh(),
                nn.Linear(4, 2),
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.relu(self.conv(x)).mean((2, 3)))

    model = LoadedModel(Net(), "net", Preprocessing((8, 8)), ["a", "b"], torch.device("cpu"))
    assert list_activation_layers(model) == {"relu": "relu"}
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    given = pre_activations(model, image, "relu")
    assert given.kind == "relu" and given.values.min() < 0
    assert given.flat_share("relu") == (given.values <= 0).mean()


def test_a_layer_without_activation_module_gives_its_output_and_unknown_names_are_refused():
    model = cnnviz.load("lenet5", device="cpu")
    digit = cnnviz.corpus("digits").image(3)
    given = pre_activations(model, digit, "conv2")
    assert given.kind == "" and given.values.size == 16 * 10 * 10
    with pytest.raises(UnknownName):
        pre_activations(model, digit, "conv9")
    with pytest.raises(UnknownName):
        find_activation("relv")
