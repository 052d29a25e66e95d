"""The wall of Zeiler and Fergus: where each patch stands, and that patches keep their pixels."""

import numpy as np
import pytest

from cnnviz.figures.base.colors import GUTTER
from cnnviz.figures.patches.wall import (
    EMPTY,
    GAP,
    crisp_side,
    fit_nine,
    fit_tile,
    pair_cells,
    reconstruction_rgb,
    three_by_three,
)

SIDE = 12


def patch(seed: int, high: int = 6, wide: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (high, wide, 3), dtype=np.uint8)


def nine(seed: int) -> list[np.ndarray]:
    return [patch(seed * 100 + i) for i in range(9)]


def doubled(pixels: np.ndarray) -> np.ndarray:
    return pixels.repeat(2, 0).repeat(2, 1)


def test_three_by_three_stands_in_reading_order_with_gaps_between():
    patches = nine(0)
    found = three_by_three(patches, SIDE)
    assert found.shape == (3 * SIDE + 2 * GAP, 3 * SIDE + 2 * GAP, 3)
    for place in range(9):
        top, left = (place // 3) * (SIDE + GAP), (place % 3) * (SIDE + GAP)
        np.testing.assert_array_equal(found[top : top + SIDE, left : left + SIDE], doubled(patches[place]))
        assert (found[top : top + SIDE, left + SIDE : left + SIDE + GAP] >= 254).all()


def test_missing_patches_are_pale():
    found = three_by_three(nine(0)[:4], SIDE)
    assert (found[2 * (SIDE + GAP) :][:, :SIDE] == EMPTY).all()
    assert (three_by_three(None, SIDE)[:SIDE, :SIDE] == EMPTY).all()


def test_an_atlas_s_block_holds_patches_left_and_projections_right_or_pale_cells():
    patches, low = [fit_nine(nine(n), SIDE) for n in (0, 1)], [fit_nine(nine(7), SIDE), None]
    blocks = pair_cells(patches, low)
    assert blocks.shape == (2, 3, 6, SIDE, SIDE, 3)
    for place in range(9):
        row, column = divmod(place, 3)
        for number in (0, 1):
            np.testing.assert_array_equal(blocks[number, row, column], doubled(nine(number)[place]))
        np.testing.assert_array_equal(blocks[0, row, column + 3], doubled(nine(7)[place]))
        assert (blocks[1, row, column + 3] == EMPTY).all()


@pytest.mark.parametrize("high, wide", [(5, 5), (5, 3), (3, 5), (12, 12), (1, 1)])
def test_small_patches_are_enlarged_by_a_whole_multiple_and_centred(high, wide):
    tile, small = fit_tile(patch(0, high, wide), SIDE), patch(0, high, wide)
    factor = SIDE // max(high, wide)
    top, left = (SIDE - high * factor) // 2, (SIDE - wide * factor) // 2
    expected = np.full((SIDE, SIDE, 3), GUTTER, np.uint8)
    expected[top : top + high * factor, left : left + wide * factor] = small.repeat(factor, 0).repeat(factor, 1)
    np.testing.assert_array_equal(tile, expected)


def test_large_patches_are_reduced_by_block_means_and_keep_their_shape():
    large = patch(0, 48, 24)
    tile = fit_tile(large, SIDE)
    means = large.reshape(12, 4, 6, 4, 3).mean(axis=(1, 3))
    assert np.abs(tile[:, 3:9].astype(float) - means).max() <= 1
    assert (tile[:, :3] >= 254).all() and (tile[:, 9:] >= 254).all()


@pytest.mark.parametrize(
    "field, side", [((7, 7), 63), ((11, 11), 66), ((3, 5), 65), ((40, 40), 80), ((64, 64), 64), ((195, 195), 64)]
)
def test_a_crisp_side_is_a_whole_multiple_of_the_field_near_what_was_wanted(field, side):
    assert crisp_side(field, (224, 224), 64) == side


def test_a_field_larger_than_the_image_counts_as_the_image():
    assert crisp_side((500, 500), (28, 28), 64) == 56


def test_a_reconstruction_is_mid_gray_where_it_is_zero_and_keeps_its_sign():
    signal = np.zeros((3, 4, 5), np.float32)
    signal[0, 1, 2], signal[2, 3, 4] = 2.0, -2.0
    found = reconstruction_rgb(signal)
    assert found.shape == (4, 5, 3)
    assert found[0, 0].tolist() == [128, 128, 128]
    assert found[1, 2].tolist() == [255, 128, 128] and found[3, 4, 2] < 10


def test_full_contrast_is_the_995th_percentile_of_the_magnitude():
    signal = np.linspace(-1, 1, 3 * 20 * 20, dtype=np.float64).reshape(3, 20, 20)
    ranked = sorted(abs(v) for v in signal.ravel())
    peak = ranked[round(0.995 * (len(ranked) - 1))]
    expected = np.clip(128 + 127 * signal / peak, 0, 255).transpose(1, 2, 0)
    assert np.abs(reconstruction_rgb(signal) - expected).max() <= 1


@pytest.mark.parametrize("channels", [1, 4])
def test_a_reconstruction_that_is_not_rgb_is_gray(channels):
    found = reconstruction_rgb(np.random.default_rng(0).normal(size=(channels, 4, 4)))
    assert found.shape == (4, 4, 3) and (found == found[:, :, :1]).all()


def test_a_reconstruction_of_nothing_is_gray():
    assert (reconstruction_rgb(np.zeros((3, 4, 4))) == 128).all()
    assert reconstruction_rgb(np.zeros((3, 0, 0))).shape == (0, 0, 3)
