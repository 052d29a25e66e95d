"""Wide ResNets: depth, widths, and where dropout stands."""

import pytest
import torch
from layer_costs import map_sides, on_meta, parameters
from torch import nn

import cnnviz
from cnnviz.errors import BadInput
from cnnviz.models.families.wide_resnet import WideBlock


@pytest.mark.parametrize("depth, width", [(16, 4), (16, 8), (28, 10)])
def test_the_name_gives_depth_6n_plus_4_and_width(depth, width):
    net = on_meta(f"wrn_{depth}_{width}")
    stages = (net.layer1, net.layer2, net.layer3)
    assert [len(stage) for stage in stages] == [(depth - 4) // 6] * 3
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == depth + 1  # the paper counts the three projections and not the classifier
    assert [stage[-1].conv2.out_channels for stage in stages] == [16 * width, 32 * width, 64 * width]
    sides = map_sides(net, (3, 32, 32))
    assert [sides[layer] for layer in ("conv1", "layer1", "layer2", "layer3", "bn")] == [32, 32, 16, 8, 8]


def test_the_first_unit_of_wrn_16_4_has_the_parameters_of_its_layers():
    layers = (2 * 16 + 9 * 16 * 64) + (2 * 64 + 9 * 64 * 64) + 16 * 64
    assert parameters(on_meta("wrn_16_4").layer1[0]) == layers


@pytest.mark.parametrize("inputs, outputs, stride", [(4, 4, 1), (4, 8, 2)])
def test_a_unit_adds_two_activated_convolutions_to_its_shortcut(inputs, outputs, stride, seeded):
    block = WideBlock(inputs, outputs, stride).eval()
    x = torch.randn(2, inputs, 6, 6, generator=seeded)
    with torch.no_grad():
        nn.init.normal_(block.bn1.bias)
        nn.init.normal_(block.bn2.bias)
        scale = (1 + 1e-5) ** -0.5
        activated = (x * scale + block.bn1.bias.view(-1, 1, 1)).clamp_min(0)
        y = torch.conv2d(activated, block.conv1.weight, None, stride, 1)
        y = torch.conv2d((y * scale + block.bn2.bias.view(-1, 1, 1)).clamp_min(0), block.conv2.weight, None, 1, 1)
        same = block.downsample is None
        shortcut = x if same else torch.conv2d(activated[:, :, ::stride, ::stride], block.downsample.weight)
        torch.testing.assert_close(block(x), y + shortcut)
    assert same == (stride == 1)


def test_the_identity_path_of_a_stage_is_untouched(seeded):
    net = cnnviz.build("wrn_16_4").eval()
    for unit in net.layer1:
        nn.init.zeros_(unit.conv2.weight)
    x = torch.randn(2, 64, 5, 5, generator=seeded)
    with torch.no_grad():
        assert torch.equal(net.layer1[1:](x), x)


def test_dropout_stands_between_the_two_convolutions_and_acts_in_training_alone(seeded):
    block = WideBlock(4, 4, dropout=0.5)
    seen = []
    hook = block.conv2.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0]))
    x = torch.randn(8, 4, 6, 6, generator=seeded)
    nn.init.constant_(block.bn2.bias, 10.0)  # so that every zero before conv2 is dropout's
    torch.manual_seed(0)
    with torch.no_grad():
        block.train()(x)
        block.eval()(x)
    hook.remove()
    shares = [float((value == 0).float().mean()) for value in seen]
    assert shares[0] == pytest.approx(0.5, abs=0.05) and shares[1] == 0


def test_dropout_is_an_option_without_a_trace_in_files():
    plain, dropped = on_meta("wrn_16_4"), on_meta("wrn_16_4", dropout=0.3)
    assert list(plain.state_dict()) == list(dropped.state_dict())
    assert {m.p for m in dropped.modules() if isinstance(m, nn.Dropout)} == {0.3}
    assert not any(isinstance(m, nn.Dropout) for m in plain.modules())
    with pytest.raises(BadInput, match="dropout"):
        cnnviz.build("wrn_16_4", dropout=-0.1)
