"""Pre-activation ResNets: a clean identity path, and where batch norm and ReLU stand."""

import pytest
import torch
from layer_costs import map_sides, on_meta, parameters
from torch import Tensor, nn

from cnnviz.models.families.preact_resnet import PreActivationBottleneck, PreActivationResNet


def act(bn: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Batch norm by the running statistics, and ReLU."""
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    shifted = (x - bn.running_mean.view(-1, 1, 1)) * scale.view(-1, 1, 1) + bn.bias.view(-1, 1, 1)
    return shifted.clamp_min(0)


def unsettled(module: nn.Module) -> nn.Module:
    """Evaluation mode, with batch norms that do something."""
    torch.manual_seed(0)
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            child.running_mean.normal_()
            child.running_var.uniform_(0.5, 2.0)
            nn.init.normal_(child.bias)
    return module.eval()


@pytest.mark.parametrize("depth, units", [(164, 18), (1001, 111)])
def test_the_depth_in_the_name_is_9n_plus_2(depth, units):
    net = on_meta(f"preact_resnet{depth}")
    assert [len(stage) for stage in (net.layer1, net.layer2, net.layer3)] == [units] * 3
    layers = [n for n, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear) and "downsample" not in n]
    assert len(layers) == 9 * units + 2 == depth


def test_stages_have_the_published_widths_sides_and_projections():
    net = on_meta("preact_resnet164")
    sides = map_sides(net, (3, 32, 32))
    assert [sides[layer] for layer in ("conv1", "layer1", "layer2", "layer3", "bn")] == [32, 32, 16, 8, 8]
    projections = {name: m for name, m in net.named_modules() if name.endswith("downsample")}
    assert [(n, m.in_channels, m.out_channels, m.stride[0]) for n, m in projections.items()] == [
        ("layer1.0.downsample", 16, 64, 1),
        ("layer2.0.downsample", 64, 128, 2),
        ("layer3.0.downsample", 128, 256, 2),
    ]


def test_a_unit_of_64_maps_has_the_parameters_of_its_three_layers():
    layers = (2 * 64 + 64 * 16) + (2 * 16 + 9 * 16 * 16) + (2 * 16 + 16 * 64)
    assert parameters(on_meta("preact_resnet164").layer1[1]) == layers


def test_an_identity_unit_adds_its_residual_to_an_untouched_input(seeded):
    unit = unsettled(PreActivationBottleneck(16, 16))
    x = torch.randn(2, 16, 6, 6, generator=seeded)
    with torch.no_grad():
        y = torch.conv2d(act(unit.bn1, x), unit.conv1.weight)
        y = torch.conv2d(act(unit.bn2, y), unit.conv2.weight, padding=1)
        y = torch.conv2d(act(unit.bn3, y), unit.conv3.weight)
        torch.testing.assert_close(unit(x), x + y)
    assert (unit(x) < 0).any()  # nothing rectifies the sum


def test_a_unit_that_changes_the_shape_activates_before_the_paths_part(seeded):
    unit = unsettled(PreActivationBottleneck(8, 16, 2))
    x = torch.randn(2, 8, 6, 6, generator=seeded)
    with torch.no_grad():
        both = act(unit.bn1, x)[:, :, ::2, ::2]  # the stride is that of the first 1×1, and of the shortcut
        y = torch.conv2d(both, unit.conv1.weight)
        y = torch.conv2d(act(unit.bn2, y), unit.conv2.weight, padding=1)
        y = torch.conv2d(act(unit.bn3, y), unit.conv3.weight)
        torch.testing.assert_close(unit(x), y + torch.conv2d(both, unit.downsample.weight))


@pytest.mark.parametrize("training", [False, True])
def test_the_identity_path_of_a_stage_is_untouched(training, seeded):
    net = unsettled(PreActivationResNet(10, 4)).train(training)
    for unit in net.layer2:
        nn.init.zeros_(unit.conv3.weight)  # branches are shut
    x = torch.randn(2, 128, 5, 5, generator=seeded)
    with torch.no_grad():
        assert torch.equal(net.layer2[1:](x), x)


def test_the_last_sum_is_normalised_and_rectified_before_the_mean(seeded):
    net = unsettled(PreActivationResNet(7, 1))
    x = torch.randn(2, 3, 32, 32, generator=seeded)
    with torch.no_grad():
        maps = net.layer3(net.layer2(net.layer1(net.conv1(x))))
        means = act(net.bn, maps).sum((2, 3)) / 64
        torch.testing.assert_close(net(x), means @ net.fc.weight.T + net.fc.bias)


def test_new_norms_expect_the_variance_that_units_of_variance_one_add_up_to():
    net = PreActivationResNet(10, 2)
    units = [*net.layer1, *net.layer2, *net.layer3]
    norms = [*(unit.bn1 for unit in units), net.bn]
    assert [norm.running_var.unique().tolist() for norm in norms] == [[1], [2], [3], [2], [3], [2], [3]]
