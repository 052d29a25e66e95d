"""Anatomies against the published tables, torchvision's own figures, and slow counts."""

import csv
import random
from io import StringIO

import pytest
import torch
from torch import Tensor, nn

import cnnviz
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput, UnknownName
from cnnviz.models.catalogue.registry import find
from cnnviz.models.model import LoadedModel
from cnnviz.studies.anatomy.anatomy import Anatomy, LayerRow, anatomy


def loaded(module: nn.Module, size: tuple[int, int] = (16, 16), channels: int = 3) -> LoadedModel:
    preprocessing = Preprocessing(size, mean=(0.0,) * channels, std=(1.0,) * channels)
    return LoadedModel(module, "own", preprocessing, ["a"], torch.device("cpu"))


def rows_of(found: Anatomy, *kinds: str) -> list[LayerRow]:
    return [row for row in found if row.kind in kinds]


VGG16 = """
conv 64×224×224 1728, conv 64×224×224 36864, pool 64×112×112 0,
conv 128×112×112 73728, conv 128×112×112 147456, pool 128×56×56 0,
conv 256×56×56 294912, conv 256×56×56 589824, conv 256×56×56 589824, pool 256×28×28 0,
conv 512×28×28 1179648, conv 512×28×28 2359296, conv 512×28×28 2359296, pool 512×14×14 0,
conv 512×14×14 2359296, conv 512×14×14 2359296, conv 512×14×14 2359296, pool 512×7×7 0,
linear 4096 102760448, linear 4096 16777216, linear 1000 4096000
"""  # the memory and parameter table of the lecture: weights without biases


def test_vgg16_reproduces_the_table_of_the_lecture_row_by_row():
    found = anatomy("vgg16")
    rows = [row for row in rows_of(found, "conv", "pool", "linear") if "changes nothing" not in row.detail]
    got = [f"{row.kind} {'×'.join(map(str, row.output))} {row.weights}" for row in rows]
    assert got == [" ".join(line.split()) for line in VGG16.strip().split(",")]
    assert found.activations == 3 * 224 * 224 + sum(row.activations for row in rows) == 15_237_608
    assert round(found.activation_bytes / 1e6, 2) == 60.95
    assert (found.weights, found.parameters) == (138_344_128, 138_357_544)
    assert (found.macs, found.depth) == (15_470_264_320, 16)


def test_vgg16_has_the_published_receptive_fields_at_its_end():
    fields = {row.layer: row.receptive_field for row in anatomy("vgg16")}
    assert (fields["features.28"], fields["features.30"]) == ((196, 196), (212, 212))


GOOGLENET = {
    "conv1": (9_408, 9_472, 118_013_952),
    "conv2": (114_688, 114_944, 359_661_568),
    "3a": (163_328, 163_696, 128_049_152),
    "3b": (388_096, 388_736, 304_267_264),
    "4a": (375_552, 376_176, 73_608_192),
    "4b": (448_512, 449_160, 87_908_352),
    "4c": (509_440, 510_104, 99_850_240),
    "4d": (604_672, 605_376, 118_515_712),
    "4e": (867_328, 868_352, 169_996_288),
    "5a": (1_042_432, 1_043_456, 51_079_168),
    "5b": (1_442_816, 1_444_080, 70_697_984),
    "fc": (1_024_000, 1_025_000, 1_024_000),
}  # weights, parameters, multiply-adds of each row of table 1, as the layers it prints give them


def test_googlenet_reproduces_its_table_row_by_row():
    found = anatomy("googlenet_2014")
    got: dict[str, tuple[int, ...]] = {}
    for block in found.blocks:
        name = {"conv3": "conv2"}.get(block.block, block.block.removeprefix("inception"))  # two layers, one row
        if block.parameters:
            cost = (block.weights, block.parameters, block.macs)
            got[name] = tuple(a + b for a, b in zip(got.get(name, (0, 0, 0)), cost, strict=True))
    assert got == GOOGLENET
    assert (found.weights, found.parameters, found.macs) == (6_990_272, 6_998_552, 1_582_671_872)
    assert found.depth == 22


