"""Pictures of pooling invariance: marks where units changed, shares as they were given, responses of Fig. 9.9."""

import numpy as np
import pytest
from readpng import rgb

from cnnviz.figures.base.colors import NEUTRAL, viridis
from cnnviz.figures.base.scene import Box, Scene, Text
from cnnviz.figures.base.text import text_width
from cnnviz.figures.pooling import charts as pooling_charts
from cnnviz.figures.pooling import panels as pooling_panels
from cnnviz.figures.pooling import poses as pooling_poses
from cnnviz.figures.pooling import sizes as pooling_sizes
from cnnviz.figures.pooling.panels import CAPTION, CHANGED, GAP, SAME, SIDE, SILENT, MapPair
from cnnviz.studies.pooling.global_pooling import GlobalPooling, SizeRun
from cnnviz.studies.pooling.maxout import learned_invariance
from cnnviz.studies.pooling.pooling import pool_channels

PHOTO = np.full((28, 28, 1), 90, np.uint8)
CORNER = np.array(((1, 1, 1), (1, -1, -1), (1, -1, -1)), float)
LEFT = pooling_panels.PHOTO + pooling_panels.BETWEEN


def pair(side: int) -> MapPair:
    """One unit changed at (0, 1), one silent at (1, 0), the rest unchanged."""
    first = np.ones((side, side))
    same, active = np.ones((side, side), bool), np.ones((side, side), bool)
    same[0, 1], active[1, 0] = False, False
    return MapPair(first, first * 2, same, active)


def words(scene: Scene) -> list[str]:
    return [shape.text for shape in scene.shapes if isinstance(shape, Text)]


