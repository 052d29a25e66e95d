"""MobileNet v1: the published widths, and separable blocks against a slow loop."""

import pytest
import torch
from layer_costs import map_sides, multiply_adds, on_meta, parameters
from torch import nn

import cnnviz
from cnnviz.errors import BadInput
from cnnviz.models.families.mobilenet import SeparableBlock

IMAGE = (3, 224, 224)
WIDTHS = [
    (1.0, 4_231_976, 568_740_352),
    (0.75, 2_585_560, 325_400_448),
    (0.5, 1_331_592, 149_497_088),
    (0.25, 470_072, 41_030_272),
]


@pytest.mark.parametrize("width, count, macs", WIDTHS)
def test_the_published_widths_have_their_counts(width, count, macs):
    net = on_meta("mobilenet_v1", width=width)
    assert parameters(net) == count
    assert sum(multiply_adds(net, IMAGE).values()) == macs


def test_maps_and_widths_are_those_of_table_1():
    net = on_meta("mobilenet_v1")
    sides = map_sides(net, IMAGE)
    assert [sides[f"features.{i}"] for i in range(14)] == [112] * 2 + [56] * 2 + [28] * 2 + [14] * 6 + [7] * 2
    widths = [block.pointwise[0].out_channels for block in net.features[1:]]
    assert widths == [64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]


def test_95_percent_of_the_multiply_adds_are_in_1x1_convolutions():
    """Howard et al. 2017, table 2: 94.86 % in 1×1, 3.06 % in depthwise 3×3 convolutions."""
    counts = multiply_adds(on_meta("mobilenet_v1"), IMAGE)
    share = {
        kind: 100 * sum(value for name, value in counts.items() if kind in name) / sum(counts.values())
        for kind in ("pointwise", "depthwise")
    }
    assert (round(share["pointwise"], 1), round(share["depthwise"], 1)) == (94.9, 3.1)


def test_a_separable_block_filters_each_map_and_then_mixes_them():
    torch.manual_seed(0)
    block = SeparableBlock(3, 4, 2).eval()  # fresh batch norm: division by √(1 + eps)
    x = torch.randn(1, 3, 6, 6)
    padded, scale = nn.functional.pad(x, (1, 1, 1, 1)), (1 + 1e-5) ** -0.5
    filtered = torch.empty(1, 3, 3, 3)
    for channel in range(3):
        kernel = block.depthwise[0].weight[channel, 0]
        for row in range(3):
            for col in range(3):
                window = padded[0, channel, 2 * row : 2 * row + 3, 2 * col : 2 * col + 3]
                filtered[0, channel, row, col] = ((window * kernel).sum() * scale).clamp_min(0)
    mixed = torch.einsum("oc,nchw->nohw", block.pointwise[0].weight[:, :, 0, 0], filtered)
    torch.testing.assert_close(block(x), (mixed * scale).clamp_min(0))


@pytest.mark.parametrize("width", [0.0, -1.0, float("nan")])
def test_a_width_of_nothing_is_refused(width):
    with pytest.raises(BadInput, match="above 0"):
        cnnviz.build("mobilenet_v1", width=width)
