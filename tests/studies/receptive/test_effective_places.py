"""Effective fields on the image, against kernels that are known, the slowest search for boxes, and Luo's formula."""

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz.data.corpus import MemoryCorpus
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel
from cnnviz.studies.receptive.effective import MeasuredField, gaussian, measure_field, read_images


def wrapped(module: nn.Module, size: tuple[int, int] = (9, 9), channels: int = 1) -> LoadedModel:
    expects = Preprocessing(size, mean=(0.0,) * channels, std=(1.0,) * channels)
    return LoadedModel(module, "tiny", expects, ["a"], torch.device("cpu"))


def conv(kernel: int = 3, **options) -> nn.Conv2d:
    return nn.Conv2d(1, 1, kernel, padding=kernel // 2, bias=False, **options)


def test_of_a_linear_layer_it_is_the_absolute_kernel_at_its_place_cut_at_the_border(seeded):
    layer = nn.Conv2d(1, 2, 3, padding=1, bias=False)
    layer.weight.data = torch.randn(layer.weight.shape, generator=seeded)
    model, images = wrapped(nn.Sequential(layer)), torch.zeros(3, 1, 9, 9)
    inside = measure_field(model, images, "0", 1, (4, 6))
    kernel = layer.weight[1, 0].abs().numpy()
    expected = np.zeros((9, 9))
    expected[3:6, 5:8] = kernel / kernel.sum()
    np.testing.assert_allclose(inside.weight, expected, rtol=1e-5)
    assert (inside.free, inside.seen, inside.images, inside.silent) == ((3, 5, 6, 8), (3, 5, 6, 8), 3, 0)
    corner = measure_field(model, images, "0", 0, (0, 0))
    kernel = layer.weight[0, 0].abs().numpy()[1:, 1:]
    np.testing.assert_allclose(corner.weight[:2, :2], kernel / kernel.sum(), rtol=1e-5)
    assert (corner.free, corner.seen) == ((-1, -1, 2, 2), (0, 0, 2, 2))


def test_without_a_channel_each_image_gets_another(seeded):
    layer = nn.Conv2d(1, 4, 3, padding=1, bias=False)
    layer.weight.data = torch.rand(layer.weight.shape, generator=seeded)
    found = measure_field(wrapped(nn.Sequential(layer)), torch.zeros(4, 1, 9, 9), "0", None, (4, 4))
    kernel = layer.weight.sum(dim=(0, 1)).numpy()
    np.testing.assert_allclose(found.weight[3:6, 3:6], kernel / kernel.sum(), rtol=1e-5)


def test_without_a_channel_silent_ones_are_passed_over():
    net = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU())
    net[0].weight.data.fill_(1.0)
    net[0].bias.data = torch.tensor([-1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    found = measure_field(wrapped(net), torch.zeros(4, 1, 9, 9), "1", None, (4, 4))
    assert found.silent == 0 and found.weight[3:6, 3:6] == pytest.approx(1 / 9)
    assert measure_field(wrapped(net), torch.zeros(1, 1, 9, 9), "1", 0, (4, 4)).silent == 1
    with pytest.raises(BadInput, match="9×9"):
        measure_field(wrapped(net), torch.zeros(1, 1, 9, 9), "1", None, (0, 9))


def test_twenty_layers_of_equal_taps_have_luo_s_sigma():
    net = nn.Sequential(*(conv() for _ in range(20)))
    for layer in net:
        layer.weight.data.fill_(1 / 9)
    found = measure_field(wrapped(net, (43, 43)), torch.zeros(1, 1, 43, 43), "19", 0, (21, 21))
    assert found.sigma == pytest.approx((3.6515, 3.6515), abs=1e-3) and found.centre == pytest.approx((21, 21))
    profile = found.weight.sum(0)
    np.testing.assert_allclose(profile, gaussian(43, 21, found.sigma[1]), atol=0.002)
    assert found.free == (1, 1, 42, 42) and found.ratio(0.95) < 0.25


def slow_box(weight: np.ndarray, share: float) -> int:
    """The side of the smallest square about the middle of a (n, n) field, n odd, that holds the share."""
    middle = len(weight) // 2
    for reach in range(middle + 1):
        part = weight[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
        if part.sum() >= share - 1e-9:
            return 2 * reach + 1
    return len(weight)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95, 1.0])
def test_the_box_of_a_share_is_the_smallest_about_the_middle(share):
    half = np.random.default_rng(0).random((15, 15))
    weight = half + half[::-1, ::-1]  # its mean is its middle
    weight /= weight.sum()
    found = MeasuredField(weight, (0, 0, 15, 15), (0, 0, 15, 15), 1, 0)
    top, left, bottom, right = found.box(share)
    assert bottom - top == right - left == slow_box(weight, share) and top + bottom == left + right == 15
    assert found.ratio(share) == pytest.approx((bottom - top) ** 2 / 225)


def test_an_even_field_gets_even_boxes_and_an_oblong_one_keeps_its_proportions():
    weight = np.zeros((12, 12))
    weight[4:8, 4:8] = 1 / 16
    assert MeasuredField(weight, (4, 4, 8, 8), (4, 4, 8, 8), 1, 0).box(0.25) == (5, 5, 7, 7)
    weight = np.zeros((9, 21))
    weight[3:6, 3:18] = 1 / 45
    found = MeasuredField(weight, (3, 3, 6, 18), (3, 3, 6, 18), 1, 0)
    assert found.box(1.0) == (3, 3, 6, 18) and found.centre == (4, 10)
    with pytest.raises(BadInput, match="0..1"):
        found.box(1.2)


def test_a_silent_unit_gives_zeros_and_no_nan():
    net = nn.Sequential(conv(), nn.ReLU(), nn.Conv2d(1, 1, 1))
    net[0].weight.data.fill_(-1.0)
    found = measure_field(wrapped(net), torch.ones(2, 1, 9, 9), "2", 0, (4, 4))
    assert not found.weight.any() and found.silent == 2 and found.sigma == (0.0, 0.0) and found.ratio(0.5) == 0
    assert found.centre == (4.0, 4.0)


def test_a_unit_that_is_not_there_is_refused():
    with pytest.raises(BadInput, match="0..8"):
        measure_field(wrapped(nn.Sequential(conv())), torch.zeros(1, 1, 9, 9), "0", 0, (9, 0))


def test_images_are_the_first_that_can_be_read_as_the_network_receives_them():
    pixels = [np.full((9, 9, 3), value, np.uint8) for value in (0, 51, 255)]
    corpus = MemoryCorpus("three", ["a", "b", "c"], pixels)
    found = read_images(wrapped(nn.Sequential(conv())), corpus, 2)
    assert found.shape == (2, 1, 9, 9) and found[1, 0, 4, 4] == pytest.approx(0.2)
    assert len(read_images(wrapped(nn.Sequential(conv())), corpus, 99)) == 3
