"""First-layer filters: weights as they are, tiles by the formula, whatever the first layer looks like."""

import numpy as np
import pytest
import torch
from nets import Functional, published, tiny
from torch import nn

from cnnviz.errors import BadInput
from cnnviz.probes.filters import first_layer_filters


def first_conv(channels: int = 3, filters: int = 5, kernel=(3, 4)):
    torch.manual_seed(0)
    return tiny(nn.Sequential(nn.Conv2d(channels, filters, kernel), nn.ReLU()), channels=channels)


def shade(weight: float, scale: float) -> int:
    """128 is zero; the scale's magnitude reaches 1 or 255; halves go to the even number."""
    return round(128 + 127 * weight / scale)


def test_weights_are_those_of_the_first_layer_as_numpy():
    model = first_conv()
    found = first_layer_filters(model)
    assert found.layer == "0" and found.weights.dtype == np.float32
    np.testing.assert_array_equal(found.weights, model.module[0].weight.numpy())


@pytest.mark.parametrize("contrast", ["common", "each"])
def test_rgb_tiles_follow_the_formula_pixel_by_pixel(contrast):
    found = first_layer_filters(first_conv(), contrast)
    weights = found.weights.astype(float)
    largest = max(abs(w) for w in weights.ravel())
    for number, kernel in enumerate(weights):
        scale = largest if contrast == "common" else max(abs(w) for w in kernel.ravel())
        assert found.scale[number] == pytest.approx(scale)
        for channel, row, col in np.ndindex(kernel.shape):
            exact = 128 + 127 * kernel[channel, row, col] / scale
            assert abs(found.tiles[number, row, col, channel] - exact) <= 0.5001
    assert found.tiles.shape == (5, 3, 4, 3) and found.tiles.dtype == np.uint8


def test_each_contrast_lets_every_filter_fill_the_range_and_common_only_the_strongest():
    model = first_conv()
    model.module[0].weight[2] *= 0.01
    reach = {
        contrast: np.abs(first_layer_filters(model, contrast).tiles.astype(int) - 128).max(axis=(1, 2, 3))
        for contrast in ("common", "each")
    }
    assert (reach["each"] == 127).all()
    assert reach["common"].max() == 127 and reach["common"][2] <= 2


def test_a_weight_of_zero_is_128_also_in_a_filter_of_zeros():
    model = first_conv()
    model.module[0].weight[1] = 0
    model.module[0].weight[3, 0, 0, 0] = 0
    for contrast in ("common", "each"):
        tiles = first_layer_filters(model, contrast).tiles
        assert (tiles[1] == 128).all()
        assert tiles[3, 0, 0, 0] == 128


def test_a_network_of_zeros_is_gray_all_over():
    model = first_conv()
    model.module[0].weight.zero_()
    assert (first_layer_filters(model).tiles == 128).all()


def test_one_channel_filters_are_one_channel_tiles():
    found = first_layer_filters(first_conv(1))
    scale = float(np.abs(found.weights).max())
    assert found.tiles.shape == (5, 3, 4, 1)
    assert found.tiles[2, 1, 1, 0] == shade(float(found.weights[2, 0, 1, 1]), scale)


def test_four_channel_filters_show_the_mean_over_channels():
    found = first_layer_filters(first_conv(4))
    mean = found.weights.mean(axis=1)
    assert found.weights.shape == (5, 4, 3, 4) and found.tiles.shape == (5, 3, 4, 1)
    assert found.tiles[4, 2, 3, 0] == shade(float(mean[4, 2, 3]), float(np.abs(mean).max()))


def test_one_channel_alone_has_its_own_contrast():
    found = first_layer_filters(first_conv(), channel=1)
    alone = found.weights[:, 1]
    assert found.weights.shape[1] == 3 and found.tiles.shape == (5, 3, 4, 1)
    assert found.scale[0] == pytest.approx(np.abs(alone).max())
    assert found.tiles[0, 0, 0, 0] == shade(float(alone[0, 0, 0]), float(np.abs(alone).max()))


def test_a_fully_connected_first_layer_is_reshaped_to_the_input():
    torch.manual_seed(0)
    model = tiny(nn.Sequential(nn.Flatten(), nn.Linear(3 * 5 * 6, 7), nn.ReLU(), nn.Linear(7, 2)), (5, 6))
    found = first_layer_filters(model)
    assert found.layer == "1" and found.weights.shape == (7, 3, 5, 6)
    weight = model.module[1].weight
    for channel, row, col in np.ndindex(3, 5, 6):
        assert found.weights[4, channel, row, col] == weight[4, channel * 30 + row * 6 + col]


@pytest.mark.parametrize(
    "model",
    [
        tiny(nn.Sequential(nn.Flatten(), nn.ReLU())),
        tiny(Functional(lambda n, x: n.a(x.mean(1)), a=nn.Linear(8, 4), b=nn.Conv2d(3, 4, 3))),
        tiny(nn.Sequential(nn.Conv2d(6, 4, 3), nn.Conv2d(3, 4, 3))),
    ],
    ids=["no weights", "linear over rows", "convolution over features"],
)
def test_a_network_without_a_first_layer_in_image_space_is_refused(model):
    with pytest.raises(BadInput, match="no first layer in image space.*3 channels.*3×8×8"):
        first_layer_filters(model)


def test_unknown_contrasts_and_channels_are_refused_with_what_there_is():
    with pytest.raises(BadInput, match="common, each, got 'local'"):
        first_layer_filters(first_conv(), "local")
    for channel in (-1, 3):
        with pytest.raises(BadInput, match=rf"0\.\.2, got {channel}"):
            first_layer_filters(first_conv(), channel=channel)


@pytest.mark.parametrize(
    "name, layer, shape",
    [
        ("lenet5", "conv1", (6, 1, 5, 5)),
        ("resnet20_cifar", "conv1", (16, 3, 3, 3)),
        ("squeezenet1_0", "features.0", (96, 3, 7, 7)),
    ],
)
def test_published_first_layers_have_their_published_shape(name, layer, shape):
    found = first_layer_filters(published(name))
    assert (found.layer, found.weights.shape) == (layer, shape)
