"""What a network received, enlarged; and a pixel of the picture leads back to its unit."""

import io

import numpy as np
import pytest
from PIL import Image
from readpng import rgb

from cnnviz.figures.base.colors import signed_rgb
from cnnviz.figures.base.overlay import filter_card, input_picture, scale_box, signed_map, to_rgb, unit_at
from cnnviz.probes.filters import FirstLayerFilters

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(4, 4), (8, 8), (7, 7), (13, 13), (32, 32), (1, 1), (5, 9)])
@pytest.mark.parametrize("size", [(32, 32), (28, 28), (224, 224), (20, 44)])
def test_a_pixel_leads_to_the_unit_whose_share_of_the_picture_it_lies_in(shape, size):
    png, (width, height) = input_picture(np.full((*size, 3), 200, np.uint8), False)
    assert rgb(png).shape == (height, width, 3)
    for y in range(0, height, 11):
        for x in range(0, width, 7):
            row, col = unit_at(x + 0.5, y + 0.5, shape, size)
            assert row * height <= (y + 0.5) * shape[0] <= (row + 1) * height
            assert col * width <= (x + 0.5) * shape[1] <= (col + 1) * width


def test_points_on_or_past_the_edge_lead_to_the_nearest_unit():
    assert unit_at(-3, -3, (4, 4), (32, 32)) == (0, 0)
    assert unit_at(448, 9999, (4, 4), (32, 32)) == (3, 3)


def test_an_input_is_shown_as_it_is_and_nearly_white_for_a_silent_channel():
    shown, silent = (rgb(input_picture(IMAGE, pale)[0]).astype(int) for pale in (False, True))
    np.testing.assert_array_equal(shown, IMAGE.repeat(14, 0).repeat(14, 1))
    assert silent.min() > 180 and abs(silent - shown).mean() > 30  # dark words stand on it


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
    with Image.open(io.BytesIO(input_picture(IMAGE, False)[0])) as picture:
        assert picture.format == "PNG" and picture.size == (448, 448)
