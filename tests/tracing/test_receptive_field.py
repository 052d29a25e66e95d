"""Receptive fields against published figures, the formula of a stack, and what must be refused."""

import numpy as np
import pytest
import torch
from nets import Functional, hooks_left, published, tiny
from torch import nn

from cnnviz.errors import BadInput, UnknownName
from cnnviz.tracing.receptive_field import receptive_field

PUBLISHED = [
    ("alexnet", "features", 195, 32, 66),
    ("vgg16", "features", 212, 32, 90),
    ("resnet18", "layer4", 435, 32, 217),
    ("resnet34", "layer4", 899, 32, 449),
    ("resnet50", "layer4", 427, 32, 213),
    ("mobilenet_v2", "features", 491, 32, 245),
    ("densenet121", "features", 2071, 32, 1021),
]


def conv(inputs: int = 3, outputs: int = 4, kernel: int = 3, **options) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, **options)


@pytest.mark.parametrize("name, layer, size, stride, padding", PUBLISHED)
def test_torchvision_networks_have_the_published_size_stride_and_padding(name, layer, size, stride, padding):
    field = receptive_field(published(name), layer)
    assert (field.size, field.stride, field.padding) == ((size, size), (stride, stride), (padding, padding))


@pytest.mark.parametrize("name, layer, size, stride, padding", PUBLISHED)
def test_size_and_stride_do_not_need_a_large_map(name, layer, size, stride, padding):
    field = receptive_field(published(name, (63, 64)), layer)
    assert field.shape in [(1, 1), (1, 2), (2, 2)]
    assert (field.size, field.stride, field.padding) == ((size, size), (stride, stride), (padding, padding))


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("kind", "CELU ELU Hardsigmoid Hardswish Hardtanh LeakyReLU Mish ReLU6 RReLU SELU SiLU".split())
def test_an_activation_sees_one_unit(kind, inplace):
    model = tiny(nn.Sequential(conv(), getattr(nn, kind)(inplace=inplace)))  # PyTorch 2.11 marks few as elementwise
    assert receptive_field(model, "1").size == (3, 3)


@pytest.mark.parametrize("write", ["abs_", "relu6_", "threshold_", "masked_fill_", "clamp_"])
def test_an_elementwise_step_in_place_sees_one_unit(write):
    class Writes(nn.Module):
        def forward(self, x):
            more = {"threshold_": (0.1, 0.0), "masked_fill_": (x > 1, 1.0), "clamp_": (0.0, 6.0)}.get(write, ())
            step = getattr(torch, write, None) or getattr(torch._C._nn, write, None) or getattr(torch.Tensor, write)
            return step(x, *more)

    assert receptive_field(tiny(nn.Sequential(conv(), Writes())), "1").size == (3, 3)


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("name, layer", [("lenet5", "conv2"), ("resnet18", "layer2.0.conv1"), ("vgg16", "features.28")])
def test_boxes_of_many_units_are_those_of_each(name, layer, clip):
    field = receptive_field(published(name), layer)
    rows, cols = np.random.default_rng(0).integers(0, np.array(field.shape)[:, None, None], (2, 5, 7))
    want = [
        [field.box(int(r), int(c), clip) for r, c in zip(*pair, strict=True)] for pair in zip(rows, cols, strict=True)
    ]
    np.testing.assert_array_equal(field.boxes(rows, cols, clip), want)
    assert field.boxes(rows[:0], cols[:0]).shape == (0, 7, 4)


def test_boxes_outside_the_map_are_refused():
    field = receptive_field(published("lenet5"), "conv2")
    for row, col in [(-1, 0), (0, -1), (field.shape[0], 0), (0, field.shape[1])]:
        with pytest.raises(BadInput, match="got unit"):
            field.boxes(np.array([0, row]), np.array([0, col]))


def test_lenet5_grows_5_6_14_16():
    model = published("lenet5")
    sizes = [receptive_field(model, layer).size for layer in ("conv1", "pool1", "conv2", "pool2")]
    assert sizes == [(5, 5), (6, 6), (14, 14), (16, 16)]


def test_a_rectangular_stack_follows_the_formula():
    layers = [
        ((3, 5), (2, 1), (1, 2), (1, 1)),
        ((3, 1), (1, 3), (0, 0), (2, 1)),
        ((2, 4), (2, 2), (1, 0), (1, 3)),
    ]
    net = nn.Sequential(*(conv(3, 3, k, stride=s, padding=p, dilation=d) for k, s, p, d in layers))
    field = receptive_field(tiny(net, (40, 50)), "2")
    for axis in (0, 1):
        size, jump, start = 1, 1, 0
        for k, s, p, d in layers:
            size += d[axis] * (k[axis] - 1) * jump
            start += p[axis] * jump
            jump *= s[axis]
        assert (field.size[axis], field.stride[axis], field.padding[axis]) == (size, jump, start)


