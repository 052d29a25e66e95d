"""CNN-F, CNN-M and CNN-S: maps, normalisation, the two paddings of CNN-S, narrow descriptors."""

import pytest
import torch
from layer_costs import map_sides, multiply_adds, on_meta, parameters
from torch import nn

IMAGE = (3, 224, 224)


@pytest.mark.parametrize(
    "name, options, sides",
    [
        ("cnn_f", {}, [54, 27, 27, 13, 13, 13, 13, 6]),
        ("cnn_m", {}, [109, 54, 26, 13, 13, 13, 13, 6]),
        ("cnn_s", {}, [109, 37, 33, 17, 17, 17, 17, 6]),
        ("cnn_s", {"paper_padding": True}, [109, 37, 35, 18, 18, 18, 18, 6]),
    ],
)
def test_maps_have_the_sizes_of_the_released_nets(name, options, sides):
    net = on_meta(name, **options)
    layers = dict(net.named_modules())
    found = map_sides(net, IMAGE)
    assert [s for layer, s in found.items() if isinstance(layers[layer], nn.Conv2d | nn.MaxPool2d)] == sides


def test_the_padding_of_the_paper_s_table_costs_290_m_more_and_no_parameter():
    released, printed = on_meta("cnn_s"), on_meta("cnn_s", paper_padding=True)
    assert sum(multiply_adds(released, IMAGE).values()) == 2_637_708_320
    assert sum(multiply_adds(printed, IMAGE).values()) == 2_927_705_120
    assert parameters(released) == parameters(printed) == 102_908_520


@pytest.mark.parametrize("name, after", [("cnn_f", [0, 4]), ("cnn_m", [0, 4]), ("cnn_s", [0])])
def test_local_response_normalisation_follows_the_first_layers(name, after):
    kinds = [type(m).__name__ for m in on_meta(name).features]
    assert [i - 2 for i, kind in enumerate(kinds) if kind == "LocalResponseNorm"] == after
    assert all(kinds[i] == "Conv2d" for i in after)


@pytest.mark.parametrize(
    "name, width", [("cnn_m", 4096), ("cnn_m_2048", 2048), ("cnn_m_1024", 1024), ("cnn_m_128", 128)]
)
def test_the_descriptor_is_as_wide_as_the_name_says(name, width):
    net = on_meta(name)
    assert net.classifier[:5](torch.zeros(1, 512 * 36, device="meta")).shape == (1, width)
    assert parameters(net) == 102_908_520 - (4096 - width) * (4096 + 1 + 1000)
