"""The parts of residual networks: shortcut options, joins, and the names that weights are found by."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from cnnviz.models.families.cifar_resnet import CifarResNet
from cnnviz.models.families.residual import (
    BasicBlock,
    Bottleneck,
    ShortcutA,
    no_shortcut,
    option_a,
    option_b,
    option_c,
    settle,
    stage,
)


def ready(block: nn.Module) -> nn.Module:
    """Evaluation mode, with batch norms that do something."""
    torch.manual_seed(0)
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.weight.data, module.bias.data):
                tensor.normal_()
            module.running_var.uniform_(0.5, 2.0)
    return block.eval()


@pytest.mark.parametrize("inputs, added, stride", [(2, 2, 2), (3, 5, 2), (4, 0, 2), (2, 3, 1)])
def test_option_a_keeps_every_second_pixel_and_puts_zero_channels_on_both_sides(inputs, added, stride, seeded):
    x = torch.randn(2, inputs, 7, 6, generator=seeded)
    found = ShortcutA(added, stride)(x)
    rows, cols = -(-7 // stride), -(-6 // stride)
    assert found.shape == (2, inputs + added, rows, cols)
    for n in range(2):
        for c in range(inputs + added):
            for row in range(rows):
                for col in range(cols):
                    source = c - added // 2
                    kept = 0 <= source < inputs
                    expected = x[n, source, row * stride, col * stride] if kept else 0.0
                    assert found[n, c, row, col] == expected


def test_options_a_and_b_pass_on_what_keeps_its_shape_and_c_projects_it():
    assert isinstance(option_a(8, 8, 1), nn.Identity) and isinstance(option_b(8, 8, 1), nn.Identity)
    assert sum(p.numel() for p in option_a(8, 16, 2).parameters()) == 0
    assert [sum(p.numel() for p in option(8, 16, 2).parameters()) for option in (option_b, option_c)] == [160, 160]
    assert sum(p.numel() for p in option_c(8, 8, 1).parameters()) == 80
    assert no_shortcut(8, 8, 1) is None


@pytest.mark.parametrize("stride, outputs", [(1, 4), (2, 8)])
@pytest.mark.parametrize("option", [option_a, option_b, option_c, no_shortcut])
def test_a_basic_block_is_the_rectified_sum_of_both_paths(option, stride, outputs, seeded):
    block = ready(BasicBlock(4, outputs, stride, option))
    x = torch.randn(2, 4, 6, 6, generator=seeded)
    with torch.no_grad():
        y = normed(torch.conv2d(x, block.conv1.weight, None, stride, 1), block.bn1).clamp_min(0)
        y = normed(torch.conv2d(y, block.conv2.weight, None, 1, 1), block.bn2)
        if option is option_a or (option is option_b and stride == 1):
            before = (outputs - 4) // 2
            y[:, before : before + 4] += x[:, :, ::stride, ::stride]
        elif option is not no_shortcut:
            conv, norm = block.downsample
            y += normed(torch.conv2d(x, conv.weight, None, stride), norm)
        torch.testing.assert_close(block(x), y.clamp_min(0))


def test_a_bottleneck_has_its_stride_on_the_first_convolution(seeded):
    block = ready(Bottleneck(8, 16, 2))
    x = torch.randn(2, 8, 6, 6, generator=seeded)
    with torch.no_grad():
        y = normed(torch.conv2d(x[:, :, ::2, ::2], block.conv1.weight), block.bn1).clamp_min(0)
        y = normed(torch.conv2d(y, block.conv2.weight, padding=1), block.bn2).clamp_min(0)
        y = normed(torch.conv2d(y, block.conv3.weight), block.bn3)
        y += normed(torch.conv2d(x[:, :, ::2, ::2], block.downsample[0].weight), block.downsample[1])
        torch.testing.assert_close(block(x), y.clamp_min(0))
    assert block.conv2.in_channels == 4


def test_the_block_leaves_its_input_alone_for_others_who_hold_it(seeded):
    block = BasicBlock(4, 4).train()
    x = torch.randn(2, 4, 6, 6, generator=seeded)
    before = x.clone()
    block(x)
    assert torch.equal(x, before)


def test_only_the_first_block_of_a_stage_changes_the_shape():
    made = []
    blocks = stage(lambda *shape: made.append(shape) or BasicBlock(*shape), 4, 8, 3, 2)
    assert made == [(4, 8, 2), (8, 8, 1), (8, 8, 1)]
    assert blocks(torch.zeros(1, 4, 8, 8)).shape == (1, 8, 4, 4)


def test_new_norms_expect_the_variance_that_units_of_variance_one_add_up_to():
    stages = (stage(BasicBlock, 4, 4, 3, 1), stage(partial(BasicBlock, shortcut=option_b), 4, 8, 2, 2))
    assert settle(*stages) == 3  # 1 of the input, 3 identity units to 4; a projection starts anew: 1 + 1, and 1
    blocks = [*stages[0], *stages[1]]
    assert [block.bn2.running_var.unique().tolist() for block in blocks] == [[1], [2], [3], [4], [2]]
    assert stages[1][0].downsample[1].running_var.unique().tolist() == [4]
    assert all((block.bn1.running_var == 1).all() for block in blocks)
    assert settle(stage(partial(BasicBlock, shortcut=no_shortcut), 4, 4, 3, 1)) == 1


def test_a_new_deep_network_grows_in_evaluation_as_it_does_in_training(seeded):
    torch.manual_seed(0)
    net = CifarResNet(10, 110)
    sizes: list[float] = []
    for unit in (*net.layer1, *net.layer2, *net.layer3):
        unit.register_forward_hook(lambda _m, _i, output: sizes.append(float(output.square().mean())))
    with torch.no_grad():
        net.eval()(x := torch.randn(8, 3, 32, 32, generator=seeded))
        net.train()(x)
    ratios = [evaluated / trained for evaluated, trained in zip(sizes[:54], sizes[54:], strict=True)]
    assert 0.02 < min(ratios) and max(ratios) < 50  # with variances of 1: 2^54


def test_projections_have_torchvisions_names_and_come_last_in_a_file():
    names = list(BasicBlock(4, 8, 2, option_b).state_dict())
    assert [name.split(".")[0] for name in names] == ["conv1"] + ["bn1"] * 5 + ["conv2"] + ["bn2"] * 5 + [
        "downsample"
    ] * 6


def normed(x: Tensor, bn: nn.BatchNorm2d) -> Tensor:
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    return (x - bn.running_mean.view(-1, 1, 1)) * scale.view(-1, 1, 1) + bn.bias.view(-1, 1, 1)
