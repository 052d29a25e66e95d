"""CIFAR ResNets: stages, depth, and what the options of the shortcut leave in a file."""

import pytest
import torch
from layer_costs import map_sides, on_meta, parameters
from torch import nn

import cnnviz

STAGES = {  # option A and plain
    20: (14_016, 51_072, 203_520),
    110: (84_096, 329_472, 1_313_280),
}
ENTRIES = (16 * 32 + 2 * 32, 32 * 64 + 2 * 64)  # projections of option B, with batch norm


@pytest.mark.parametrize("depth", STAGES)
@pytest.mark.parametrize("name", ["resnet{}_cifar", "plain{}_cifar", "resnet{}_cifar_b"])
def test_each_stage_has_the_published_parameters(name, depth):
    net = on_meta(name.format(depth))
    first, second, third = STAGES[depth]
    added = ENTRIES if name.endswith("_b") else (0, 0)
    found = [parameters(stage) for stage in (net.layer1, net.layer2, net.layer3)]
    assert found == [first, second + added[0], third + added[1]]


@pytest.mark.parametrize("name", ["resnet20_cifar", "plain44_cifar", "resnet56_noshort", "resnet1202_cifar"])
def test_the_depth_in_the_name_is_6n_plus_2(name):
    net = on_meta(name)
    depth = int("".join(c for c in name.split("_")[0] if c.isdigit()))
    assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in net.modules()) == depth
    assert [len(stage) for stage in (net.layer1, net.layer2, net.layer3)] == [(depth - 2) // 6] * 3


def test_stages_have_the_published_sides():
    sides = map_sides(on_meta("resnet110_cifar_b"), (3, 32, 32))
    assert [sides[layer] for layer in ("conv1", "layer1", "layer2", "layer3")] == [32, 32, 16, 8]


def test_option_b_projects_where_the_two_later_stages_begin():
    projected = {
        key.rsplit(".downsample")[0] for key in on_meta("resnet56_cifar_b").state_dict() if "downsample" in key
    }
    assert projected == {"layer2.0", "layer3.0"}


def test_the_network_without_shortcuts_is_the_plain_one_and_option_b_less_its_projections():
    shapes = {
        name: {key: tuple(value.shape) for key, value in on_meta(name).state_dict().items()}
        for name in ("resnet56_noshort", "plain56_cifar", "resnet56_cifar_b")
    }
    without = {key: shape for key, shape in shapes["resnet56_cifar_b"].items() if "downsample" not in key}
    assert shapes["resnet56_noshort"] == shapes["plain56_cifar"] == without
    assert parameters(on_meta("resnet56_noshort")) == 853_018


def test_the_network_without_shortcuts_computes_what_the_plain_one_does(seeded):
    noshort, plain = cnnviz.build("resnet56_noshort").eval(), cnnviz.build("plain56_cifar").eval()
    plain.load_state_dict(noshort.state_dict())
    x = torch.randn(2, 3, 32, 32, generator=seeded)
    with torch.no_grad():
        assert torch.equal(noshort(x), plain(x))


@pytest.mark.parametrize("name", ["resnet1202_cifar", "preact_resnet1001", "stochastic_depth1202"])
def test_a_new_network_of_a_thousand_layers_gives_answers_that_softmax_can_take(name, seeded):
    torch.manual_seed(0)
    net = cnnviz.build(name)
    x = torch.randn(2, 3, 8, 8, generator=seeded)
    with torch.no_grad():
        for answers in (net.eval()(x), net.train()(x)):
            assert 0.01 < answers.abs().max() < 1000
