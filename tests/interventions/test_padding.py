"""Padding exchanged for one pass, against padding written out by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nets import Functional, Written, images
from torch import nn

import cnnviz
from cnnviz.errors import BadInput
from cnnviz.interventions.padding import PADDINGS, PaddingMode, border_indices, fill_border, override_padding


def by_hand(x: torch.Tensor, amount: int, padding: str) -> torch.Tensor:
    """Index by index."""
    if padding == "valid":
        return x
    n = x.shape[-1]
    mirrored = list(range(n)) + list(range(n - 2, 0, -1))
    pick = {
        "circular": lambda i: i % n,
        "reflect": lambda i: mirrored[i % len(mirrored)],
    }[padding]
    places = [pick(i) for i in range(-amount, n + amount)]
    return x[..., places, :][..., places]


@pytest.mark.parametrize("padding", ["circular", "reflect", "valid"])
@pytest.mark.parametrize("functional", [False, True])
def test_convolutions_and_pools_read_the_chosen_border(padding, functional):
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 5, padding=2, stride=2)
    x = images(2, (9, 9))
    if functional:
        net = Functional(lambda m, x: F.max_pool2d(F.conv2d(x, m.c.weight, m.c.bias, 2, 2), 3, 2, 1), c=conv)
    else:
        net = nn.Sequential(conv, nn.MaxPool2d(3, 2, 1))
    with override_padding(padding), torch.no_grad():
        found = net(x)
    y = F.conv2d(by_hand(x, 2, padding), conv.weight, conv.bias, 2)
    torch.testing.assert_close(found, F.max_pool2d(by_hand(y, 1, padding), 3, 2))


def test_average_pools_string_padding_and_written_padding_are_reached():
    conv = nn.Conv2d(3, 3, 3, padding="same", dilation=2)
    x = images(1)
    with override_padding("circular"), torch.no_grad():
        found = F.avg_pool2d(conv(F.pad(x, (1, 1, 1, 1))), 3, 1, padding=1)
    y = F.conv2d(by_hand(by_hand(x, 1, "circular"), 2, "circular"), conv.weight, conv.bias, dilation=2)
    torch.testing.assert_close(found, F.avg_pool2d(by_hand(y, 1, "circular"), 3, 1))


def test_zero_channels_added_by_a_shortcut_are_not_padding():
    x = images(1)
    for padding in PADDINGS:
        with override_padding(padding):
            assert torch.equal(F.pad(x, (0, 0, 0, 0, 2, 1)), torch.nn.functional.pad(x, (0, 0, 0, 0, 2, 1)))
            assert F.pad(x, (0, 0, 0, 0, 2, 1)).shape == (1, 6, 8, 8)


@pytest.mark.parametrize("padding", ["circular", "reflect"])
def test_more_padding_than_the_map_is_long_goes_on_periodically(padding):
    x = images(1, (2, 2))
    torch.testing.assert_close(fill_border(x, (5, 5, 5, 5), padding), by_hand(x, 5, padding))
    one = images(1, (1, 1))
    assert torch.equal(fill_border(one, (2, 2, 2, 2), padding), one.expand(1, 3, 5, 5))


def test_a_mirror_does_not_repeat_the_outermost_pixel():
    assert border_indices(4, 3, 3, "reflect").tolist() == [3, 2, 1, 0, 1, 2, 3, 2, 1, 0]
    assert border_indices(3, 4, 1, "circular").tolist() == [2, 0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize(
    "kernel, stride, own, length", [(3, 2, 1, 16), (7, 2, 0, 16), (3, 2, 0, 12), (5, 1, 0, 8), (1, 2, 0, 8)]
)
def test_on_a_torus_every_map_is_as_long_as_strides_divide_and_shifts_go_through(kernel, stride, own, length):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, kernel, stride, own), nn.MaxPool2d(3, 2, ceil_mode=True)).double()
    x = images(1, (length, length)).double()
    with override_padding("torus"), torch.no_grad():
        before, after = net(x), net(x.roll((2 * stride, -2 * stride), (2, 3)))
    assert before.shape[2:] == (length // stride // 2,) * 2
    torch.testing.assert_close(after, before.roll((1, -1), (2, 3)), rtol=1e-12, atol=1e-12)


def test_without_the_mode_and_with_native_nothing_changes():
    model = cnnviz.load("resnet20_cifar", "random", "cpu")
    x = images(1, (32, 32))
    with torch.no_grad():
        plain = model.module(x)
        with override_padding("native"):
            assert torch.equal(model.module(x), plain)
        with override_padding("circular"):
            assert not torch.equal(model.module(x), plain)
        assert torch.equal(model.module(x), plain)


def test_what_no_longer_fits_together_is_said_in_words():
    model = cnnviz.load("resnet20_cifar", "random", "cpu")
    with pytest.raises(BadInput, match="valid.*no longer fit together"), override_padding("valid"), torch.no_grad():
        model.module(images(1, (32, 32)))
    with pytest.raises(BadInput, match="circular"), override_padding("mirror"):
        pass
    with pytest.raises(BadInput, match="native"):
        PaddingMode("mirror")


def test_a_failure_of_the_network_itself_is_left_alone():
    net = Written(lambda x: x @ x[:, :2])
    with pytest.raises(RuntimeError), override_padding("native"):
        net(images(1))
    assert np.isfinite(float(images(1).sum()))