def test_boxes_move_by_the_stride_and_clip_to_the_image():
    field = receptive_field(published("lenet5"), "pool2")
    assert field.box(0, 0, clip=False) == (-2, -2, 14, 14)
    assert field.box(1, 2, clip=False) == (2, 6, 18, 22)
    assert field.box(0, 0) == (0, 0, 14, 14)
    assert field.centre(1, 2) == (9.5, 13.5)


NORMS = [
    nn.InstanceNorm2d(4),
    nn.GroupNorm(2, 4),
    nn.LayerNorm((4, 6, 6)),
    nn.BatchNorm2d(4, track_running_stats=False),
]


@pytest.mark.parametrize("norm", NORMS)
def test_norms_over_space_see_the_whole_map(norm):
    field = receptive_field(tiny(nn.Sequential(conv(), norm), (8, 8)), "1")
    assert field.box(0, 0) == (0, 0, 8, 8) == field.box(5, 5)


def test_batch_norm_in_evaluation_sees_one_unit():
    field = receptive_field(tiny(nn.Sequential(conv(), nn.BatchNorm2d(4)), (8, 8)), "1")
    assert field.box(1, 2) == (1, 2, 4, 5)


def test_an_unknown_operation_counts_as_seeing_everything():
    model = tiny(Functional(lambda n, x: n.a(x) @ torch.ones(6, 6), a=conv()), (8, 8))
    assert receptive_field(model, "out").box(0, 0) == (0, 0, 8, 8)


def test_a_unit_on_padding_alone_gives_a_box_without_area():
    field = receptive_field(tiny(nn.Sequential(conv(kernel=1, padding=2)), (8, 8)), "0")
    top, left, bottom, right = field.box(0, 11)
    assert (bottom - top) * (right - left) == 0
    assert 0 <= top <= bottom <= 8 and 0 <= left <= right <= 8
    assert field.box(0, 11, clip=False) == (-2, 9, -1, 10)


def test_calls_of_a_shared_module_are_told_apart():
    shared = conv(3, 3)
    model = tiny(Functional(lambda n, x: n.a(n.a(n.a(x))), a=shared), (12, 12))
    assert [receptive_field(model, f"a:{call}").size for call in (1, 2, 3)] == [(3, 3), (5, 5), (7, 7)]
    assert receptive_field(model, "a").size == (7, 7)


def test_errors_name_the_valid_range_and_the_closest_layer():
    model = published("lenet5")
    with pytest.raises(UnknownName, match="conv1"):
        receptive_field(model, "conv_1")
    with pytest.raises(BadInput, match="0..9"):
        receptive_field(model, "conv2").box(10, 0)
    with pytest.raises(BadInput, match="0..9"):
        receptive_field(model, "conv2").box(0, -1)
    with pytest.raises(BadInput, match="1 times"):
        receptive_field(model, "conv2:2")


def test_a_layer_that_never_runs_is_refused():
    model = tiny(Functional(lambda n, x: n.a(x), a=conv(), unused=conv()))
    with pytest.raises(BadInput, match="unused.*0 times"):
        receptive_field(model, "unused")


def test_a_layer_without_the_image_is_refused():
    model = tiny(Functional(lambda n, x: n.a(x) + n.b(torch.ones(1)), a=conv(), b=nn.Linear(1, 1)))
    with pytest.raises(BadInput, match="does not depend on the image"):
        receptive_field(model, "b")


def test_hooks_are_gone_and_weights_unchanged_also_after_an_exception():
    def fail(net, x):
        net.a(x)
        raise RuntimeError("broken network")

    model = tiny(Functional(fail, a=conv()))
    with pytest.raises(RuntimeError, match="broken network"):
        receptive_field(model, "a")
    assert hooks_left(model.module) == 0


def test_a_tuple_output_and_inference_mode_are_followed():
    class Pair(nn.Module):
        def forward(self, x):
            return x[:, :, 1:], None

    model = tiny(Functional(lambda n, x: n.a(n.pair(x)[0]), pair=Pair(), a=conv()), (8, 8))
    with torch.inference_mode():
        assert receptive_field(model, "pair").box(0, 0) == (1, 0, 2, 1)
    assert receptive_field(model, "a").box(0, 0) == (1, 0, 4, 3)


def test_another_layer_needs_no_second_pass():
    passes = []
    model = tiny(Functional(lambda n, x: passes.append(1) or n.b(n.a(x)), a=conv(), b=conv(4)), (9, 9))
    assert receptive_field(model, "a").size[0] == 3
    passes.clear()  # those that chose its memory format, and those that were followed
    assert [receptive_field(model, layer).size[0] for layer in ("b", "a")] == [5, 3]
    assert not passes
