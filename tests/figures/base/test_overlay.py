"""One unit large: the map lights the image, and a pixel of the picture leads back to its unit."""

import io

import numpy as np
import pytest
from PIL import Image
from readpng import rgb

from cnnviz.figures.base.colors import activation_rgb, signed_rgb
from cnnviz.figures.base.overlay import filter_card, large_map, map_over_image, scale_box, signed_map, to_rgb, unit_at
from cnnviz.probes.filters import FirstLayerFilters

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(4, 4), (8, 8), (7, 7), (13, 13), (32, 32), (1, 1), (5, 9)])
@pytest.mark.parametrize("size", [(32, 32), (28, 28), (224, 224), (20, 44)])
def test_a_pixel_leads_to_the_unit_that_lights_it(shape, size):
    image = np.full((*size, 3), 200, np.uint8)
    rng = np.random.default_rng(0)
    for _ in range(3):
        unit = int(rng.integers(shape[0])), int(rng.integers(shape[1]))
        values = np.zeros(shape, np.float32)
        values[unit] = 1
        png, (width, height) = map_over_image(image, values)
        lit = (rgb(png) == 200).all(axis=2)
        assert lit.shape == (height, width) and lit.any()
        for y in range(0, height, 11):
            for x in range(0, width, 7):
                assert lit[y, x] == (unit_at(x + 0.5, y + 0.5, shape, size) == unit)


def test_points_on_or_past_the_edge_lead_to_the_nearest_unit():
    assert unit_at(-3, -3, (4, 4), (32, 32)) == (0, 0)
    assert unit_at(448, 9999, (4, 4), (32, 32)) == (3, 3)


def test_the_strongest_unit_shows_the_photograph_and_a_silent_one_is_dark():
    values = np.array([[1.0, 0.0], [-2.0, 0.5]], np.float32)
    found = rgb(map_over_image(IMAGE, values)[0])
    large = IMAGE.repeat(14, 0).repeat(14, 1)
    np.testing.assert_array_equal(found[:224, :224], large[:224, :224])
    gray = large[:224, 224:].astype(float).mean(axis=2, keepdims=True) * 0.35 + 20
    assert np.abs(found[:224, 224:] - gray).max() <= 0.51
    assert (found[224:, :224].max(axis=2) <= 110).all()


def test_a_map_that_is_0_everywhere_does_not_show_the_photograph():
    for values in (np.zeros((2, 2)), -np.ones((2, 2))):
        silent, lit = (rgb(map_over_image(IMAGE, v)[0]).astype(int) for v in (values, np.ones((2, 2))))
        assert silent.min() > 180 and abs(silent - lit).mean() > 30  # dark words stand on it


def test_gray_and_many_channel_inputs_are_shown_as_gray():
    assert to_rgb(IMAGE) is IMAGE
    assert (to_rgb(IMAGE[:, :, :1]) == IMAGE[:, :, :1]).all()
    four = np.zeros((2, 2, 4), np.uint8)
    four[0, 0] = (10, 20, 30, 60)
    assert to_rgb(four)[0, 0].tolist() == [30, 30, 30]


def test_a_frame_stands_where_its_box_is():
    assert scale_box((4, 8, 12, 32), (32, 32), (448, 448)) == (112, 56, 336, 112)
    left, top, width, height = scale_box((0, 0, 28, 14), (28, 28), (448, 448))
    assert (left, top, width, height) == (0, 0, 224, 448)


def test_a_large_map_is_viridis_of_the_values_with_a_frame_round_the_unit():
    values = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    png, size = large_map(values, 100, unit=(2, 3))
    found, factor = rgb(png), 16
    assert size == (96, 80)
    expected = activation_rgb(values)
    for row, col in np.ndindex(values.shape):
        block = found[row * factor : (row + 1) * factor, col * factor : (col + 1) * factor]
        assert (block[1:-1, 1:-1] == expected[row, col]).all()
        assert (block[0] >= 254).all() == ((row, col) == (2, 3))


def test_a_map_too_small_to_frame_is_left_as_it_is():
    values = np.ones((60, 60), np.float32)
    assert large_map(values, 120, unit=(0, 0))[0] == large_map(values, 120)[0]


def test_a_signed_map_is_enlarged_by_a_whole_multiple():
    values = np.random.default_rng(0).normal(size=(4, 3))
    png, size = signed_map(values, 50)
    assert size == (36, 48)
    np.testing.assert_array_equal(rgb(png), signed_rgb(values).repeat(12, 0).repeat(12, 1))


def test_a_filter_card_is_one_tile_enlarged_and_centred():
    tiles = np.random.default_rng(0).integers(1, 256, (3, 7, 7, 3), dtype=np.uint8)
    filters = FirstLayerFilters("conv1", np.zeros((3, 3, 7, 7), np.float32), tiles, np.ones(3, np.float32))
    found = rgb(filter_card(filters, 1, 64))
    assert found.shape == (64, 64, 3)
    np.testing.assert_array_equal(found[0:63, 0:63], tiles[1].repeat(9, 0).repeat(9, 1))
    assert (found[63] >= 254).all()


def test_pictures_are_png_files():
    with Image.open(io.BytesIO(map_over_image(IMAGE, np.ones((2, 2)))[0])) as picture:
        assert picture.format == "PNG" and picture.size == (448, 448)
