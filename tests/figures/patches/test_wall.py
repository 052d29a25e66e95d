"""The wall of Zeiler and Fergus: where each patch stands, and that patches keep their pixels."""

import numpy as np
import pytest
from readpng import rgb

from cnnviz.figures.patches.wall import (
    EMPTY,
    GAP,
    Block,
    crisp_side,
    fit_tile,
    list_captions,
    patch_wall,
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
        assert (found[top : top + SIDE, left + SIDE : left + SIDE + GAP] == 255).all()


def test_missing_patches_are_pale():
    found = three_by_three(nine(0)[:4], SIDE)
    assert (found[2 * (SIDE + GAP) :][:, :SIDE] == EMPTY).all()
    assert (three_by_three(None, SIDE)[:SIDE, :SIDE] == EMPTY).all()


def test_each_block_of_the_wall_holds_patches_left_and_reconstructions_right():
    blocks = [Block(channel, nine(channel), nine(channel + 50), f"channel {channel}") for channel in (7, 3, 12, 1, 5)]
    wall = patch_wall(blocks, 2, SIDE)
    picture = rgb(wall.png)
    assert wall.items == [7, 3, 12, 1, 5] and wall.size == (picture.shape[1], picture.shape[0])
    for block in blocks:
        left, top, width, height = wall.box(block.channel)
        found = picture[top : top + height, left : left + width]
        half = 3 * SIDE + 2 * GAP
        np.testing.assert_array_equal(found[:, :half], three_by_three(block.patches, SIDE))
        np.testing.assert_array_equal(found[:, -half:], three_by_three(block.reconstructions, SIDE))
        assert (picture[top + height : top + wall.pitch[0], left : left + width] < 128).any()  # the caption
        assert wall.item_at(left + width / 2, top + height / 2) == block.channel


def test_reconstructions_still_under_way_are_pale():
    wall = patch_wall([Block(0, nine(0), None, "channel 0")], 1, SIDE)
    left, top, width, _height = wall.box(0)
    assert (rgb(wall.png)[top : top + SIDE, left + width - SIDE : left + width] == EMPTY).all()


@pytest.mark.parametrize("high, wide", [(5, 5), (5, 3), (3, 5), (12, 12), (1, 1)])
def test_small_patches_are_enlarged_by_a_whole_multiple_and_centred(high, wide):
    tile, small = fit_tile(patch(0, high, wide), SIDE), patch(0, high, wide)
    factor = SIDE // max(high, wide)
    top, left = (SIDE - high * factor) // 2, (SIDE - wide * factor) // 2
    expected = np.full((SIDE, SIDE, 3), 255, np.uint8)
    expected[top : top + high * factor, left : left + wide * factor] = small.repeat(factor, 0).repeat(factor, 1)
    np.testing.assert_array_equal(tile, expected)


def test_large_patches_are_reduced_by_block_means_and_keep_their_shape():
    large = patch(0, 48, 24)
    tile = fit_tile(large, SIDE)
    means = large.reshape(12, 4, 6, 4, 3).mean(axis=(1, 3))
    assert np.abs(tile[:, 3:9].astype(float) - means).max() <= 1
    assert (tile[:, :3] == 255).all() and (tile[:, 9:] == 255).all()


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


def test_blocks_of_finished_pictures_make_the_same_wall():
    plain = [Block(i, nine(i), nine(i + 9) if i else None, f"channel {i}") for i in range(3)]
    ready = []
    for block in plain:
        low = block.reconstructions and three_by_three(block.reconstructions, SIDE)
        ready.append(Block(block.channel, three_by_three(block.patches, SIDE), low, block.caption))
    assert patch_wall(ready, 2, SIDE).png == patch_wall(plain, 2, SIDE).png


def test_captions_stand_below_their_blocks_and_leave_out_what_has_no_room():
    blocks = [Block(i, nine(i), None, f"channel {i} · a very long class name 3 of 9") for i in (5, 7, 8)]
    wall = patch_wall(blocks, 2, SIDE, captions=False)
    bare, written = rgb(wall.png), rgb(patch_wall(blocks, 2, SIDE).png)
    for block, (left, top, width, words) in zip(blocks, list_captions(wall, blocks), strict=True):
        assert words == f"channel {block.channel}"
        box = wall.box(block.channel)
        assert left == box[0] and top >= box[1] + box[3] and width >= box[2]
        below = slice(top, top + 16), slice(left, left + width)
        assert (bare[below] == 255).all() and not (written[below] == 255).all()
