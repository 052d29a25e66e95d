"""The CIFAR zoo: parameters and multiply-adds from widths and sides alone, names of tensors, what its blocks compute.

Parameters of the networks as printed by the repository's users; where none is known, as computed here."""

import pytest
import torch
from layer_costs import on_meta
from published_counts import CIFAR, PUBLISHED

import cnnviz
from cnnviz.models.catalogue.registry import find
from cnnviz.models.families.cifar_zoo import STD
from cnnviz.models.families.cifar_zoo_dense import DenseUnit
from cnnviz.models.families.cifar_zoo_mobile import ChannelShuffle
from cnnviz.models.families.cifar_zoo_resnet import PreActivationBlock

Cost = tuple[int, int]  # parameters, multiply-adds


def add(*costs: Cost) -> Cost:
    return sum(c[0] for c in costs), sum(c[1] for c in costs)


def conv(inputs: int, outputs: int, kernel: int, side: int, bias: bool = False, groups: int = 1) -> Cost:
    weights = inputs // groups * outputs * kernel * kernel
    return weights + bias * outputs, weights * side * side


def norm(maps: int) -> Cost:
    return 2 * maps, 0


def linear(inputs: int, outputs: int) -> Cost:
    return inputs * outputs + outputs, inputs * outputs


def resnet(depths: tuple[int, ...], wide: bool) -> Cost:
    costs, inputs, side = [conv(3, 64, 3, 32), norm(64)], 64, 32
    for number, (width, depth) in enumerate(zip((64, 128, 256, 512), depths, strict=True)):
        outputs, before = width * (4 if wide else 1), side
        side = side // 2 if number else side
        for block in range(depth):
            if wide:  # the stride is that of the 3×3
                first = before if not block else side
                costs += [conv(inputs, width, 1, first), conv(width, width, 3, side), conv(width, outputs, 1, side)]
                costs += [norm(width), norm(width), norm(outputs)]
            else:
                costs += [conv(inputs, outputs, 3, side), conv(outputs, outputs, 3, side), norm(outputs), norm(outputs)]
            if inputs != outputs:
                costs += [conv(inputs, outputs, 1, side), norm(outputs)]
            inputs = outputs
    return add(*costs, linear(inputs, 10))