def test_units_are_marked_as_same_changed_or_silent():
    drawn = pooling_panels.rows_strip(PHOTO, PHOTO, [("before", "4×4", pair(4)), ("after", "2×2", pair(2))])
    pixels = rgb(drawn.png)
    left = LEFT + 2 * (SIDE + GAP)
    for top, side in ((CAPTION, 4), (2 * CAPTION + SIDE + 4, 2)):
        pitch = SIDE // side
        cells = pixels[top + pitch // 2 : top + SIDE : pitch, left + pitch // 2 : left + SIDE : pitch]
        assert tuple(cells[0, 1]) == CHANGED and tuple(cells[1, 0]) == SILENT and tuple(cells[1, 1]) == SAME
    assert drawn.size == pixels.shape[1::-1]
    assert all(0 <= x < drawn.size[0] and 0 <= y < drawn.size[1] for x, y, _, _ in drawn.words)
    assert "before: changed units" in {text for *_, text in drawn.words}


def test_both_maps_of_a_row_share_one_scale_from_zero():
    pixels = rgb(pooling_panels.rows_strip(PHOTO, PHOTO, [("before", "4×4", pair(4))]).png)
    assert tuple(pixels[CAPTION + 5, LEFT + 5]) == tuple(viridis()[128])  # 1 of 2
    assert tuple(pixels[CAPTION + 5, LEFT + SIDE + GAP + 5]) == tuple(viridis()[-1])


def test_channels_without_location_are_laid_out_as_a_table_and_the_rest_is_gray():
    table = pooling_panels.fold_channels(np.arange(5.0))
    assert table.shape == (2, 3) and table[1, 1] == 4 and np.isnan(table[1, 2])
    assert not pooling_panels.fold_channels(np.ones(5, bool))[1, 2]
    shown = MapPair(table, table, table == table, table == table)
    pixels = rgb(pooling_panels.rows_strip(PHOTO, PHOTO, [("after", "5 channels", shown)]).png)
    cell = SIDE // 3
    assert tuple(pixels[CAPTION + cell + 5, LEFT + 2 * cell + 5]) == NEUTRAL


def test_four_poolings_stand_in_columns_no_higher_than_their_maps():
    columns = [(name, "50 % unchanged", pair(20)) for name in ("maximum", "average", "L2", "stochastic")]
    drawn = pooling_panels.columns_strip(columns)
    assert drawn.size == rgb(drawn.png).shape[1::-1] == (4 * 150 + 3 * GAP, 2 * CAPTION + 2 * 140 + 6)
    assert [text for *_, text in drawn.words][::2] == ["maximum", "average", "L2", "stochastic"]


def test_shares_are_drawn_in_percent_with_rings_at_the_chosen_shift():
    offsets = np.arange(4)
    figure = pooling_charts.shares_figure(offsets, np.array([1, 0.5, 0.25, 0]), np.array([1, 0.75, 0.5, 0]), 2)
    before, after, *rings = figure.data
    assert list(before.y) == [100, 50, 25, 0] and list(after.y) == [100, 75, 50, 0]
    assert [(ring.x[0], ring.y[0]) for ring in rings] == [(2, 25), (2, 50)]
    assert len(pooling_charts.shares_figure(offsets, offsets / 3, offsets / 3, 9).data) == 2


def test_all_layers_are_rows_whose_names_can_be_clicked():
    figure = pooling_charts.layers_figure(["pool1", "pool2"], [0.36, 0.08], [0.36, 0.30], "pool2")
    assert [list(bar.y) for bar in figure.data] == [["pool1", "pool2"]] * 2
    assert list(figure.data[1].x) == [36, 30] and list(figure.data[1].text) == ["36 %", "30 %"]
    assert figure.layout.yaxis.ticktext[0] == "pool1" and "<b>" in figure.layout.yaxis.ticktext[1]


def test_location_is_drawn_for_flat_average_and_maximum_and_rounding_is_zero():
    found = GlobalPooling("c", np.zeros((2, 2)), np.array([0.4, 1.2]), np.array([1e-7, 0.2]), np.array([0.0, 0.1]))
    figure = pooling_charts.location_figure(np.arange(2), found, 1)
    assert [list(line.y) for line in figure.data] == [[40, 120], [0, 20], [0, 10]]
    assert figure.layout.shapes[0].x0 == 1


def test_the_maximum_over_four_poses_is_the_same_and_over_fewer_it_is_not():
    found = learned_invariance(CORNER, np.pad((CORNER > 0) * 1.0, 1))
    slow = np.array([[(np.rot90(CORNER, f) * np.rot90(CORNER > 0, p)).sum() for f in range(4)] for p in range(4)])
    assert found.responses.tolist() == slow.tolist() and (slow.max(1) == 5).all()
    said = words(pooling_poses.poses_scene(found, 4, found.pooled))
    assert said.count("5") == 4 + 4 and "The maximum is the same for all four pictures." in said
    two = pool_channels(found.responses.T[:2])[0]
    assert any("Over 2 of 4 poses" in line for line in words(pooling_poses.poses_scene(found, 2, two)))


@pytest.mark.parametrize("wide", [1070, 690])
def test_nothing_of_poses_and_sizes_reaches_over_the_edge(wide):
    found = learned_invariance(CORNER, np.pad((CORNER > 0) * 1.0, 1))
    shapes = {n: None if n < 20 else (64, n // 4, n // 4) for n in (16, 24, 32, 40, 48)}
    runs = [SizeRun((n, n), shapes[n], "Egyptian cat" if n == 32 else None, 0.5, "too") for n in shapes]
    sizes = pooling_sizes.sizes_scene([("ResNet-20 (CIFAR)", "one size only", runs)] * 2, wide)
    two = pool_channels(found.responses.T[:2])[0]
    poses = [pooling_poses.poses_scene(found, 4, found.pooled, wide), pooling_poses.poses_scene(found, 2, two, wide)]
    for scene in (*poses, sizes):
        for shape in scene.shapes:
            if isinstance(shape, Text):
                half = text_width(shape.text, shape.size, shape.bold) / (1 if shape.anchor == "start" else 2)
                left = shape.x if shape.anchor == "start" else shape.x - half
                assert left >= 0 and shape.x + half <= scene.width and 0 < shape.y < scene.height
            if isinstance(shape, Box):
                assert shape.x >= 0 and shape.x + shape.width <= scene.width + 1 and shape.y >= 0
    assert words(sizes).count("does not run") == 8 and words(sizes).count("no map") == 2


def test_which_sizes_run_is_said_with_the_reason():
    fine, fails = SizeRun((8, 8), (4, 2, 2), "cat", 0.9), SizeRun((9, 9), (4, 3, 3), None, None, "Too many values.")
    assert pooling_sizes.sizes_sentence("A", [fine, fine]) == "A runs on all 2 sizes."
    assert pooling_sizes.sizes_sentence("B", [fine, fails]) == "B runs on 1 of 2 sizes. Too many values."
