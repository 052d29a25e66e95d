"""ImageNet ResNets as published, compared with torchvision's where only strides and padding differ."""

import pytest
import torch
from layer_costs import map_sides, on_meta, parameters
from torch import nn
from torchvision import models

import cnnviz
from cnnviz.models.families.residual import ProjectionShortcut

IMAGE = (3, 224, 224)
STAGES = {  # parameters of stem, the four stages, classifier; option B where nothing else is said
    "resnet50_v1": (9_536, 215_808, 1_219_584, 7_098_368, 14_964_736, 2_049_000),
    "resnet101_v1": (9_536, 215_808, 1_219_584, 26_090_496, 14_964_736, 2_049_000),
    "resnet152_v1": (9_536, 215_808, 2_339_840, 40_613_888, 14_964_736, 2_049_000),
    # options A and none: less the projections, 64 · 128 + 2 · 128, 128 · 256 + 2 · 256, 256 · 512 + 2 · 512
    "resnet18_a": (9_536, 147_968, 525_568 - 8_448, 2_099_712 - 33_280, 8_393_728 - 132_096, 513_000),
    "plain18": (9_536, 147_968, 525_568 - 8_448, 2_099_712 - 33_280, 8_393_728 - 132_096, 513_000),
    "resnet34_a": (9_536, 221_952, 1_116_416 - 8_448, 6_822_400 - 33_280, 13_114_368 - 132_096, 513_000),
    "plain34": (9_536, 221_952, 1_116_416 - 8_448, 6_822_400 - 33_280, 13_114_368 - 132_096, 513_000),
    # option C: more by the projections of the 3, 3, 5 and 2 blocks that keep their shape
    "resnet34_c": (
        9_536,
        221_952 + 3 * 4_224,
        1_116_416 + 3 * 16_640,
        6_822_400 + 5 * 66_048,
        13_114_368 + 2 * 263_168,
        513_000,
    ),
}


@pytest.mark.parametrize("name", STAGES)
def test_each_stage_has_the_published_parameters(name):
    net = on_meta(name)
    stages = [parameters(stage) for stage in (net.layer1, net.layer2, net.layer3, net.layer4, net.fc)]
    assert (parameters(net.conv1) + parameters(net.bn1), *stages) == STAGES[name]


@pytest.mark.parametrize("name", STAGES)
def test_the_depth_in_the_name_counts_convolutions_outside_shortcuts_and_the_classifier(name):
    layers = on_meta(name).named_modules()
    counted = [n for n, m in layers if isinstance(m, nn.Conv2d | nn.Linear) and "downsample" not in n]
    assert len(counted) == int("".join(c for c in name.split("_")[0] if c.isdigit()))


@pytest.mark.parametrize("name", ["resnet50_v1", "resnet34_c", "plain18"])
def test_stages_have_the_published_sides(name):
    sides = map_sides(on_meta(name), IMAGE)
    layers = ("conv1", "maxpool", "layer1", "layer2", "layer3", "layer4")
    assert [sides[layer] for layer in layers] == [112, 56, 56, 28, 14, 7]


def test_v1_strides_on_the_1x1_and_torchvision_on_the_3x3():
    ours, theirs = on_meta("resnet50_v1"), on_meta("resnet50")
    for stage in ("layer2", "layer3", "layer4"):
        first, other = getattr(ours, stage)[0], getattr(theirs, stage)[0]
        assert [first.conv1.stride, first.conv2.stride, first.downsample[0].stride] == [(2, 2), (1, 1), (2, 2)]
        assert [other.conv1.stride, other.conv2.stride, other.downsample[0].stride] == [(1, 1), (2, 2), (2, 2)]


@pytest.mark.parametrize("name", ["resnet50_v1", "resnet101_v1", "resnet152_v1"])
def test_tensors_have_torchvisions_names_shapes_and_order(name):
    ours, theirs = on_meta(name).state_dict(), on_meta(name.removesuffix("_v1")).state_dict()
    assert [(k, v.shape) for k, v in ours.items()] == [(k, v.shape) for k, v in theirs.items()]


def test_v1_is_torchvisions_network_with_moved_strides_and_caffes_pool(seeded):
    ours, theirs = cnnviz.build("resnet50_v1", 7).eval(), models.resnet50(num_classes=7).eval()
    for stage in (theirs.layer2, theirs.layer3, theirs.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    assert_same(ours, theirs, seeded)


def test_option_c_is_torchvisions_network_with_a_projection_in_every_block(seeded):
    ours, theirs = cnnviz.build("resnet34_c", 7).eval(), models.resnet34(num_classes=7).eval()
    for stage in (theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4):
        for block in stage:
            width = block.conv2.out_channels
            block.downsample = block.downsample or ProjectionShortcut(width, width, 1)
    assert_same(ours, theirs.eval(), seeded)


def test_the_plain_twin_is_the_residual_network_whose_shortcuts_carry_nothing(seeded):
    residual, plain = cnnviz.build("resnet18_a", 7).eval(), cnnviz.build("plain18", 7).eval()
    plain.load_state_dict(residual.state_dict())
    x = torch.randn(1, 3, 64, 64, generator=seeded)
    with torch.no_grad():
        assert not torch.allclose(residual(x), plain(x))
        for module in residual.modules():
            if hasattr(module, "shortcut"):
                module.shortcut = None
        torch.testing.assert_close(residual(x), plain(x))


@pytest.mark.parametrize("name, size", [("resnet18_a", 435), ("plain18", 435), ("resnet50_v1", 483)])
def test_the_last_convolution_sees_the_published_window(name, size):
    """Size of the field, from kernels and strides of the longest path alone."""
    sees, jump = 1, 1
    for layer, module in on_meta(name).named_modules():
        if isinstance(module, nn.Conv2d | nn.MaxPool2d) and "downsample" not in layer:
            kernel, stride = (v[0] if isinstance(v, tuple) else v for v in (module.kernel_size, module.stride))
            sees, jump = sees + (kernel - 1) * jump, jump * stride
    assert sees == size


def assert_same(ours: nn.Module, theirs: nn.Module, generator: torch.Generator) -> None:
    theirs.load_state_dict(ours.state_dict())
    theirs.maxpool = nn.MaxPool2d(3, 2, ceil_mode=True)
    x = torch.randn(2, 3, 65, 96, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))