def preact(squeeze: bool) -> Cost:
    costs, inputs, side = [conv(3, 64, 3, 32), norm(64 if squeeze else 0)], 64, 32
    for number, width in enumerate((64, 128, 256, 512)):
        side = side // 2 if number else side
        for _ in range(2):
            costs += [norm(inputs), conv(inputs, width, 3, side), norm(width), conv(width, width, 3, side)]
            costs += [conv(inputs, width, 1, side)] if inputs != width else []
            if squeeze:
                costs += [conv(width, width // 16, 1, 1, bias=True), conv(width // 16, width, 1, 1, bias=True)]
            inputs = width
    return add(*costs, linear(512, 10))


def vgg(plan: str) -> Cost:
    costs, inputs, side = [], 3, 32
    for stage in plan.split("|"):
        for width in map(int, stage.split()):
            costs += [conv(inputs, width, 3, side, bias=True), norm(width)]
            inputs = width
        side //= 2
    return add(*costs, linear(inputs, 10))


def densenet() -> Cost:
    maps, side = 24, 32
    costs = [conv(3, maps, 3, side)]
    for number, count in enumerate((6, 12, 24, 16)):
        for _ in range(count):
            costs += [norm(maps), conv(maps, 48, 1, side), norm(48), conv(48, 12, 3, side)]
            maps += 12
        costs.append(norm(maps))  # of the transition, and of the end
        if number < 3:
            costs.append(conv(maps, maps // 2, 1, side))
            maps, side = maps // 2, side // 2
    return add(*costs, linear(maps, 10))


def googlenet() -> Cost:
    table = """192 64 96 128 16 32 32 @32, 256 128 128 192 32 96 64 @32, 480 192 96 208 16 48 64 @16,
    512 160 112 224 24 64 64 @16, 512 128 128 256 24 64 64 @16, 512 112 144 288 32 64 64 @16,
    528 256 160 320 32 128 128 @16, 832 256 160 320 32 128 128 @8, 832 384 192 384 48 128 128 @8"""
    costs = [conv(3, 192, 3, 32, bias=True), norm(192)]
    for row in table.split(","):
        widths, side = row.split("@")
        i, one, three_in, three, five_in, five, pool = map(int, widths.split())
        steps = [(i, one, 1), (i, three_in, 1), (three_in, three, 3), (i, five_in, 1), (five_in, five, 3)]
        for a, b, kernel in [*steps, (five, five, 3), (i, pool, 1)]:
            costs += [conv(a, b, kernel, int(side), bias=True), norm(b)]
    return add(*costs, linear(1024, 10))


def mobilenet() -> Cost:
    costs, inputs, side = [conv(3, 32, 3, 32), norm(32)], 32, 32
    for width in (64, -128, 128, -256, 256, -512, 512, 512, 512, 512, 512, -1024, 1024):  # minus: stride 2
        side = side // 2 if width < 0 else side
        costs += [conv(inputs, inputs, 3, side, groups=inputs), norm(inputs)]
        costs += [conv(inputs, abs(width), 1, side), norm(abs(width))]
        inputs = abs(width)
    return add(*costs, linear(1024, 10))


def mobilenet_v2() -> Cost:
    costs, inputs, side = [conv(3, 32, 3, 32), norm(32)], 32, 32
    for t, outputs, count, stride in ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1)) + (
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for number in range(count):
            step, before = (1 if number else stride), side
            side //= step
            width = t * inputs
            costs += [conv(inputs, width, 1, before), norm(width), conv(width, width, 3, side, groups=width)]
            costs += [norm(width), conv(width, outputs, 1, side), norm(outputs)]
            if step == 1 and inputs != outputs:
                costs += [conv(inputs, outputs, 1, side), norm(outputs)]
            inputs = outputs
    return add(*costs, conv(320, 1280, 1, side), norm(1280), linear(1280, 10))


def shufflenet(widths: tuple[int, ...], groups: int) -> Cost:
    costs, inputs, side = [conv(3, 24, 1, 32), norm(24)], 24, 32
    for width, count in zip(widths, (4, 8, 4), strict=True):
        for number in range(count):
            outputs, before = (width if number else width - inputs), side
            side = side if number else side // 2
            mid, first = outputs // 4, 1 if inputs == 24 else groups
            costs += [conv(inputs, mid, 1, before, groups=first), norm(mid), conv(mid, mid, 3, side, groups=mid)]
            costs += [norm(mid), conv(mid, outputs, 1, side, groups=groups), norm(outputs)]
            inputs = width
    return add(*costs, linear(inputs, 10))


VGGS = {
    11: "64|128|256 256|512 512|512 512",
    13: "64 64|128 128|256 256|512 512|512 512",
    16: "64 64|128 128|256 256 256|512 512 512|512 512 512",
    19: "64 64|128 128|256 256 256 256|512 512 512 512|512 512 512 512",
}
COSTS = {
    "resnet18_cifar": resnet((2, 2, 2, 2), wide=False),
    "resnet34_cifar": resnet((3, 4, 6, 3), wide=False),
    "resnet50_cifar": resnet((3, 4, 6, 3), wide=True),
    "resnet101_cifar": resnet((3, 4, 23, 3), wide=True),
    "resnet152_cifar": resnet((3, 8, 36, 3), wide=True),
    "preact_resnet18": preact(squeeze=False),
    "senet18_cifar": preact(squeeze=True),
    **{f"vgg{depth}_cifar": vgg(plan) for depth, plan in VGGS.items()},
    "densenet121_cifar": densenet(),
    "googlenet_cifar": googlenet(),
    "mobilenet_v1_cifar": mobilenet(),
    "mobilenet_v2_cifar": mobilenet_v2(),
    "shufflenet_g2_cifar": shufflenet((200, 400, 800), 2),
    "shufflenet_g3_cifar": shufflenet((240, 480, 960), 3),
}
PRINTED = {  # parameters with ten classes, as the networks' users print them
    "resnet18_cifar": 11_173_962,
    "resnet50_cifar": 23_520_842,
    "preact_resnet18": 11_171_146,
    "vgg16_cifar": 14_728_266,
    "densenet121_cifar": 1_000_618,
    "googlenet_cifar": 6_166_250,
    "mobilenet_v1_cifar": 3_217_226,
    "mobilenet_v2_cifar": 2_296_922,
}
NAMES = {  # some tensors of each as its users' files call them: the first, the last, and one within
    "resnet18_cifar": "conv1.weight layer2.0.shortcut.1.running_var linear.bias",
    "resnet50_cifar": "conv1.weight layer1.0.shortcut.0.weight linear.bias",
    "preact_resnet18": "conv1.weight layer2.0.shortcut.0.weight linear.bias",
    "senet18_cifar": "conv1.weight layer1.0.fc2.bias linear.bias",
    "vgg16_cifar": "features.0.weight features.41.running_var classifier.bias",
    "densenet121_cifar": "conv1.weight trans1.conv.weight linear.bias",
    "googlenet_cifar": "pre_layers.0.weight e4.b4.2.running_mean linear.bias",
    "mobilenet_v1_cifar": "conv1.weight layers.12.bn2.running_var linear.bias",
    "mobilenet_v2_cifar": "conv1.weight layers.0.shortcut.1.running_var linear.bias",
    "shufflenet_g2_cifar": "conv1.weight layer2.7.conv3.weight linear.bias",
}


@pytest.mark.parametrize("name", COSTS)
def test_parameters_and_multiply_adds_are_those_of_the_widths(name):
    assert PUBLISHED[name] == (CIFAR, *COSTS[name])
    assert PRINTED.get(name, COSTS[name][0]) == COSTS[name][0]


def test_every_network_of_the_zoo_is_counted():
    zoo = {name for name in cnnviz.architectures() if find(name).family == "CIFAR zoo"}
    assert zoo == set(COSTS)


@pytest.mark.parametrize("name", NAMES)
def test_tensors_are_called_as_in_the_files_of_its_users(name):
    keys = [key for key in on_meta(name).state_dict() if not key.endswith("num_batches_tracked")]
    first, within, last = NAMES[name].split()
    assert (keys[0], keys[-1]) == (first, last) and within in keys


def test_a_file_of_its_users_is_opened_with_the_zoos_normalisation(tmp_path):
    """Saved as the repository's script does: `net` in parallel, accuracy, epoch."""
    net = cnnviz.build("mobilenet_v2_cifar").eval()
    state = {f"module.{key}": value for key, value in net.state_dict().items()}
    torch.save({"net": state, "acc": 94.4, "epoch": 199}, tmp_path / "ckpt.pth")
    model = cnnviz.load(weights=tmp_path / "ckpt.pth", device="cpu")
    assert model.name == "mobilenet_v2_cifar" and model.class_names[3] == "cat" and not model.report.renamed
    assert model.preprocessing.std == STD == (0.2023, 0.1994, 0.2010)
    image = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(model.module(image), net(image), rtol=1e-4, atol=1e-4)


def test_a_dense_unit_puts_its_new_maps_first():
    unit, image = DenseUnit(6, 4).eval(), torch.randn(1, 6, 5, 5)
    with torch.no_grad():
        found = unit(image)
        torch.testing.assert_close(found[:, 4:], image)
        new = unit.conv2(unit.bn2(unit.conv1(unit.bn1(image).relu())).relu())
    torch.testing.assert_close(found[:, :4], new)


def test_a_shuffle_deals_the_maps_of_the_groups_in_turn():
    maps = torch.arange(6.0).reshape(1, 6, 1, 1)
    assert ChannelShuffle(2)(maps).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert ChannelShuffle(3)(maps).flatten().tolist() == [0, 2, 4, 1, 3, 5]


@pytest.mark.parametrize("squeeze", [False, True])
def test_a_pre_activation_block_is_its_formula(squeeze):
    torch.manual_seed(0)
    block, x = PreActivationBlock(16, 32, 2, squeeze).eval(), torch.randn(1, 16, 6, 6)
    with torch.no_grad():
        a = block.bn1(x).relu()
        y = block.conv2(block.bn2(block.conv1(a)).relu())
        if squeeze:
            means = y.mean((2, 3), keepdim=True)
            gate = 1 / (1 + torch.exp(-block.fc2(block.fc1(means).clamp(min=0))))
            y = y * gate
        torch.testing.assert_close(block(x), y + block.shortcut[0](a))
