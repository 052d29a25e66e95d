"""Atlases: every pixel against a slow loop, what levels mean, and how large maps are reduced."""

import numpy as np
import pytest
from readpng import rgb

from cnnviz.figures.base import atlas
from cnnviz.figures.base.atlas import Atlas, cells_atlas, filters_atlas, maps_atlas
from cnnviz.figures.base.colors import signed_palette, viridis


def tile(found: Atlas, number: int) -> np.ndarray:
    """The pixels of one tile, (h, w, 3), cut by hand."""
    sheet = rgb(found.png)
    high, wide = found.cells[0] * found.tile[0], found.cells[1] * found.tile[1]
    row, column = number // found.columns, number % found.columns
    assert (row + 1) * high <= sheet.shape[0] and (column + 1) * wide <= sheet.shape[1]
    return sheet[row * high : row * high + high, column * wide : column * wide + wide]


def maps(count: int, high: int, wide: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, high, wide)).astype(np.float32)


@pytest.mark.parametrize("scale", ["common", "each"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 5, 5), (12, 3, 8), (10, 9, 2), (120, 1, 1)])
def test_a_level_is_the_value_s_share_of_the_peak_in_255_steps(scale: str, shape: tuple[int, int, int]):
    values = maps(*shape)
    found = maps_atlas(values, None, scale)
    assert (found.tile, found.units, found.cells, found.block) == (shape[1:], shape[1:], (1, 1), 1)
    for number, single in enumerate(values):
        peak = max(float((single if scale == "each" else values).max()), 0.0)
        assert found.tops[number] == pytest.approx(peak)
        pixels = tile(found, number)
        for row in range(shape[1]):
            for col in range(shape[2]):
                level = round(max(float(single[row, col]), 0.0) / max(peak, 1e-12) * 255)
                assert (np.abs(pixels[row, col].astype(int) - level) <= 0).all()
    assert found.clipped == bool((values < 0).any())


def test_levels_tell_values_to_half_a_step():
    values = np.abs(maps(6, 11, 11))
    found = maps_atlas(values, None, "each")
    for number in range(6):
        told = tile(found, number)[..., 0] / 255 * found.tops[number]
        assert np.abs(told - values[number]).max() <= found.tops[number] / 510 * 1.001
    assert not found.clipped


def test_channels_are_chosen_in_order_and_keep_the_peak_of_all():
    values = np.abs(maps(5, 4, 4))
    values[3] *= 10
    found = maps_atlas(values, [4, 1], "common")
    assert len(found.tops) == 2 and set(found.tops) == {float(values[3].max())}
    assert np.array_equal(tile(found, 1)[..., 0], np.rint(values[1] / values[3].max() * 255))


def test_what_is_not_finite_and_what_is_silent_is_zero():
    values = np.stack([np.full((3, 3), np.nan), np.full((3, 3), -2.0), np.eye(3)])
    found = maps_atlas(values, None, "each")
    assert found.tops == [0.0, 0.0, 1.0]
    endless = maps_atlas(np.array([[[np.inf, 1.0]]], np.float32))
    assert np.isfinite(endless.tops[0]) and tile(endless, 0)[0, :, 0].tolist() == [255, 0]
    assert not tile(found, 0).any() and not tile(found, 1).any() and tile(found, 2)[1, 1, 0] == 255


@pytest.mark.parametrize("high, wide, most", [(10, 10, 150), (7, 11, 90), (9, 4, 20), (5, 5, 3)])
def test_large_maps_are_reduced_by_the_maximum_of_blocks_until_they_fit(monkeypatch, high, wide, most):
    monkeypatch.setattr(atlas, "MOST", most)
    values = maps(3, high, wide)
    found = maps_atlas(values, None, "each")
    side = found.block
    rows, cols = -(-high // side), -(-wide // side)
    assert found.tile == (rows, cols) and found.units == (high, wide)
    assert 3 * rows * cols <= max(most, 3)
    assert side == 1 or 3 * -(-high // (side - 1)) * -(-wide // (side - 1)) > most  # no smaller block would do
    for number in range(3):
        for row in range(rows):
            for col in range(cols):
                block = values[number, row * side : (row + 1) * side, col * side : (col + 1) * side]
                level = round(max(float(block.max()), 0) / float(values[number].max()) * 255)
                assert tile(found, number)[row, col, 0] == level


def test_the_first_layers_of_large_networks_fit_and_small_ones_stay_as_they_are():
    assert maps_atlas(np.zeros((64, 112, 112), np.float32)).block == 1
    found = maps_atlas(np.zeros((64, 224, 224), np.float32))
    assert found.block == 2 and found.tile == (112, 112) and found.units == (224, 224)


@pytest.mark.parametrize("channels, code", [(1, "signed"), (3, "rgb")])
def test_filters_keep_their_levels(channels: int, code: str):
    tiles = np.random.default_rng(1).integers(1, 256, (10, 5, 7, channels), np.uint8)
    found = filters_atlas(tiles, np.arange(10, dtype=np.float32))
    assert found.code == code and found.tops == [float(n) for n in range(10)] and found.units == (5, 7)
    for number in range(10):
        np.testing.assert_array_equal(tile(found, number), np.broadcast_to(tiles[number], (5, 7, 3)))


def test_cells_stand_side_by_side_and_are_what_is_pointed_at():
    cells = np.random.default_rng(2).integers(0, 256, (5, 3, 6, 4, 2, 3), np.uint8)
    found = cells_atlas(cells)
    assert (found.cells, found.units, found.tile, found.tops) == ((3, 6), (3, 6), (4, 2), [])
    for number in range(5):
        for row in range(3):
            for col in range(6):
                part = tile(found, number)[row * 4 : row * 4 + 4, col * 2 : col * 2 + 2]
                np.testing.assert_array_equal(part, cells[number, row, col])


def test_colours_of_levels_are_those_of_all_maps():
    assert np.array_equal(maps_atlas(maps(1, 2, 2)).palette, viridis())
    assert np.array_equal(filters_atlas(np.full((1, 2, 2, 1), 128, np.uint8), np.ones(1)).palette, signed_palette())
    assert cells_atlas(np.zeros((1, 3, 6, 2, 2, 3), np.uint8)).palette is None


def test_an_atlas_is_about_as_high_as_wide():
    for shape in ((512, 13, 13), (64, 4, 30), (30, 50, 2)):
        sheet = rgb(maps_atlas(maps(*shape)).png)
        assert 0.4 < sheet.shape[0] / sheet.shape[1] < 2.5, shape
