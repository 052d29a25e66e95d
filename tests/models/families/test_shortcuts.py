"""The shortcut study, each unit against its equation."""

import math

import pytest
import torch
from layer_costs import multiply_adds, on_meta, parameters
from torch import Tensor, nn

import cnnviz
from cnnviz.errors import BadInput
from cnnviz.models.families.cifar_resnet import CifarResNet
from cnnviz.models.families.shortcuts import (
    GatedBlock,
    ScaledBlock,
    constant_scaling,
    conv_shortcut,
    dropout_shortcut,
    gating,
)

SHAPES = [(4, 4, 1), (4, 8, 2)]  # (inputs, outputs, stride)


def paths(block: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """F(x) and option A's h(x), of a new block in evaluation: its running means are 0."""
    first, last = (1 / (bn.running_var + 1e-5).sqrt().view(-1, 1, 1) for bn in (block.bn1, block.bn2))
    stride, outputs = block.conv1.stride[0], block.conv1.out_channels
    y = (torch.conv2d(x, block.conv1.weight, None, stride, 1) * first).clamp_min(0)
    h = torch.zeros(len(x), outputs, x.shape[2] // stride, x.shape[3] // stride)
    before = (outputs - x.shape[1]) // 2
    h[:, before : before + x.shape[1]] = x[:, :, ::stride, ::stride]
    return torch.conv2d(y, block.conv2.weight, None, 1, 1) * last, h


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("exclusive", [False, True])
def test_a_gated_unit_follows_its_equation_value_by_value(shape, exclusive, seeded):
    torch.manual_seed(0)
    block = GatedBlock(*shape, exclusive=exclusive).eval()
    x = torch.randn(2, 4, 6, 6, generator=seeded)
    with torch.no_grad():
        found = block(x)
        f, h = paths(block, x)
        for n, c, row, col in ((0, 0, 0, 0), (1, 3, 2, 1), (0, 2, 2, 2), (1, 1, 0, 2)):
            pixel = x[n, :, row * shape[2], col * shape[2]]
            g = 1 / (1 + math.exp(-float(block.gate.weight[c, :, 0, 0] @ pixel + block.gate.bias[c])))
            residual = float(f[n, c, row, col]) * (g if exclusive else 1)
            expected = max(residual + (1 - g) * float(h[n, c, row, col]), 0)
            assert float(found[n, c, row, col]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("exclusive", [False, True])
def test_an_open_gate_leaves_the_residual_and_a_closed_one_the_shortcut(exclusive, seeded):
    block = GatedBlock(4, 4, exclusive=exclusive).eval()
    x = torch.randn(1, 4, 6, 6, generator=seeded)
    with torch.no_grad():
        f, h = paths(block, x)
        block.gate.weight.zero_()
        block.gate.bias.fill_(100.0)
        torch.testing.assert_close(block(x), f.clamp_min(0))
        block.gate.bias.fill_(-100.0)
        torch.testing.assert_close(block(x), (h if exclusive else f + h).clamp_min(0))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_scaled_unit_multiplies_both_paths(shape, seeded):
    block = ScaledBlock(*shape, shortcut_scale=0.25, residual_scale=2.0).eval()
    x = torch.randn(2, 4, 6, 6, generator=seeded)
    with torch.no_grad():
        f, h = paths(block, x)
        torch.testing.assert_close(block(x), (2.0 * f + 0.25 * h).clamp_min(0))


def test_scales_of_one_are_the_network_with_identity_shortcuts(seeded):
    scaled = constant_scaling(10, 8, shortcut_scale=1.0, residual_scale=1.0)
    assert_equal_outputs(scaled, seeded)


def test_gates_that_are_shut_for_good_are_the_network_with_identity_shortcuts(seeded):
    assert_equal_outputs(gating(10, 8, gate_bias=-100.0), seeded)


def test_dropout_on_shortcuts_is_gone_in_evaluation(seeded):
    assert_equal_outputs(dropout_shortcut(10, 8), seeded)


def test_dropout_in_training_hits_the_shortcut_and_spares_the_residual():
    torch.manual_seed(0)
    block = dropout_shortcut(10, 8).layer1[0].train()
    x = torch.ones(2, 16, 8, 8)
    with torch.no_grad():
        skipped = block.skip(x)
        share = float((skipped == 0).float().mean())
        nn.init.zeros_(block.bn2.weight)  # F(x) = 0.75 everywhere
        nn.init.constant_(block.bn2.bias, 0.75)
        assert set(block(x).unique().tolist()) == {0.75, 2.75}
    assert set(skipped.unique().tolist()) == {0.0, 2.0} and 0.45 < share < 0.55


def test_a_convolved_shortcut_is_in_every_unit_and_has_its_stride(seeded):
    net = conv_shortcut(10, 14).eval()
    blocks = [*net.layer1, *net.layer2, *net.layer3]
    assert [block.shortcut.stride[0] for block in blocks] == [1, 1, 2, 1, 2, 1]
    block, x = net.layer2[0], torch.randn(2, 16, 6, 6, generator=seeded)
    with torch.no_grad():
        f, _ = paths(block, x)
        h = torch.einsum("oi,nihw->nohw", block.shortcut.weight[:, :, 0, 0], x[:, :, ::2, ::2])
        torch.testing.assert_close(block(x), (f + h).clamp_min(0))


def test_gate_biases_start_at_minus_six_or_where_they_are_told():
    for name, options, bias in (
        ("resnet110_exclusive_gating", {}, -6.0),
        ("resnet110_shortcut_gating", {}, -6.0),
        ("resnet110_shortcut_gating", {"gate_bias": 0.0}, 0.0),
    ):
        gates = [m.gate for m in cnnviz.build(name, **options).modules() if isinstance(m, GatedBlock)]
        assert len(gates) == 54 and all((gate.bias == bias).all() for gate in gates)


def test_the_two_gatings_differ_in_the_residual_path():
    blocks = [on_meta(f"resnet110_{kind}_gating").layer1[0] for kind in ("exclusive", "shortcut")]
    assert [block.exclusive for block in blocks] == [True, False]


def test_the_published_scales_are_one_half_and_may_be_others():
    for options, scales in (({}, (0.5, 0.5)), ({"residual_scale": 1.0}, (0.5, 1.0))):
        blocks = [m for m in on_meta("resnet110_constant_scaling", **options).modules() if isinstance(m, ScaledBlock)]
        assert {(block.shortcut_scale, block.residual_scale) for block in blocks} == {scales} and len(blocks) == 54


@pytest.mark.parametrize("name, bias", [("shortcut_gating", True), ("conv_shortcut", False)])
def test_the_added_convolutions_cost_what_the_study_says(name, bias):
    added = sum(
        n * (a * b + b * bias) for n, a, b in ((18, 16, 16), (1, 16, 32), (17, 32, 32), (1, 32, 64), (17, 64, 64))
    )
    net, plain = on_meta(f"resnet110_{name}"), on_meta("resnet110_cifar")
    assert parameters(net) - parameters(plain) == added
    costs = multiply_adds(net, (3, 32, 32))
    assert (
        sum(cost for layer, cost in costs.items() if "gate" in layer or "shortcut" in layer)
        == 266_781_312 - 252_887_680
    )


def test_a_dropout_beyond_its_range_is_refused():
    with pytest.raises(BadInput, match="dropout"):
        cnnviz.build("resnet110_dropout_shortcut", dropout=1.0)


def assert_equal_outputs(net: nn.Module, generator: torch.Generator) -> None:
    """The network answers as the CIFAR ResNet of option A with the same weights does."""
    original = CifarResNet(10, 8).eval()
    original.load_state_dict({key: net.state_dict()[key] for key in original.state_dict()})
    x = torch.randn(2, 3, 32, 32, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(net.eval()(x), original(x))
