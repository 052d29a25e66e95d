"""LeNet-5's C3, AlexNet's towers, VGG's table, ZFNet's changes, Network in Network: published and slow counts."""

import numpy as np
import pytest
import torch

import cnnviz
from cnnviz.errors import UnknownName
from cnnviz.studies.families.layer_tables import CONFIGURATIONS, vgg_configurations, zfnet_changes
from cnnviz.studies.families.lenet_c3 import c3_connections
from cnnviz.studies.families.mlpconv import head_sizes, mlpconv_layers
from cnnviz.studies.families.towers import alexnet_towers


def test_c3s_table_is_what_the_network_really_reads():
    c3, found = cnnviz.build("lenet5_1998").c3, c3_connections()
    with torch.no_grad():
        silent = c3(torch.zeros(1, 6, 14, 14))
        for row in range(6):
            one = torch.zeros(1, 6, 14, 14)
            one[:, row] = torch.randn(14, 14, generator=torch.Generator().manual_seed(row))
            moved = (c3(one) - silent).abs().amax((0, 2, 3)) > 0
            assert moved.tolist() == found.sees[row].tolist()


def test_c3_has_1516_parameters_where_a_dense_convolution_has_2416():
    found = c3_connections()
    assert found.kernels == 60 and 25 * 60 + 16 == int(found.parameters.sum()) == 1516
    assert found.parameters.tolist() == [76] * 6 + [101] * 9 + [151]
    assert found.parameters.tolist() == [25 * int(n) + 1 for n in found.sees.sum(0)]
    assert (found.dense.parameters, found.dense.macs, found.macs) == (2416, 240_000, 150_000)
    assert len({tuple(column) for column in found.sees.T.tolist()}) == 16  # no two see the same


def test_the_towers_have_the_units_of_the_notes_and_cross_where_the_paper_says():
    layers = alexnet_towers()
    units = [154_587, 290_400, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]
    assert [layer.units for layer in layers] == units and sum(units) == 813_859 and sum(units[1:]) == 659_272
    assert [layer.units for layer in layers] == [int(np.prod(layer.output)) for layer in layers]
    assert {layer.name for layer in layers if layer.crosses} == {"conv3", "fc6", "fc7", "fc8"}
    assert sum(layer.parameters for layer in layers) == 60_965_224
    printed = {layer.name: layer.printed for layer in layers if layer.printed}
    assert printed == {"input": 224 * 224 * 3, "conv1": 253_440}


def test_vggs_columns_have_the_published_parameters_with_and_without_biases():
    found = {one.name: one for one in vgg_configurations()}
    with_biases = {
        "A": 132_863_336,
        "A-LRN": 132_863_336,
        "B": 133_047_848,
        "C": 133_638_952,
        "D": 138_357_544,
        "E": 143_667_240,
    }
    assert {name: one.parameters for name, one in found.items()} == with_biases
    assert found["D"].weights == 138_344_128
    assert [found[name].layers for name in "ABCDE"] == [11, 13, 16, 16, 19]
    for one in found.values():  # the table alone gives the counts
        maps, weights, biases = 3, 25088 * 4096 + 4096 * 4096 + 4096 * 1000, 4096 + 4096 + 1000
        for layer in (layer for stage in one.stages for layer, _ in stage if layer != "LRN"):
            kernel, _, width = layer.removeprefix("conv").partition("-")
            weights, biases, maps = weights + int(kernel) ** 2 * maps * int(width), biases + int(width), int(width)
        assert (one.weights, one.parameters) == (weights, weights + biases)


def test_bold_in_vggs_table_is_what_the_paper_prints_in_bold():
    bold = {
        one.name: [(stage, layer) for stage, layers in enumerate(one.stages, 1) for layer, added in layers if added]
        for one in vgg_configurations()
    }
    assert bold == {
        "A": [],
        "A-LRN": [(1, "LRN")],
        "B": [(1, "conv3-64"), (2, "conv3-128")],
        "C": [(3, "conv1-256"), (4, "conv1-512"), (5, "conv1-512")],
        "D": [(3, "conv3-256"), (4, "conv3-512"), (5, "conv3-512")],
        "E": [(3, "conv3-256"), (4, "conv3-512"), (5, "conv3-512")],
    }


def test_a_column_adds_to_the_one_that_is_shown_before_it():
    first, second = vgg_configurations(["E", "A"])
    assert (first.name, second.name) == ("A", "E")
    assert sum(added for stage in second.stages for _, added in stage) == 19 - 11
    with pytest.raises(UnknownName, match="F"):
        vgg_configurations(["A", "F"])
    assert list(CONFIGURATIONS) == ["A", "A-LRN", "B", "C", "D", "E"]


def test_zfnet_changes_kernel_and_stride_of_conv1_and_the_groups():
    changes = {one.name: one for one in zfnet_changes()}
    first = changes["conv1"]
    assert (first.before["kernel"], first.after["kernel"]) == ("11", "7")
    assert (first.before["stride"], first.after["stride"]) == ("4", "2")
    assert (first.before["size"], first.after["size"]) == ("55×55", "110×110")
    same = [name for name, one in changes.items() if one.before == one.after]
    assert same == ["pool2", "conv3", "pool5", "fc6", "fc7", "fc8"]
    total = [
        sum(int(side["parameters"].replace(",", "") or 0) for side in sides)
        for sides in ([one.before for one in changes.values()], [one.after for one in changes.values()])
    ]
    assert total == [60_965_224, 62_357_608]


def test_mlpconv_layers_add_two_1x1_convolutions_each():
    found = mlpconv_layers()
    rows = [34_944, 9_312, 9_312, 614_656, 65_792, 65_792, 885_120, 147_840, 147_840, 3_539_968, 1_049_600, 1_025_000]
    assert [one.linear[1] for one in found] == rows[::3]
    assert [one.mlp[1] for one in found] == [sum(rows[at : at + 3]) for at in range(0, 12, 3)]
    assert sum(one.mlp[2] for one in found) == 1_100_188_800


def test_network_in_network_takes_29_mib_where_alexnet_takes_233():
    alexnet, nin = head_sizes()
    assert alexnet.head == 9217 * 4096 + 4097 * 4096 + 4097 * 1000 and nin.head == 0
    assert alexnet.mebibytes == pytest.approx(60_965_224 * 4 / 1024**2) == pytest.approx(232.6, abs=0.05)
    assert nin.mebibytes == pytest.approx(28.97, abs=0.005)
