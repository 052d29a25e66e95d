"""Pictures and words of equivariance, against formulas: black is zero, marks stand at multiples of the stride."""

import math

import numpy as np
import pytest
from readpng import rgb

from cnnviz.figures.base.colors import NEUTRAL, viridis
from cnnviz.figures.equivariance import charts, panels, words
from cnnviz.studies.equivariance.shift import EXACT, ShiftMap

LEFTS = [panels.PHOTO + panels.BETWEEN + n * (panels.SIDE + panels.GAP) for n in range(3)]
PHOTO = np.full((32, 32, 3), 90, np.uint8)


def panel(drawn: panels.Strip, number: int) -> np.ndarray:
    """The pixels of the first, second or third map."""
    left = LEFTS[number]
    return rgb(drawn.png)[panels.CAPTION : panels.CAPTION + panels.SIDE, left : left + panels.SIDE]


def test_the_difference_is_black_exactly_where_both_maps_are_equal():
    moved = np.arange(16.0).reshape(4, 4)
    after = moved.copy()
    after[1, 2] += 15  # as much as the peak of the first
    drawn = panels.shift_strip(PHOTO, PHOTO, moved, after)
    cells = panel(drawn, 2)[36::72, 36::72]
    changed = cells.any(axis=2)
    assert changed.sum() == 1 and changed[1, 2]
    assert (panel(drawn, 1)[36::72, 36::72][1, 2] == viridis()[-1]).all()
    assert drawn.size == rgb(drawn.png).shape[1::-1] == panels.SIZE


def test_rounding_stays_black_and_both_maps_share_one_scale():
    moved = np.linspace(0, 8, 64).reshape(8, 8)
    drawn = panels.shift_strip(PHOTO, PHOTO, moved, moved * (1 + 1e-6))
    assert not panel(drawn, 2).any()
    half = panels.shift_strip(PHOTO, PHOTO, moved, moved / 2)
    assert (panel(half, 1)[-1, -1] == viridis()[128]).all()


def test_what_cannot_be_compared_is_gray():
    known = np.ones((4, 4), bool)
    known[0] = False
    cells = panel(panels.shift_strip(PHOTO, PHOTO, np.ones((4, 4)), np.ones((4, 4)), known), 2)[36::72, 36::72]
    assert (cells[0] == NEUTRAL).all() and not cells[1:].any()


@pytest.mark.parametrize(("side", "drawn"), [(32, 288), (7, 287), (55, 275), (224, 224), (300, 150), (1, 288)])
def test_maps_are_enlarged_by_whole_multiples_and_large_ones_reduced(side, drawn):
    assert panels.fit_map(np.zeros((side, side, 3), np.uint8), 288).shape == (drawn, drawn, 3)


def test_words_stand_inside_the_picture():
    drawn = panels.shift_strip(PHOTO, PHOTO, np.zeros((4, 4)), np.zeros((4, 4)))
    assert all(0 <= left < panels.SIZE[0] and 0 <= top < panels.SIZE[1] for left, top, _w, _t in drawn.words)


def test_percents_call_rounding_zero_and_leave_out_what_is_not_finite():
    found = charts.to_percent([0.0, EXACT / 2, 0.25, math.inf, math.nan])
    np.testing.assert_array_equal(found, [0, 0, 25, np.nan, np.nan])
    assert charts.EXACT == EXACT


@pytest.mark.parametrize(
    ("first", "last", "stride", "marks"),
    [
        (0, 8, 4.0, [0, 4, 8]),
        (-5, 5, 2.0, [-4, -2, 0, 2, 4]),
        (0, 3, 8.0, [0]),
        (0, 8, 0.0, []),
        (0, 5, 2.5, [0, 2.5, 5]),
    ],
)
def test_marks_stand_at_the_multiples_of_the_stride(first, last, stride, marks):
    assert charts.stride_marks(np.arange(first, last + 1), stride) == marks


def test_the_curve_has_a_line_at_every_multiple_and_a_ring_at_the_chosen_shift():
    offsets, errors = np.arange(9), np.where(np.arange(9) % 4 == 0, 1e-7, 0.3)
    figure = charts.curve_figure(offsets, errors, None, 4.0, chosen=5)
    assert [shape.x0 for shape in figure.layout.shapes] == [0, 4, 8]
    assert list(figure.data[0].y) == [0, 30, 30, 30, 0, 30, 30, 30, 0]
    assert list(figure.data[1].x) == [5] and list(figure.data[1].y) == [30]


