"""The all-convolutional networks: nothing but convolutions, and the maps of the published tables."""

import pytest
import torch
from layer_costs import map_sides, on_meta, parameters
from torch import nn

SIDES = {
    "a": [32, 16, 16, 8, 8, 8, 8],
    "b": [32, 32, 16, 16, 16, 8, 8, 8, 8],
    "c": [32, 32, 16, 16, 16, 8, 6, 6, 6],
}
ROWS_C = [2_688, 83_040, 83_040, 166_080, 331_968, 331_968, 331_968, 37_056, 1_930]


@pytest.mark.parametrize("letter", SIDES)
def test_maps_have_the_published_sides_and_only_convolutions_shrink_them(letter):
    net = on_meta(f"all_cnn_{letter}")
    sides = map_sides(net, (3, 32, 32))
    assert [side for layer, side in sides.items() if layer.startswith("features.conv")] == SIDES[letter]
    assert not any(isinstance(m, nn.MaxPool2d | nn.AvgPool2d | nn.Linear) for m in net.modules())


def test_each_layer_of_net_c_has_the_published_parameters():
    convolutions = [m for m in on_meta("all_cnn_c").modules() if isinstance(m, nn.Conv2d)]
    assert [parameters(layer) for layer in convolutions] == ROWS_C


@pytest.mark.parametrize("letter", SIDES)
def test_dropout_is_on_the_image_and_after_each_strided_convolution(letter):
    layers = list(on_meta(f"all_cnn_{letter}").features)
    assert isinstance(layers[0], nn.Dropout) and layers[0].p == 0.2
    for conv, _relu, after in zip(layers[1:], layers[2:], layers[3:], strict=False):
        if isinstance(conv, nn.Conv2d):
            strided = conv.stride == (2, 2)
            assert isinstance(after, nn.Dropout) == strided
            assert not strided or after.p == 0.5


def test_one_hundred_classes_give_the_published_count():
    with torch.device("meta"):
        assert parameters(on_meta("all_cnn_c", num_classes=100)) == 1_387_108
