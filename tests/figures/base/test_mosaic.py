"""Mosaics: geometry that can be clicked, pixels that are pixels, captions beside the tiles, never on them."""

import numpy as np
import pytest
from readpng import cell, rgb

from cnnviz.figures.base.colors import GUTTER, LETTER, viridis
from cnnviz.figures.base.mosaic import CAPTIONED, STRETCH, maps_mosaic, plan_grid, tiles_mosaic

SIZES = [(16, 8, 8), (6, 28, 28), (64, 55, 55), (10, 1, 1), (1, 13, 13), (5, 6, 20), (12, 224, 224), (3, 500, 700)]


def colours(picture: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(map(int, colour)) for colour in np.unique(picture.reshape(-1, 3), axis=0)}


def maps(shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def colour(value: float, peak: float) -> np.ndarray:
    """Viridis in the mosaic's steps: every second of 256 colours, so that gutter and ink have room."""
    level = round(max(value, 0) / peak * 255)
    return viridis()[255] if level >= 252 else viridis()[level - level % 2]


@pytest.mark.parametrize("shape", SIZES)
def test_tiles_lie_inside_the_picture_and_apart(shape):
    mosaic = maps_mosaic(maps(shape))
    picture = rgb(mosaic.png)
    assert mosaic.size == (picture.shape[1], picture.shape[0])
    taken = np.zeros(picture.shape[:2], int)
    for item in mosaic.items:
        left, top, width, height = mosaic.box(item)
        assert left >= 0 and top >= 0 and left + width <= mosaic.size[0] and top + height <= mosaic.size[1]
        taken[top : top + height, left : left + width] += 1
    assert taken.max() == 1


def test_what_is_not_shown_has_no_box():
    mosaic = maps_mosaic(maps((5, 8, 8)))
    assert mosaic.box(5) is None and mosaic.box(4)[2:] == (mosaic.tile[1], mosaic.tile[0])


@pytest.mark.parametrize("shape", [(16, 8, 8), (6, 28, 28), (5, 6, 20), (10, 1, 1)])
@pytest.mark.parametrize("scale", ["common", "each"])
def test_every_tile_is_its_map_enlarged_by_a_whole_multiple(shape, scale):
    values = maps(shape)
    mosaic = maps_mosaic(values, scale=scale)
    factor, rest = divmod(mosaic.tile[0], shape[1])
    assert rest == 0 and mosaic.tile == (shape[1] * factor, shape[2] * factor) and factor >= 1
    for item in range(0, shape[0], 3):
        peak = values.max() if scale == "common" else max(values[item].max(), 1e-12)
        found = cell(mosaic.png, mosaic.box(item))
        for row, col in np.ndindex(shape[1:]):
            block = found[row * factor : (row + 1) * factor, col * factor : (col + 1) * factor]
            assert (block == colour(float(values[item, row, col]), float(peak))).all()


def test_maps_too_large_for_their_cell_keep_every_peak():
    values = np.zeros((12, 100, 130), np.float32)
    rng = np.random.default_rng(0)
    spots = {item: (int(rng.integers(100)), int(rng.integers(130))) for item in range(12)}
    for item, spot in spots.items():
        values[item][spot] = 1.0
    mosaic = maps_mosaic(values, width=300, height=300)
    high, wide = mosaic.tile
    assert max(high, wide) < 130
    block = -(-130 // wide)
    for item, (row, col) in spots.items():
        found = cell(mosaic.png, mosaic.box(item))
        lit = np.argwhere((found != viridis()[0]).any(axis=2))
        assert lit.tolist() == [[row // block, col // block]]
        assert (found[row // block, col // block] == viridis()[255]).all()


def test_common_scale_shows_weak_maps_weak_and_each_scale_does_not():
    values = np.ones((4, 6, 6), np.float32)
    values[2] = 0.25
    weak = {s: cell(m.png, m.box(2))[0, 0].tolist() for s in ("common", "each") for m in [maps_mosaic(values, scale=s)]}
    assert weak == {"common": viridis()[64].tolist(), "each": viridis()[255].tolist()}


def test_negative_values_silent_maps_and_nan_show_as_zero():
    values = maps((3, 5, 5))
    values[0], values[1], values[2] = -1, 0, np.nan
    for scale in ("common", "each"):
        mosaic = maps_mosaic(values, scale=scale)
        for item in range(3):
            assert (cell(mosaic.png, mosaic.box(item)) == viridis()[0]).all()


def test_channels_are_shown_in_the_order_asked_for():
    values = maps((8, 6, 6))
    mosaic = maps_mosaic(values, channels=[5, 0, 7], scale="each")
    assert mosaic.items == [5, 0, 7] and mosaic.box(1) is None
    alone = maps_mosaic(values[5:6], scale="each")
    lit = [np.unique(cell(m.png, m.box(i)).reshape(-1, 3), axis=0) for m, i in ((mosaic, 5), (alone, 0))]
    np.testing.assert_array_equal(*lit)


@pytest.mark.parametrize("count, shape", [(16, (8, 8)), (CAPTIONED, (6, 6)), (40, (1, 1))])
def test_captions_are_there_and_touch_no_tile(count, shape):
    tiles = np.full((count, *shape, 3), 90, np.uint8)
    plain = tiles_mosaic(tiles, captions=False)
    mosaic = tiles_mosaic(tiles)
    picture = rgb(mosaic.png).copy()
    for item in mosaic.items:
        left, top, width, height = mosaic.box(item)
        assert (picture[top : top + height, left : left + width] == 90).all()
        caption = picture[top + height : top + mosaic.pitch[0], left : left + mosaic.pitch[1]]
        assert (caption == LETTER).all(axis=2).any(), f"no caption under {item}"
        picture[top : top + height, left : left + width] = GUTTER
    assert colours(picture) == {LETTER, GUTTER}
    assert colours(rgb(plain.png)) == {(90, 90, 90), GUTTER}


def test_captions_of_different_numbers_differ():
    mosaic = tiles_mosaic(np.full((12, 9, 9, 3), 90, np.uint8), items=list(range(100, 112)))
    picture, seen = rgb(mosaic.png), set()
    for item in mosaic.items:
        left, top, _width, height = mosaic.box(item)
        seen.add(picture[top + height : top + mosaic.pitch[0], left : left + mosaic.pitch[1]].tobytes())
    assert len(seen) == 12


def captions(mosaic) -> list[bytes]:
    """Which pixels under each tile are ink, without the paper around them."""
    picture, found = rgb(mosaic.png), []
    for item in mosaic.items:
        left, top, _width, height = mosaic.box(item)
        ink = (picture[top + height : top + mosaic.pitch[0], left : left + mosaic.pitch[1]] != GUTTER).any(axis=2)
        columns = np.flatnonzero(ink.any(axis=0))
        found.append(ink[:, columns[0] : columns[-1] + 1].tobytes())
    return found


def test_captions_wider_than_their_tiles_are_whole():
    tiles, items = np.full((12, 60, 2, 3), 90, np.uint8), list(range(2008, 2020))
    narrow, roomy = tiles_mosaic(tiles, items, width=100, height=260), tiles_mosaic(tiles, items, 2000, 2000)
    assert narrow.tile[1] < 10 < roomy.tile[1]
    assert captions(narrow) == captions(roomy)


@pytest.mark.parametrize("channels", [1, 3])
def test_filter_tiles_are_enlarged_by_a_whole_multiple_and_not_recoloured(channels):
    tiles = np.random.default_rng(0).integers(0, 256, (10, 7, 5, channels), dtype=np.uint8)
    mosaic = tiles_mosaic(tiles, width=400, height=300)
    factor = mosaic.tile[0] // 7
    assert mosaic.tile == (7 * factor, 5 * factor) and factor > 1
    for item in range(10):
        expected = np.broadcast_to(tiles[item].repeat(factor, 0).repeat(factor, 1), (7 * factor, 5 * factor, 3))
        np.testing.assert_array_equal(cell(mosaic.png, mosaic.box(item)), expected)


def test_a_crowd_of_tiles_is_shown_without_captions():
    tiles = np.full((CAPTIONED + 1, 6, 6, 3), 90, np.uint8)
    assert colours(rgb(tiles_mosaic(tiles).png)) == {(90, 90, 90), GUTTER}
    crowd = maps_mosaic(maps((CAPTIONED + 1, 6, 6)))
    assert (rgb(crowd.png) != LETTER).any(axis=2).all()


ROOMS = [(64, 55, 55), (16, 14, 14), (256, 13, 13), (96, 109, 109), (6, 24, 24), (512, 7, 7), (1000, 1, 1), (20, 9, 31)]


@pytest.mark.parametrize("shape", ROOMS)
def test_a_wall_keeps_to_the_width_and_nearly_to_the_height_it_was_given(shape):
    mosaic = maps_mosaic(maps(shape), width=880, height=640)
    assert mosaic.size[0] <= 881 and mosaic.size[1] <= STRETCH * 640 + 1


@pytest.mark.parametrize("shape", ROOMS)
def test_no_other_number_of_columns_would_fit_larger_tiles(shape):
    count, captions = shape[0], shape[0] <= CAPTIONED
    columns, side = plan_grid(count, shape[1:], 880, 640, captions)
    gap, longer = 16 if captions else 2, max(shape[1:])

    def fits(other: int, at: int) -> bool:
        wide, high = at * shape[2] / longer + 2, at * shape[1] / longer + gap
        return other * wide <= 880 and -(-count // other) * high <= 640

    larger = (side // longer + 1) * longer if side >= longer else side + 2
    assert 1 <= columns <= count
    assert not any(fits(other, larger) for other in range(1, count + 1))
