"""Windows and cuts against loops over pixels, also where the field leaves the image."""

import numpy as np
import pytest

from cnnviz.index.crops.cut import OUTSIDE, cut, window

BOXES = [
    (2, 3, 6, 8),
    (0, 0, 9, 11),
    (-3, 2, 2, 5),
    (7, 1, 12, 4),
    (4, -2, 6, 3),
    (1, 9, 4, 14),
    (-2, -3, 12, 13),
    (-5, 0, -1, 4),
    (9, 11, 12, 12),
    (3, 3, 3, 3),
]


def pixels(channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (9, 11, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("box", BOXES)
def test_cut_equals_a_loop_over_pixels(box, channels):
    image, (top, left, bottom, right) = pixels(channels), box
    found = cut(image, box)
    assert found.shape == (bottom - top, right - left, channels) and found.dtype == np.uint8
    for row in range(top, bottom):
        for col in range(left, right):
            inside = 0 <= row < 9 and 0 <= col < 11
            expected = image[row, col] if inside else OUTSIDE
            assert (found[row - top, col - left] == expected).all()


def test_what_lies_outside_takes_the_value_asked_for():
    signal = np.ones((4, 4, 3), np.float32)
    found = cut(signal, (-1, 0, 3, 5), fill=0.0)
    assert found.dtype == np.float32 and found.sum() == 3 * 4 * 3
    assert (found[0] == 0).all() and (found[:, 4] == 0).all()


def test_a_cut_is_a_copy():
    image = pixels()
    cut(image, (0, 0, 9, 11))[:] = 0
    assert image.any()


@pytest.mark.parametrize(
    "field, expected",
    [
        ((2, 3, 6, 8), (2, 3, 6, 8)),  # inside
        ((-3, -2, 2, 3), (-3, -2, 2, 3)),  # smaller than the image: keeps its size and leaves it
        ((7, 9, 12, 14), (7, 9, 12, 14)),
        ((-4, 2, 5, 7), (0, 2, 9, 7)),  # as high as the image: all of its height
        ((1, -6, 6, 9), (1, 0, 6, 11)),  # wider than the image: all of its width
        ((-30, -30, 40, 40), (0, 0, 9, 11)),
    ],
)
def test_a_window_keeps_small_fields_and_shows_the_whole_image_for_large_ones(field, expected):
    assert window(field, (9, 11)) == expected


def test_all_windows_of_a_layer_are_equally_large():
    sizes = set()
    for row in range(-5, 10):
        for col in range(-5, 12):
            top, left, bottom, right = window((row, col, row + 6, col + 14), (9, 11))
            sizes.add((bottom - top, right - left))
    assert sizes == {(6, 11)}
