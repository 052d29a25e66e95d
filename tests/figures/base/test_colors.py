"""One language of colour: zero looks like zero, the ends are the ends, and order is kept."""

import numpy as np
import pytest

from cnnviz.figures.base.colors import activation_rgb, signed_palette, signed_rgb, to_levels, viridis


def lightness(colours: np.ndarray) -> np.ndarray:
    """Relative luminance of sRGB colours, 0..1. Source: WCAG 2.1."""
    linear = np.where(colours / 255 <= 0.04045, colours / 255 / 12.92, ((colours / 255 + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def test_viridis_has_its_published_ends_and_middle():
    assert viridis()[0].tolist() == [0x44, 0x01, 0x54]
    assert viridis()[255].tolist() == [0xFD, 0xE7, 0x25]
    assert np.abs(viridis()[128].astype(int) - [0x21, 0x90, 0x8C]).max() <= 4  # matplotlib's viridis(0.5)


def test_viridis_grows_lighter_at_every_step():
    light = lightness(viridis())
    assert (np.diff(light) > -1e-3).all() and light[255] > 0.7 > 0.05 > light[0]


def test_signed_colours_are_white_at_zero_blue_below_and_red_above():
    table = signed_palette().astype(int)
    assert table[128].min() > 240
    assert (table[1:120, 2] > table[1:120, 0]).all()
    assert (table[136:, 0] > table[136:, 2]).all()


def test_equal_magnitudes_look_equally_strong_on_both_sides():
    light = lightness(signed_palette())
    for step in (32, 64, 96, 127):
        assert light[128 - step] == pytest.approx(light[128 + step], abs=0.12)


def test_levels_are_rounded_and_clipped():
    values = np.array([-1.0, 0.0, 0.25, 1.0, 7.0])
    assert to_levels(values, 0.0, 1.0).tolist() == [0, 0, 64, 255, 255]


def test_what_is_not_finite_gets_a_level_all_the_same():
    values = np.array([np.nan, np.inf, -np.inf, 0.5])
    assert to_levels(values, 0.0, 1.0).tolist() == [0, 255, 0, 128]


def test_a_range_of_no_width_is_zero():
    assert to_levels(np.full(3, 2.0), 2.0, 2.0).tolist() == [0, 0, 0]


def test_activations_start_at_zero_not_at_their_minimum():
    values = np.array([[-3.0, 0.0], [1.0, 2.0]])
    found = activation_rgb(values)
    assert (found[0] == viridis()[0]).all()
    assert (found[1, 0] == viridis()[128]).all() and (found[1, 1] == viridis()[255]).all()
    assert (activation_rgb(np.ones((2, 2)), high=4.0) == viridis()[64]).all()


def test_a_silent_map_is_the_colour_of_zero():
    assert (activation_rgb(np.zeros((2, 3))) == viridis()[0]).all()
    assert (signed_rgb(np.zeros((2, 3))) == signed_palette()[128]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("peak", [1e-6, 0.3, 1.0, 777.7])
def test_signed_values_are_symmetric_about_white(peak, dtype):
    values = np.array([[-peak, 0.0, peak, 0.25 * peak]], dtype)
    found = signed_rgb(values)[0]
    assert found[1].tolist() == signed_palette()[128].tolist()
    assert found[0].tolist() == signed_palette()[1].tolist() and found[2].tolist() == signed_palette()[255].tolist()
    assert (signed_rgb(values, peak=4 * peak)[0, 2] == signed_rgb(values)[0, 3]).all()


def test_a_signed_value_that_is_not_a_number_is_white():
    found = signed_rgb(np.array([[np.nan, -2.0, 2.0]]))[0]
    assert (found == signed_palette()[[128, 1, 255]]).all()
