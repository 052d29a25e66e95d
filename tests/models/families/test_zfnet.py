"""ZFNet: the published rows and maps."""

import pytest
from layer_costs import map_sides, on_meta, parameters
from torch import nn

import cnnviz

ROWS = [14_208, 614_656, 885_120, 1_327_488, 884_992, 37_752_832, 16_781_312, 4_097_000]
ORDER = ["Conv2d", "ReLU", "MaxPool2d", "LocalResponseNorm"] * 2 + ["Conv2d", "ReLU"] * 3 + ["MaxPool2d"]


def test_every_layer_has_the_published_parameters():
    layers = [m for m in on_meta("zfnet").modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert [parameters(layer) for layer in layers] == ROWS


@pytest.mark.parametrize("name", ["zfnet", "zfnet_b"])
def test_pools_round_up_and_come_before_the_normalisation(name):
    net = on_meta(name)
    sides = map_sides(net, (3, 224, 224))
    assert [type(m).__name__ for m in net.features] == ORDER
    assert [sides[f"features.{i}"] for i in (0, 2, 4, 6, 8, 10, 12, 14)] == [110, 55, 26, 13, 13, 13, 13, 6]


def test_the_wide_variant_has_512_1024_and_512_maps():
    assert [m.out_channels for m in on_meta("zfnet_b").features if isinstance(m, nn.Conv2d)] == [
        96,
        256,
        512,
        1024,
        512,
    ]


def test_conv5_sees_139_pixels():
    """7 + 2·2 (pool) + 4·4 (conv2) + 2·8 (pool) + 3 convolutions of 2·16."""
    model = cnnviz.load("zfnet", weights="random", device="cpu")
    found = cnnviz.receptive_field(model, "features.12")
    assert (found.size[0], found.stride[0]) == (7 + 4 + 16 + 16 + 96, 16)