def test_an_inception_module_has_four_branches_and_one_concatenation():
    found = anatomy("googlenet_2014")
    block = next(block for block in found.blocks if block.block == "inception3a")
    inside = [found.rows[i] for i in block.rows]
    join = inside[-1]
    assert (block.kind, block.depth, block.output) == ("inception", 2, (256, 28, 28))
    assert join.kind == "concat" and len(join.parents) == 4 and join.output == block.output
    (before,) = {parent for row in inside for parent in row.parents if parent not in block.rows}
    assert sum(before in row.parents for row in inside) == 4
    assert found.rows[before].kind == "pool"


ALEXNET = [
    ("conv", (96, 55, 55), 34_944, 105_415_200, 11),
    ("pool", (96, 27, 27), 0, 0, 19),
    ("conv", (256, 27, 27), 307_456, 223_948_800, 51),
    ("pool", (256, 13, 13), 0, 0, 67),
    ("conv", (384, 13, 13), 885_120, 149_520_384, 99),
    ("conv", (384, 13, 13), 663_936, 112_140_288, 131),
    ("conv", (256, 13, 13), 442_624, 74_760_192, 163),
    ("pool", (256, 6, 6), 0, 0, 195),
    ("linear", (4096,), 37_752_832, 37_748_736, 227),
    ("linear", (4096,), 16_781_312, 16_777_216, 227),
    ("linear", (1000,), 4_097_000, 4_096_000, 227),
]


def test_alexnet_has_the_published_shapes_costs_and_receptive_fields():
    found = anatomy("alexnet_2012")
    rows = rows_of(found, "conv", "pool", "linear")
    assert [(r.kind, r.output, r.parameters, r.macs, (r.receptive_field or (0,))[0]) for r in rows] == ALEXNET
    assert [r.groups for r in rows if r.kind == "conv"] == [1, 2, 1, 2, 2]
    assert [r.kind for r in found].count("lrn") == 2
    assert sum(r.activations for r in rows if r.kind != "pool") == 659_272  # the units that the lecture counts


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("resnet18", 18),
        ("resnet152", 152),
        ("resnet110_cifar", 110),
        ("densenet121", 121),
        ("vgg19", 19),
        ("highway19_cifar10", 19),
        ("fractalnet_c3b5", 21),
        ("densenet_40_k12", 40),
        ("plain34", 34),
        ("lenet5", 5),
    ],
)
def test_the_depth_is_the_number_in_the_name(name: str, depth: int):
    assert anatomy(name).depth == depth


def torchvision_names() -> list[str]:
    return [name for name in cnnviz.architectures() if find(name).pretrained and "torchvision" in find(name).source]


def test_totals_are_those_of_torchvisions_metadata():
    from torchvision.models import get_model_weights

    names = torchvision_names()
    assert len(names) >= 20
    for name in names:
        found, meta = anatomy(name), get_model_weights(name).IMAGENET1K_V1.meta
        assert round(found.macs / 1e9, 3) == meta["_ops"], name
        if name != "inception_v3":  # whose file holds the auxiliary classifier as well
            assert found.parameters == meta["num_params"], name


@pytest.mark.parametrize(("name", "layers"), [("densenet121", (6, 12, 24, 16)), ("densenet_40_k12", (12, 12, 12))])
def test_a_dense_block_has_a_connection_for_every_pair_of_its_layers(name: str, layers: tuple[int, ...]):
    blocks = anatomy(name).blocks
    for number, count in enumerate(layers, 1):
        members = [block for block in blocks if f"denseblock{number}.denselayer" in block.block]
        assert [len(block.parents) for block in members] == list(range(1, count + 1))
        assert sum(len(block.parents) for block in members) == count * (count + 1) // 2
        assert {block.kind for block in members} == {"dense"}


def test_a_shared_layer_counts_its_parameters_once_and_its_work_twice():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(self.conv(torch.relu(self.conv(x)))) * 0.5

    found = anatomy(loaded(Twice()))
    assert [(row.layer, row.parameters, row.weights, row.macs) for row in found] == [
        ("conv", 84, 81, 81 * 256),
        ("relu", 0, 0, 0),
        ("conv:2", 0, 0, 81 * 256),
        ("relu:2", 0, 0, 0),
        ("×", 0, 0, 0),
    ]
    assert (found.parameters, found.depth, found.macs) == (84, 2, 2 * 81 * 256)


