"""Bars and tables of an anatomy add up to its totals."""

import pytest
from made_anatomies import inception, residual

from cnnviz.figures.anatomy.profile import build_bars, find_peaks, profile
from cnnviz.figures.anatomy.tables import compare_totals, layer_table, totals_sentence
from cnnviz.figures.base.scene import Box
from cnnviz.studies.anatomy.anatomy import anatomy


@pytest.mark.parametrize("name", ["vgg16", "googlenet_2014", "resnet50", "densenet121", "mobilenet_v3_small", "mlp"])
def test_bars_add_up_to_the_totals(name):
    found = anatomy(name)
    sums = [sum(bar.values[q] for bar in build_bars(found)) for q in range(3)]
    assert sums == [found.activations, found.parameters, found.macs]


def test_vgg16_spends_memory_early_and_parameters_late():
    bars = build_bars(anatomy("vgg16"))
    assert len(bars) == 1 + 13 + 5 + 3  # image, convolutions, pools, linear layers
    half = len(bars) // 2
    memory = [bar.values[0] for bar in bars]
    weights = [bar.values[1] for bar in bars]
    assert sum(memory[:half]) > 0.8 * sum(memory) and sum(weights[half:]) > 0.9 * sum(weights)
    assert max(bars, key=lambda bar: bar.values[1]).values[1] == 102_764_544  # fc6


def test_lengths_are_proportional_and_two_networks_share_one_scale():
    pair = [anatomy("vgg16"), anatomy("googlenet_2014")]
    scale = find_peaks(pair)
    assert scale == (224 * 224 * 64, 102_764_544, 1_849_688_064)
    lengths = {}
    for one in pair:
        for box in profile(one, 620, 560, scale).shapes:
            if isinstance(box, Box) and box.title.endswith(" activations"):
                value = int(box.title.split()[-2].replace(",", ""))
                lengths[one.name, box.title] = box.width / value
    large = [share for (_, title), share in lengths.items() if int(title.split()[-2].replace(",", "")) > 200_000]
    assert max(large) == pytest.approx(min(large), rel=0.06)  # columns of names differ a little in width


def test_a_deep_network_is_shown_block_by_block_within_the_height():
    found = anatomy("resnet110_cifar")
    bars = build_bars(found)
    assert [b.name for b in bars[:3]] == ["image", "conv1", "layer1.0"] and len(bars) == 1 + len(found.blocks)
    assert profile(found, 1000, 600).height <= 610


def test_the_table_has_a_line_a_layer_with_its_numbers():
    found = anatomy("vgg16")
    table = layer_table(found)
    assert {len(column) for column in table.values()} == {len(found.rows)}
    row = table["layer"].index("features.2")
    told = {name: column[row] for name, column in table.items()}
    assert told["output (h×w×maps)"] == "224×224×64" and told["kernel"] == "3×3" and told["stride"] == "1×1"
    assert told["parameters"] == 36_928 and told["MACs"] == 1_849_688_064 and told["activation bytes"] == 12_845_056
    assert told["receptive field"] == "5×5"
    assert sum(p or 0 for p in table["parameters"]) == found.parameters
    assert layer_table(inception(), "block")["block"] == ["stem", "mix"]


def test_totals_are_said_to_the_unit():
    said = totals_sentence(anatomy("vgg16"))
    for number in ("138,357,544", "138,344,128", "15,470,264,320", "15,237,608", "60.95 MB", "16 layers"):
        assert number in said


def test_two_networks_are_compared_by_their_ratio():
    table = compare_totals([anatomy("vgg16"), anatomy("googlenet_2014")])
    assert table["parameters"] == ["138,357,544", "6,998,552", "0.0506 ×"]
    assert table["depth, layers"][:2] == ["16", "22"] and table["largest receptive field"][0] == "212×212"
    twins = compare_totals([residual(), residual()])
    assert twins["parameters"][2] == "1 ×"
