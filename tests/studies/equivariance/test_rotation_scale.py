"""Turned and scaled images: exact where a filter is symmetric, and nowhere else."""

import numpy as np
import pytest
import torch
from nets import hooks_left, images, tiny
from torch import nn

from cnnviz.errors import BadInput
from cnnviz.studies.equivariance.rotation_scale import apply_transform, compare_transforms
from cnnviz.studies.equivariance.shift import EXACT


def one_layer(symmetric: bool) -> nn.Sequential:
    """A 3×3 convolution with a ReLU and a global average; symmetric: its kernel looks alike from all four sides."""
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 3, padding=1)
    if symmetric:
        conv.weight.data = sum(conv.weight.data.rot90(k, (2, 3)) for k in range(4)) / 4
    return nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1))


def test_an_ordinary_filter_does_not_turn_with_the_image_and_a_symmetric_one_does():
    x = images(1, (10, 10))
    usual = compare_transforms(tiny(one_layer(False), (10, 10)), x, "quarter", [0, 1, 2, 3], ["1", "2"])
    even = compare_transforms(tiny(one_layer(True), (10, 10)), x, "quarter", [0, 1, 2, 3], ["1", "2"])
    assert usual["1"].relative[0] < EXACT and usual["1"].relative[1:].min() > 0.3
    assert even["1"].relative.max() < EXACT and even["2"].relative.max() < EXACT
    assert usual["2"].relative[1:].min() > 1e-3  # and so the answer changes as well
    assert usual["1"].inside.all() and not usual["1"].resampling.any()
    np.testing.assert_array_equal(usual.images[1], x[0].rot90(1, (1, 2)).numpy())


def test_both_maps_are_those_of_a_plain_computation():
    net, x = one_layer(False), images(1, (10, 10))
    found = compare_transforms(tiny(net, (10, 10)), x, "quarter", [1], "1")["1"]
    with torch.no_grad():
        moved, after = net[:2](x).rot90(1, (2, 3)), net[:2](x.rot90(1, (2, 3)))
    np.testing.assert_allclose(found.moved[0], moved[0], atol=1e-6)
    np.testing.assert_allclose(found.difference[0], (after - moved)[0], atol=1e-6)


@pytest.mark.parametrize("size", [(8, 8), (9, 9)])
def test_a_rotation_by_ninety_degrees_is_a_quarter_turn(size):
    maps = images(1, size)[0]
    torch.testing.assert_close(apply_transform(maps, "rotation", 90.0), maps.rot90(1, (1, 2)), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(apply_transform(maps, "rotation", -180.0), maps.rot90(2, (1, 2)), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(apply_transform(maps, "scale", 1.0), maps)
    assert apply_transform(maps[:, :1, :1], "scale", 0.5).equal(maps[:, :1, :1])


def test_a_turn_on_an_oblong_map_keeps_its_pixels_square():
    oblong = torch.zeros(1, 21, 41)
    oblong[0, 10, 20 + 8] = 1.0  # eight to the right of the centre …
    turned = apply_transform(oblong, "rotation", 90.0)
    assert np.unravel_index(int(turned.argmax()), (21, 41)) == (2, 20)  # … is eight above it


def test_a_scale_of_two_shows_the_middle_twice_as_large():
    ramp = torch.arange(16.0).expand(1, 16, 16)
    np.testing.assert_allclose(apply_transform(ramp, "scale", 2.0)[0, 0], 3.75 + np.arange(16) / 2, atol=1e-5)


@pytest.mark.parametrize("kind, amounts", [("rotation", [0.0, 5.0, 45.0]), ("scale", [1.0, 0.8, 1.25])])
def test_small_turns_and_scales_are_judged_where_both_maps_know_something(kind, amounts):
    x = nn.functional.avg_pool2d(images(1, (40, 40)), 5, 1, 2)[:, :, 4:36, 4:36]
    model = tiny(one_layer(False), (32, 32))
    found = compare_transforms(model, x, kind, amounts, ["1", "2"])["1"]
    assert found.relative[0] < EXACT and found.resampling[0] < EXACT and (found.relative[1:] > 0.01).all()
    assert (0 < found.resampling[1:]).all() and (found.resampling[1:] < 0.5).all()
    assert 0 < found.inside[1].mean() <= 1
    assert not hooks_left(model.module)


@pytest.mark.parametrize(
    "kind, amounts, words",
    [
        ("mirror", [1], "quarter, rotation"),
        ("scale", [0.0], "above 0"),
        ("quarter", [0.5], "whole"),
        ("rotation", [], "at least one"),
        ("rotation", [float("nan")], "finite"),
    ],
)
def test_what_does_not_fit_is_said(kind, amounts, words):
    with pytest.raises(BadInput, match=words):
        compare_transforms(tiny(one_layer(False), (10, 10)), images(1, (10, 10)), kind, amounts, "1")
    with pytest.raises(BadInput, match="square"):
        compare_transforms(tiny(one_layer(False), (10, 12)), images(1, (10, 12)), "quarter", [1], "1")