def test_layers_are_coloured_by_their_stride_and_keep_their_order():
    names, strides = ["conv1", "layer2.0", "layer2.1", "fc"], [1.0, 2.0, 2.0, 0.0]
    figure = charts.layers_figure(names, strides, [0.1, 0.2, math.nan, 0.4], "layer2.0")
    *bars, empty, frame = figure.data
    assert list(empty.x) == ["layer2.1"] and empty.name == "nothing to compare"
    groups = {bar.name: list(bar.x) for bar in bars}
    assert groups == {"no location": ["fc"], "stride 1": ["conv1"], "stride 2": ["layer2.0", "layer2.1"]}
    assert list(figure.layout.xaxis.categoryarray) == names
    assert list(frame.x) == ["layer2.0"] and list(frame.y) == [20] and frame.marker.line.width == 3


def test_the_map_of_shifts_writes_zero_on_the_lattice_and_frames_the_chosen_shift():
    offsets = np.arange(-4, 5)
    down, right = np.meshgrid(offsets, offsets, indexing="ij")
    errors = np.where((down % 2 == 0) & (right % 2 == 0), 0.0, 0.4)
    found = ShiftMap("a", (2.0, 2.0), offsets, errors, errors, errors * np.nan, errors * np.nan, "torus", "circular")
    figure = charts.map_figure(found, False, (1, -2))
    zeros = {(y, x) for y, x in zip(figure.data[1].y, figure.data[1].x, strict=True)}
    assert zeros == {(y, x) for y in (-4, -2, 0, 2, 4) for x in (-4, -2, 0, 2, 4)}
    assert list(figure.data[2].y) == [0, 40] * 4 + [0] == list(figure.data[3].y)
    marks, box = figure.layout.shapes[:-1], figure.layout.shapes[-1]
    assert {(m.xref, m.x0) for m in marks} == {(x, d) for x in ("x2", "x3") for d in (-4, -2, 0, 2, 4)}
    assert (box.x0, box.x1, box.y0, box.y1) == (-2.5, -1.5, 0.5, 1.5)
    assert not [s for s in charts.map_figure(found, True, (9, 0)).layout.shapes if s.type == "rect"]


def test_answers_and_transforms_are_drawn_in_percent():
    shares = np.array([[0.9, 0.1], [0.4, 0.6]])
    figure = charts.wobble_figure(np.array([0, 1]), shares, ["cat", "dog"])
    assert [list(line.y) for line in figure.data] == [[90, 40], [10, 60]] and figure.data[1].name == "dog"
    figure = charts.beyond_figure(["turn 90°", "scale 0.9"], [0.5, 0.2], [0.0, 0.05], "turn 90°")
    assert list(figure.data[0].y) == [50, 20] and list(figure.data[1].y) == [0, 5]


def test_sentences_say_zero_nothing_and_the_nearest_unit():
    assert words.error_text(1e-7).startswith("0 ") and words.error_text(0.432) == "43.2 %"
    assert words.error_text(math.nan) == "nothing to compare"
    assert "no multiple" in words.shift_sentence((0, 1), (0, 1), (2.0, 2.0), 0.5, math.nan)
    assert "no multiple" not in words.shift_sentence((0, 2), (0, 1), (2.0, 2.0), 0.0, math.nan)
    assert "no location" in words.shift_sentence((0, 2), (0, 0), (0.0, 0.0), 0.1, math.nan)
    assert words.changed_sentence(0.25, 8).endswith("under 2 of 8 shifts.")


def test_the_table_tells_what_was_measured_from_what_was_published():
    measured = {"tiny": (0.8, 0.1, 0.05, lambda share: share / 10, 50)}
    table = words.consistency_table(measured, [("VGG16", 88.52, 71.59)], ("InceptionResNetV2", 28.0))
    assert table["network"] == ["tiny", "VGG16", "InceptionResNetV2"]
    assert table["consistency"] == ["80.0 ± 8.0 %", "88.52 %", ""] and "28 %" in table["images"][2]
    assert table["P(top-1 changes)"] == ["10.0 ± 1.0 %", "", ""] and "50, measured" in table["images"][0]


@pytest.mark.parametrize("shape, pixel", [((32, 32, 3), 4), ((224, 224, 3), 128 / 224), ((20, 10, 1), 6)])
def test_the_strip_says_where_its_photographs_are_and_how_large_their_pixels(shape, pixel):
    before, shifted = np.full(shape, 10, np.uint8), np.full(shape, 200, np.uint8)
    drawn = panels.shift_strip(before, shifted, np.zeros((4, 4)), np.zeros((4, 4)))
    canvas = rgb(drawn.png)
    for (left, top, width, height), value in ((drawn.image, 10), (drawn.shifted, 200)):
        assert (canvas[top : top + height, left : left + width] == value).all()
        assert (width, height) == (pytest.approx(pixel * shape[1]), pytest.approx(pixel * shape[0]))
        assert not (canvas[top - 1, left] == value).all() and not (canvas[top + height, left] == value).all()
    assert drawn.pixel == pytest.approx(pixel)
