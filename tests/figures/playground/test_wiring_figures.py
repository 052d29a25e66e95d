import numpy as np

from cnnviz.figures.base.scene import Box, Polyline, Text
from cnnviz.figures.playground.pooling import part_scene
from cnnviz.figures.playground.shift_test import shift_scene
from cnnviz.figures.playground.shrinking import shrinking_scene
from cnnviz.figures.playground.swap import swap_scene
from cnnviz.figures.playground.wiring import describe_unit, wirings_scene
from cnnviz.figures.pooling.bins import BinnedMap, bins_strip
from cnnviz.studies.convolution.commutation import swap_operands
from cnnviz.studies.convolution.wiring import KINDS, run_shift_test, tie_weights, wire_units
from cnnviz.studies.pooling.adaptive import adaptive_bins, adaptive_pool

WIRINGS = [wire_units(5, 3, kind) for kind in KINDS]


def test_every_wire_is_lit_by_both_its_ends():
    scene = wirings_scene(WIRINGS)
    wires = [shape.lit_by for shape in scene.shapes if isinstance(shape, Polyline)]
    assert len(wires) == 25 + 13 + 13 and wires.count("h3 x2") == 3 and wires.count("h3 x5") == 1
    units = {shape.item: shape.lit_by.split() for shape in scene.shapes if isinstance(shape, Box) and shape.item}
    assert set(units) == {f"{letter}{n}" for letter in "hx" for n in range(1, 6)}
    assert units["x3"] == ["x3", "h2", "h3", "h4"]  # of the convolution, which is drawn last
    assert 'data-lit-by="h3 x2"' in scene.svg()


def test_a_chosen_unit_keeps_its_wires_and_is_described():
    scene = wirings_scene(WIRINGS, "h3")
    strong = [s.lit_by for s in scene.shapes if isinstance(s, Polyline) and s.width > 2]
    assert sorted(strong) == sorted([f"h3 x{n}" for n in range(1, 6)] + 2 * ["h3 x2", "h3 x3", "h3 x4"])
    assert "dense: all 5; locally connected: x2, x3, x4; convolution: x2, x3, x4" in describe_unit(WIRINGS, "h3")
    assert "**x1** is read by" in describe_unit(WIRINGS, "x1")


def test_the_shift_test_says_whether_the_order_matters():
    free, row = np.random.default_rng(0).normal(size=(6, 6)), np.arange(6.0)
    for matrix, says in ((free, "not equivariant"), (tie_weights(free, 3), "No difference")):
        for width in (1070, 690):
            scene = shift_scene(matrix, run_shift_test(matrix, row, 2), width)
            texts = [shape.text for shape in scene.shapes if isinstance(shape, Text)]
            assert any(says in text for text in texts) and "−0" not in texts
            assert all(shape.x <= width for shape in scene.shapes if isinstance(shape, Text | Box))


def test_bars_stand_for_the_sides_of_the_maps():
    scene = shrinking_scene([32, 28, 24], [32, 32, 32], ("padding 0", "padding 2"))
    bars = [s for s in scene.shapes if isinstance(s, Box) and s.title]
    assert [bar.title for bar in bars[:3]] == ["32×32", "28×28", "24×24"]
    assert bars[2].height / bars[0].height == 24 / 32


def test_swapped_operands_are_judged_by_their_numbers():
    a, b = np.arange(9.0).reshape(3, 3), np.array([[0.0, 1], [2, 3]])
    for flip, says in ((True, "convolution commutes"), (False, "turned by 180°")):
        for width in (1070, 690):
            scene = swap_scene(a, b, swap_operands(a, b, flip), flip, width)
            assert any(says in s.text for s in scene.shapes if isinstance(s, Text))


def test_a_part_that_crosses_a_border_changes_two_maxima():
    from cnnviz.studies.pooling.pooling import pool

    grids = []
    for col in (1, 2, 3):
        grid = np.ones((4, 6))
        grid[1, col] = 9
        grids.append(grid)
    before = pool(grids[0], "max", 2)
    words = []
    for grid in grids:
        scene = part_scene(grid, pool(grid, "max", 2), before, 2)
        words.append(next(s.text for s in scene.shapes if isinstance(s, Text) and "changed" in s.text))
        assert sum(s.item.startswith("part:") for s in scene.shapes if isinstance(s, Box)) == 24
    assert words == ["no maximum changed", "2 of 6 maxima changed", "2 of 6 maxima changed"]


def test_the_frame_lies_around_the_units_of_the_bin():
    values = np.zeros((8, 8))
    bins = adaptive_bins(8, 3)
    one = BinnedMap(32, values, bins, bins, adaptive_pool(values, 3))
    assert one.overlaps and not BinnedMap(32, values, adaptive_bins(8, 2), adaptive_bins(8, 2), values).overlaps
    strip = bins_strip([one, one], (1, 1))
    assert [words[3] for words in strip.words][:2] == ["32 px: map 8×8", "pooled to 3×3"]