def test_a_loaded_network_has_the_anatomy_of_its_name_and_keeps_its_weights():
    model = cnnviz.load("resnet20_cifar", "random", "cpu")
    before = model.fingerprint
    found = anatomy(model)
    assert found == anatomy("resnet20_cifar")
    assert anatomy(model) is found and anatomy("resnet20_cifar") is anatomy("resnet20_cifar")
    model._fingerprint = ""
    assert model.fingerprint == before


def test_receptive_fields_are_those_of_the_probe():
    model = cnnviz.load("resnet20_cifar", "random", "cpu")
    for row in random.Random(0).sample(rows_of(anatomy(model), "conv", "norm", "pool"), 12):
        assert row.receptive_field == cnnviz.receptive_field(model, row.layer).size


def test_rows_add_up_to_the_totals_and_blocks_to_the_rows():
    for name in ("mobilenet_v3_small", "squeezenet1_1", "lenet5_1998", "highway19_cifar10"):
        found = anatomy(name)
        assert [row.index for row in found] == list(range(len(found.rows)))
        for field in ("parameters", "weights", "macs"):
            total = getattr(found, field)
            assert sum(getattr(row, field) for row in found) == total
            assert sum(getattr(block, field) for block in found.blocks) == total
        assert sorted(i for block in found.blocks for i in block.rows) == list(range(len(found.rows)))
        assert all(found.rows[i].block == block.block for block in found.blocks for i in block.rows)


def test_blocks_are_the_units_that_papers_draw():
    def drawn(name: str) -> list[str]:
        return [f"{block.block} {block.kind} {block.depth}" for block in anatomy(name).blocks]

    assert drawn("resnet18")[:4] == ["conv1 conv 1", "maxpool pool 0", "layer1.0 residual 2", "layer1.1 residual 2"]
    assert drawn("plain34")[2:4] == ["layer1.0 plain 2", "layer1.1 plain 2"]
    assert drawn("squeezenet1_0")[2] == "features.3 fire 2"
    assert drawn("lenet5_1998")[:5] == ["c1 conv 1", "s2 pool 0", "c3 conv 1", "s4 pool 0", "c5 conv 1"]
    assert {block.kind for block in anatomy("fractalnet_c3b5").blocks} == {"fractal", "linear"}
    assert drawn("mobilenet_v2")[1:3] == ["features.1 separable 2", "features.2 separable 3"]


def test_the_csv_holds_every_figure_to_the_unit():
    found = anatomy("googlenet")
    lines = list(csv.DictReader(StringIO(found.csv())))
    assert [line["layer"] for line in lines] == [row.layer for row in found]
    assert sum(int(line["MACs (multiply-adds, one image)"]) for line in lines) == found.macs
    assert sum(int(line["parameters (with biases)"]) for line in lines) == found.parameters
    assert lines[0]["output (C×H×W)"] == "64×112×112" and lines[0]["kernel (h×w)"] == "7×7"
    reads = [[int(i) for i in line["reads (indices; empty: the image)"].split()] for line in lines]
    assert reads == [list(row.parents) for row in found]


def test_tables_for_people_carry_units_and_totals():
    layers, blocks = anatomy("vgg16").table(), anatomy("vgg16").table("blocks")
    assert {len(line) for line in layers} == {len(layers[0])} and {len(line) for line in blocks} == {len(blocks[0])}
    assert layers[1][1:7] == ["features.0", "3×3 conv, 64", "64×224×224", "1,792", "86.7 M", "12.8 MB"]
    assert layers[-1][1:7] == ["total", "depth 16", "", "138,357,544", "15.5 G", "60.95 MB"]
    assert blocks[-1][3:7] == ["16", "138,357,544", "15.5 G", "60.95 MB"]


def test_another_kind_of_table_and_another_name_are_refused():
    with pytest.raises(BadInput, match='"layers" and "blocks"'):
        anatomy("lenet5").table("units")
    with pytest.raises(UnknownName, match="lenet5"):
        anatomy("lenet55")
