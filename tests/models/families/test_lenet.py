"""LeNet-5 of 1998 against the paper's table, and its two later forms."""

import pytest
import torch
from layer_costs import multiply_adds, on_meta, parameters, run
from torch import nn

import cnnviz
from cnnviz.models.families.lenet_1998 import C3_TABLE, EuclideanRbf, ScaledTanh, SparseC3, SubSampling, class_codes

# layer: trainable parameters, connections; LeCun et al. 1998, section II.B
PUBLISHED = {
    "c1": (156, 122_304),
    "s2": (12, 5_880),
    "c3": (1_516, 151_600),
    "s4": (32, 2_000),
    "c5": (48_120, 48_120),
    "f6": (10_164, 10_164),
    "output": (0, 840),
}
MAPS = {"c1": (6, 28, 28), "s2": (6, 14, 14), "c3": (16, 10, 10), "s4": (16, 5, 5)}
SHAPES = {**MAPS, "c5": (120, 1, 1), "f6": (84,), "output": (10,)}


def test_every_layer_has_the_published_parameters_and_shape():
    net, shapes = on_meta("lenet5_1998"), {}
    run(net, (1, 32, 32), lambda name, output: shapes.update({name: tuple(output.shape[1:])}))
    assert {name: parameters(net.get_submodule(name)) for name in PUBLISHED} == {
        n: p for n, (p, _) in PUBLISHED.items()
    }
    assert {name: shapes[name] for name in SHAPES} == SHAPES


def test_every_layer_has_the_published_connections():
    """A connection is an input of a unit, its bias counted as one; a code of the output has no bias."""
    net, macs = on_meta("lenet5_1998"), multiply_adds(on_meta("lenet5_1998"), (1, 32, 32))
    units = {name: torch.tensor(shape).prod().item() for name, shape in SHAPES.items()}
    found = {
        "c1": macs["c1"] + units["c1"],
        "s2": units["s2"] * (4 + 1),
        "c3": sum(value for name, value in macs.items() if name.startswith("c3")) + units["c3"],
        "s4": units["s4"] * (4 + 1),
        "c5": macs["c5"] + units["c5"],
        "f6": macs["f6"] + units["f6"],
        "output": net.output.codes.numel(),
    }
    assert found == {name: connections for name, (_, connections) in PUBLISHED.items()}
    assert sum(found.values()) == 340_908


@pytest.mark.parametrize(
    "name, layers", [("lenet5", "conv1 pool1 conv2 pool2"), ("lenet5_1998", "c1 s2.sum c3 s4.sum")]
)
def test_receptive_fields_are_the_published_ones(name, layers):
    model = cnnviz.load(name, weights="random", device="cpu")
    assert [cnnviz.receptive_field(model, layer).size for layer in layers.split()] == [(s, s) for s in (5, 6, 14, 16)]


def test_each_map_of_c3_sees_its_row_of_the_table_and_nothing_else():
    """Sixteen rows written out by hand from the paper's table, each convolved on its own."""
    rows = "012 123 234 345 450 501 0123 1234 2345 3450 4501 5012 0134 1245 0235 012345".split()
    torch.manual_seed(0)
    c3 = SparseC3()
    x = torch.randn(2, 6, 9, 8)
    kernels = [*c3.of_three.weight, *c3.of_four.weight, *c3.of_six.weight]
    biases = [*c3.of_three.bias, *c3.of_four.bias, *c3.of_six.bias]
    expected = torch.zeros(2, 16, 5, 4)
    for number, row in enumerate(rows):
        for position, source in enumerate(row):
            for top in range(5):
                for left in range(4):
                    window = x[:, int(source), top : top + 5, left : left + 5]
                    expected[:, number, top, left] += (window * kernels[number][position]).sum((1, 2))
        expected[:, number] += biases[number]
    torch.testing.assert_close(c3(x), expected)
    assert [set(row) for row in C3_TABLE] == [{int(source) for source in row} for row in rows]


def test_every_s2_map_feeds_ten_maps_of_c3():
    assert [sum(source in row for row in C3_TABLE) for source in range(6)] == [10] * 6


def test_sub_sampling_is_coefficient_times_sum_plus_bias():
    layer = SubSampling(2)
    layer.coefficient.data = torch.tensor([0.5, -2.0]).view(2, 1, 1)
    layer.bias.data = torch.tensor([1.0, 3.0]).view(2, 1, 1)
    x = torch.arange(16.0).view(1, 2, 2, 4)
    expected = torch.empty(1, 2, 1, 2)
    for map_, (coefficient, bias) in enumerate(((0.5, 1.0), (-2.0, 3.0))):
        for col in range(2):
            total = sum(x[0, map_, row, 2 * col + step] for row in range(2) for step in range(2))
            expected[0, map_, 0, col] = coefficient * total + bias
    torch.testing.assert_close(layer(x), expected)


def test_the_squashing_function_is_one_at_one_and_saturates_at_1_7159():
    x = torch.tensor([-100.0, -1.0, 0.0, 1.0, 100.0])
    torch.testing.assert_close(ScaledTanh()(x), torch.tensor([-1.7159, -1.0, 0.0, 1.0, 1.7159]), atol=1e-4, rtol=0)


def test_answers_are_minus_squared_distances_to_the_codes():
    layer = EuclideanRbf(10)
    codes = torch.tensor(class_codes(10))
    x = torch.randn(3, 84, generator=torch.Generator().manual_seed(0))
    expected = [[-sum((x[n, i] - code[i]) ** 2 for i in range(84)) for code in codes] for n in range(3)]
    torch.testing.assert_close(layer(x), torch.tensor(expected))
    answers = layer(codes)
    assert answers.argmax(1).tolist() == list(range(10))
    assert answers.diagonal().tolist() == [0] * 10


@pytest.mark.parametrize("classes", [2, 10, 37])
def test_codes_are_fixed_distinct_signs_and_travel_with_the_weights(classes):
    layer = EuclideanRbf(classes)
    assert layer.codes.shape == (classes, 84)
    assert set(layer.codes.unique().tolist()) == {-1.0, 1.0}
    assert len({tuple(code) for code in layer.codes.tolist()}) == classes
    torch.testing.assert_close(layer.state_dict()["codes"], EuclideanRbf(classes).codes)
    assert not list(layer.parameters())


def test_the_original_learns_to_tell_ten_patterns_apart():
    torch.manual_seed(0)
    net = cnnviz.build("lenet5_1998")
    patterns, labels = torch.randn(10, 1, 32, 32), torch.arange(10)
    optimiser = torch.optim.SGD(net.parameters(), 0.005, momentum=0.9)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(patterns), labels).backward()
        optimiser.step()
    assert net(patterns).argmax(1).tolist() == labels.tolist()


@pytest.mark.parametrize("name, size, first", [("lenet5", (1, 28, 28), 156), ("lenet_cifar", (3, 32, 32), 456)])
def test_the_taught_forms_have_the_parameters_of_their_tutorials(name, size, first):
    net = on_meta(name)
    rows = [parameters(m) for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert rows == [first, 2_416, 48_120, 10_164, 850]
    assert net(torch.zeros(2, *size, device="meta")).shape == (2, 10)
