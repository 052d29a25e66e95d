"""Stacks without a network: PyTorch's own convolutions as the second opinion, and the lecture's counts."""

from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz.errors import BadInput
from cnnviz.studies.convolution.stacks import PRESETS, StackLayer, make_stack, read_stack, write_stack


def slow_profile(layers: tuple[StackLayer, ...]) -> np.ndarray:
    """Every path from the top unit to the input is walked and counted."""
    counts: dict[int, float] = {}
    for path in product(*(range(layer.kernel) for layer in layers)):
        place, jump = 0, 1
        for layer, tap in zip(layers, path, strict=True):
            place += tap * layer.dilation * jump
            jump *= layer.stride
        counts[place] = counts.get(place, 0) + 1
    found = np.zeros(max(counts) + 1)
    for place, count in counts.items():
        found[place] = count
    return found / found.sum()


def gradient(layers: tuple[StackLayer, ...], size: int) -> np.ndarray:
    """Of the only output of PyTorch's layers with weights 1/k, without padding, by `size` inputs."""
    signal = torch.zeros(1, 1, size, dtype=torch.float64, requires_grad=True)
    value = signal
    for layer in layers:
        weight = torch.full((1, 1, layer.kernel), 1 / layer.kernel, dtype=torch.float64)
        value = nn.functional.conv1d(value, weight, stride=layer.stride, dilation=layer.dilation)
    assert value.numel() == 1
    (found,) = torch.autograd.grad(value.sum(), signal)
    return found[0, 0].numpy()


SMALL = [name for name, layers in PRESETS.items() if len(layers) < 10]


@pytest.mark.parametrize("name", SMALL)
def test_field_and_profile_are_those_of_pytorch_s_layers_and_of_all_paths(name):
    found = make_stack(PRESETS[name])
    np.testing.assert_allclose(found.profile, gradient(found.layers, found.size), atol=1e-12)
    np.testing.assert_allclose(found.profile, slow_profile(found.layers), atol=1e-12)
    assert np.array_equal(np.flatnonzero(found.profile), found.taps[-1])


def test_three_3x3_see_as_much_as_one_7x7_and_two_as_one_5x5():
    sizes = {name: make_stack(PRESETS[name]).size for name in PRESETS}
    assert sizes["three 3×3"] == sizes["one 7×7"] == 7 and sizes["two 3×3"] == sizes["one 5×5"] == 5
    assert make_stack(PRESETS["three 3×3"]).sizes == (3, 5, 7) and sizes["dilated 1-2-4"] == 15
    assert make_stack(PRESETS["ResNet stem: 7×7 stride 2, pool"]).strides == (2, 4)


def test_the_counts_of_the_notes():
    three, seven = make_stack(PRESETS["three 3×3"]), make_stack(PRESETS["one 7×7"])
    assert (three.weights(256), seven.weights(256)) == (1_769_472, 3_211_264)
    assert (three.formula, seven.formula) == ("27 C²", "49 C²")
    assert (make_stack(PRESETS["two 3×3"]).formula, make_stack(PRESETS["one 5×5"]).formula) == ("18 C²", "25 C²")
    assert (three.nonlinearities, seven.nonlinearities) == (3, 1)


def test_parameters_and_multiply_adds_are_those_of_real_layers():
    found = read_stack("7 2; pool 3 2; 3")
    net = nn.Sequential(
        nn.Conv2d(4, 4, 7, 2, 3, bias=False), nn.MaxPool2d(3, 2, 1), nn.Conv2d(4, 4, 3, 1, 1, bias=False)
    )
    assert found.weights(4) == sum(p.numel() for p in net.parameters())
    macs, value = 0, torch.zeros(1, 4, 22, 22)
    for layer in net:
        value = layer(value)
        macs += layer.weight.numel() * value[0, 0].numel() if isinstance(layer, nn.Conv2d) else 0
    assert found.macs(4, 22) == macs and found.nonlinearities == 2
    with pytest.raises(BadInput, match="at least 1"):
        found.macs(0, 22)


@pytest.mark.parametrize(("count", "kernel", "sigma"), [(20, 3, 3.6515), (1, 7, 2.0), (3, 3, 2**0.5), (4, 5, 8**0.5)])
def test_sigma_is_that_of_luo(count, kernel, sigma):
    found = make_stack([StackLayer(kernel)] * count)
    assert found.sigma == pytest.approx((count * (kernel**2 - 1) / 12) ** 0.5, rel=1e-12)
    assert found.sigma == pytest.approx(sigma, abs=5e-5)


@pytest.mark.parametrize("name", PRESETS)
def test_a_stack_survives_being_written_and_read(name):
    assert read_stack(write_stack(PRESETS[name])).layers == PRESETS[name]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "1 to 20 layers"),
        ("3\nthree", "Layer 2, 'three'"),
        ("3 1 1 1", "Layer 1"),
        ("0", "kernel 0"),
        ("3 9", "stride 9"),
        ("31; 31; 31", "91 pixels"),
        ("-3", "Layer 1"),
        ("pool", "Layer 1"),
        ("1\n" * 21, "got 21"),
        ("3 1 99", "dilation 99"),
        ("9" * 400, "Layer 1"),
    ],
)
def test_what_is_no_stack_is_refused_with_its_line(text, says):
    with pytest.raises(BadInput, match=says):
        read_stack(text)


def test_a_layer_says_what_it_is():
    assert StackLayer(3).words == "3×3"
    assert StackLayer(3, 2, 4, pool=True).words == "3×3 pool · stride 2 · dilation 4"
