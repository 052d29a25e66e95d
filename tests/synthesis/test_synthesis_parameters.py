"""Images as Fourier parameters, their views, and the windows of fields: each against a slow or a plain computation."""

import numpy as np
import pytest
import torch
from nets import tiny
from torch import nn

import cnnviz
from cnnviz.data.corpus import MemoryCorpus
from cnnviz.errors import BadInput
from cnnviz.probes.capture import capture
from cnnviz.synthesis.amplitudes import find_amplitudes
from cnnviz.synthesis.objective import likeness, score
from cnnviz.synthesis.parameters import FourierImage, PhaseImage, correlate, decorrelate
from cnnviz.synthesis.settings import SynthesisSettings
from cnnviz.synthesis.views import take_middle, take_views
from cnnviz.synthesis.window import find_window

NOISE = torch.randn(2, 3, 12, 10, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_start_is_nearly_gray_and_inside_black_and_white(channels):
    images = FourierImage(NOISE[:, :channels]).render()
    assert images.shape == (2, channels, 12, 10)
    assert (images - 0.5).abs().max() < 0.25 and images.std() > 0


@pytest.mark.parametrize("channels", [1, 3])
def test_a_given_image_comes_back_from_its_parameters(channels):
    image = torch.rand(2, channels, 12, 10, generator=torch.Generator().manual_seed(1)) * 0.8 + 0.1
    found = FourierImage(NOISE[:, :channels] * 0, image).render()
    torch.testing.assert_close(found, image, atol=1e-4, rtol=1e-4)


def test_images_of_given_amplitudes_have_just_these_before_they_are_clipped():
    amplitudes = find_amplitudes((12, 10), 3)
    found = decorrelate(PhaseImage(NOISE, amplitudes).render_unclipped().detach())
    expected = np.abs(np.fft.fft2(found.numpy(), norm="ortho"))[:, :, :, 1:5]  # the edges of a real transform are real
    np.testing.assert_allclose(expected, np.broadcast_to(amplitudes[:, :, 1:5], expected.shape), rtol=2e-3, atol=1e-4)


def test_amplitudes_of_one_gray_image_are_those_of_its_own_transform():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    pixels[:] = pixels[:, :, :1]
    found = find_amplitudes((8, 8), 1, MemoryCorpus("one", ["a"], [pixels]))
    expected = np.abs(np.fft.rfft2(pixels[:, :, 0] / 255, norm="ortho"))
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-5)


def test_colours_go_there_and_back():
    torch.testing.assert_close(decorrelate(correlate(NOISE)), NOISE, atol=1e-5, rtol=1e-4)


def test_a_view_that_does_not_move_is_the_middle_of_the_canvas():
    found = take_views(NOISE, (8, 6), torch.zeros(2, 4))
    torch.testing.assert_close(found, take_middle(NOISE, (8, 6)), atol=1e-5, rtol=1e-4)


def test_a_view_shifted_by_whole_pixels_is_another_cutting():
    views = torch.tensor([[1.0, -2.0, 0.0, 0.0], [-2.0, 1.0, 0.0, 0.0]])
    found = take_views(NOISE, (8, 6), views)
    torch.testing.assert_close(found[0], NOISE[0, :, 3:11, 0:6], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found[1], NOISE[1, :, 0:8, 3:9], atol=1e-5, rtol=1e-4)


def test_a_view_turned_by_a_right_angle_is_the_image_turned():
    square = NOISE[:1, :, :10, :]
    found = take_views(square, (10, 10), torch.tensor([[0.0, 0.0, torch.pi / 2, 0.0]]))
    turned = [torch.rot90(square, k, (2, 3)) for k in (1, 3)]
    assert min(float((found - one).abs().max()) for one in turned) < 1e-4


def test_likeness_is_one_for_equal_maps_and_the_cosine_of_gram_matrices_else():
    maps = NOISE.relu()
    twice = torch.cat([maps[:1], maps[:1]])
    torch.testing.assert_close(likeness(twice, 2), torch.ones(2))
    grams = [m.flatten(1).numpy() @ m.flatten(1).numpy().T for m in maps]
    cosine = (grams[0] * grams[1]).sum() / np.linalg.norm(grams[0]) / np.linalg.norm(grams[1])
    np.testing.assert_allclose(likeness(maps, 2).numpy(), [cosine, cosine], rtol=1e-4)


def test_scores_are_those_of_slow_sums():
    weights = torch.tensor([[1.0, 0.0, 2.0], [0.0, -1.0, 0.0]])
    maps = NOISE.numpy()
    expected = [maps[0, 0] + 2 * maps[0, 2], -maps[1, 1]]
    for objective, unit, reduce in (
        ("unit", (3, 4), lambda m: m[3, 4]),
        ("channel", None, np.mean),
        ("max", None, np.max),
    ):
        found = score(NOISE, weights, objective, unit).numpy()
        np.testing.assert_allclose(found, [reduce(m) for m in expected], rtol=1e-4)
    np.testing.assert_allclose(score(NOISE, None, "channel", None), np.square(maps).mean((1, 2, 3)), rtol=1e-4)


@pytest.mark.parametrize("unit", [(0, 0), (4, 5), (9, 9), (3, 9)])
def test_a_pass_over_the_window_gives_the_units_value(unit):
    torch.manual_seed(0)
    parts = [nn.Conv2d(3, 4, 5, stride=2, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, padding=1)]
    model = tiny(nn.Sequential(*parts), (40, 40))
    window = find_window(model, "3", cnnviz.receptive_field(model, "3"), unit)
    top, left, bottom, right = window.given
    assert (bottom - top) * (right - left) < 40 * 40 and top % 4 == left % 4 == 0
    image = torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(2))
    whole = capture(model, image, "3")["3"][0, :, unit[0], unit[1]]
    part = model.module(image[None, :, top:bottom, left:right])[0, :, window.unit[0], window.unit[1]]
    np.testing.assert_allclose(part.numpy(), whole, rtol=1e-4, atol=1e-5)


def test_a_network_of_fixed_size_gets_the_whole_image():
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.place = nn.Conv2d(3, 4, 3), nn.Parameter(torch.randn(1, 4, 14, 14))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv2(self.conv(x) + self.place) if hasattr(self, "conv2") else self.conv(x) + self.place

    torch.manual_seed(0)
    net = Fixed()
    net.conv2 = nn.Conv2d(4, 2, 3)
    model = tiny(net, (16, 16))
    window = find_window(model, "conv2", cnnviz.receptive_field(model, "conv2"), (6, 6))
    assert window.given == (0, 0, 16, 16) and window.box == (6, 6, 11, 11)


def test_settings_that_are_set_stay_and_views_follow_the_size():
    found = SynthesisSettings(turn=0.0).for_size((32, 32))
    assert (found.turn, found.shift, found.rate) == (0.0, 2.0, 0.01)
    assert SynthesisSettings().for_size((224, 224)).shift == 8.0
    with pytest.raises(BadInput, match="zoom at least 1"):
        SynthesisSettings(zoom=0.5)
    with pytest.raises(BadInput, match="belongs to the objective"):
        SynthesisSettings(objective="channel", unit=(0, 0))
