"""Bytes for the browser: nothing is lost on the way into a PNG and back."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from readpng import rgb

from cnnviz.figures.base.colors import to_levels, viridis
from cnnviz.figures.base.encode import data_url, enlarge, palette_png, rgb_png, whole_factor


def test_a_palette_png_shows_exactly_viridis_of_the_values():
    values = np.random.default_rng(0).random((37, 23))
    levels = to_levels(values, 0.0, 1.0)
    found = rgb(palette_png(levels, viridis()))
    for row, col in np.ndindex(values.shape):
        assert found[row, col].tolist() == viridis()[round(values[row, col] * 255)].tolist()


def test_a_palette_png_stores_one_byte_a_pixel_and_takes_any_memory_layout():
    levels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    png = palette_png(levels.T, viridis())
    assert Image.open(io.BytesIO(png)).mode == "P"
    np.testing.assert_array_equal(rgb(png), viridis()[levels.T])


@pytest.mark.parametrize("shape", [(5, 7, 3), (5, 7), (5, 7, 1)])
def test_an_rgb_png_is_lossless(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    expected = np.broadcast_to(pixels.reshape(5, 7, -1), (5, 7, 3))
    np.testing.assert_array_equal(rgb(rgb_png(pixels)), expected)


@pytest.mark.parametrize("shape", [(1, 9, 3), (9, 1), (64, 300, 3)])
def test_a_png_of_any_size_and_memory_layout_is_lossless_for_every_reader(shape):
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    for given in (pixels, pixels[::-1], np.asfortranarray(pixels)):
        with Image.open(io.BytesIO(rgb_png(given))) as image:
            assert image.mode == ("RGB" if len(shape) == 3 else "L")
            np.testing.assert_array_equal(np.asarray(image), given)


def test_a_data_address_holds_the_very_bytes():
    png = rgb_png(np.zeros((2, 2, 3), np.uint8))
    head, _, body = data_url(png).partition(",")
    assert head == "data:image/png;base64" and base64.b64decode(body) == png


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 3)])
@pytest.mark.parametrize("factor", [1, 2, 5])
def test_enlarging_repeats_every_pixel(shape, factor):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    found = enlarge(pixels, factor)
    assert found.shape[:2] == (3 * factor, 4 * factor)
    for row, col in np.ndindex(found.shape[:2]):
        assert (found[row, col] == pixels[row // factor, col // factor]).all()


@pytest.mark.parametrize("size, wanted, factor", [(7, 21, 3), (7, 27, 3), (7, 28, 4), (7, 3, 1), (0, 9, 9)])
def test_the_whole_factor_is_the_largest_that_fits_and_never_below_one(size, wanted, factor):
    assert whole_factor(size, wanted) == factor
