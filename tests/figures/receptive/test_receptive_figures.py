"""Pictures of receptive fields: pixels where they belong, boxes on one scale, cones that hold every tap."""

import numpy as np
import pytest
from readpng import rgb

from cnnviz.figures.base.colors import viridis
from cnnviz.figures.base.scene import Box, Polyline, Text
from cnnviz.figures.base.text import text_width
from cnnviz.figures.receptive import cards
from cnnviz.figures.receptive import growth as growths
from cnnviz.figures.receptive import stacks as cones
from cnnviz.figures.receptive.canvas import (
    BAR,
    SIDE,
    heat_picture,
    padding_label,
    photo_picture,
    plan_canvas,
    zoom_canvas,
)
from cnnviz.studies.convolution.stacks import PRESETS, make_stack
from cnnviz.studies.receptive.effective import MeasuredField, gaussian
from cnnviz.studies.receptive.growth import EffectiveSize, Growth, LayerField

RED = np.full((32, 32, 3), (200, 10, 20), np.uint8)


def test_the_canvas_reaches_as_far_as_the_middle_unit_s_field_and_half_an_image_for_others():
    inner = plan_canvas((32, 32), (10, 10, 20, 20), (-3, -3, 35, 35))
    assert inner.shape == (40, 40) and inner.corner == (-4, -4) and inner.factor == SIDE // 40
    far = plan_canvas((32, 32), (-24, -24, 57, 57), (-40, -40, 73, 73))
    assert far.corner == (-26, -26)
    endless = plan_canvas((32, 32), (-900, -900, 900, 900), (-999, -999, 999, 999))
    assert endless.shape == (96, 96)
    assert plan_canvas((32, 32), (4, 4, 9, 9), (0, 0, 32, 32)).shape == (32, 32)


def test_a_box_lies_on_its_own_pixels_and_a_click_finds_them_again():
    canvas = plan_canvas((32, 48), (-4, 8, 28, 40), (-4, -4, 36, 52))
    left, top, width, height = canvas.frame((5, 7, 6, 8))
    assert (width, height) == (canvas.factor, canvas.factor)
    assert canvas.point(left + width / 2, top + height / 2) == (5, 7)


def test_the_image_stands_in_the_middle_and_padding_inside_the_field_is_hatched():
    canvas, free = plan_canvas((32, 32), (-8, -8, 24, 24), (-8, -8, 40, 40)), (-8, -8, 24, 24)
    pixels = rgb(photo_picture(canvas, RED, free))
    assert pixels.shape == (canvas.size[1], canvas.size[0], 3)
    step, edge = canvas.factor, -canvas.corner[0] * canvas.factor
    assert (pixels[edge : edge + 32 * step, edge : edge + 32 * step] == RED[0, 0]).all()
    hatched = pixels[step : edge - 1, step : 2 * edge].reshape(-1, 3)
    assert len(np.unique(hatched, axis=0)) == 2
    assert len(np.unique(pixels[-edge + 1 :, :].reshape(-1, 3), axis=0)) == 1  # outside of the field
    assert padding_label(canvas, free) is not None and padding_label(canvas, (4, 4, 9, 9)) is None


@pytest.mark.parametrize("free", [(4, 4, 9, 11), (-5, 20, 6, 31), (-9, -9, -2, -2), (30, 30, 41, 41)])
def test_a_zoomed_canvas_shows_the_whole_field_pixel_by_pixel(free):
    canvas = zoom_canvas((32, 32), free)
    weight = np.arange(32 * 32, dtype=float).reshape(32, 32)
    pixels = rgb(heat_picture(canvas, weight, free)[0])
    for row in range(max(free[0], 0), min(free[2], 32)):
        for col in range(max(free[1], 0), min(free[3], 32)):
            left, top, width, height = canvas.frame((row, col, row + 1, col + 1))
            colour = pixels[int(top + height / 2), int(left + width / 2)]
            level = round(255 * weight[row, col] / weight.max())
            assert np.abs(viridis()[level].astype(int) - colour).max() <= 3
    assert zoom_canvas((32, 32), (-2000, -2000, 2000, 2000)).shape == (96, 96)


def test_the_gradient_s_scale_runs_from_zero_to_the_maximum_below_the_image():
    canvas, weight = plan_canvas((8, 8), (0, 0, 8, 8), (0, 0, 8, 8)), np.zeros((8, 8))
    weight[3, 4] = 2.0
    png, size = heat_picture(canvas, weight, (0, 0, 8, 8))
    pixels, step = rgb(png), canvas.factor
    assert size == (pixels.shape[1], pixels.shape[0]) and size[1] == 8 * step + 3 * BAR
    assert (pixels[3 * step, 4 * step] == viridis()[-1]).all() and (pixels[0, 0] == viridis()[0]).all()
    bar = pixels[8 * step + BAR]
    assert (bar[0] == viridis()[0]).all() and (bar[-1] == viridis()[-1]).all()


def placed() -> MeasuredField:
    weight = np.zeros((9, 9))
    weight[2:7, 2:7] = 0.04
    return MeasuredField(weight, (-1, 0, 10, 9), (0, 0, 9, 9), 1, 0)


def test_the_card_names_boxes_and_shares_of_the_area():
    facts = cards.effective_facts(placed())
    assert [fact.value for fact in facts] == ["5×5 · 25 % of area", "5×3 · 15 % of area", "1.4 rows, 1.4 columns"]
    silent = MeasuredField(np.zeros((9, 9)), (0, 0, 3, 3), (0, 0, 3, 3), 1, 1)
    assert cards.effective_facts(silent)[0].value == "no gradient arrives"
    assert cards.share_text(0.0816) == "8.2 %" and cards.share_text(0.5) == "50 %"


@pytest.mark.parametrize("width", [330.0, 190.0])
def test_words_of_the_card_stand_inside_it_and_do_not_meet(width):
    facts = [cards.Fact("", "first … last column", "−40 … 40"), *cards.effective_facts(placed())]
    scene = cards.unit_scene(facts, placed(), gaussian(9, 4, 1.4), (0, 9), width)
    spans: dict[float, list[tuple[float, float]]] = {}
    for text in (shape for shape in scene.shapes if isinstance(shape, Text)):
        long = text_width(text.text, text.size, text.bold)
        start = {"start": text.x, "middle": text.x - long / 2, "end": text.x - long}[text.anchor]
        assert start >= -1 and start + long <= width + 1 and text.y < scene.height, text
        spans.setdefault(text.y, []).append((start, start + long))
    for line in spans.values():
        line.sort()
        assert all(end <= start for (_, end), (start, _) in zip(line, line[1:], strict=False)), line


def test_bars_of_the_profile_have_the_heights_of_the_columns_in_the_span():
    found = placed()
    scene = cards.profile_scene(found, gaussian(9, 4, 1.4), (1, 8), 70.0)
    bars = [shape for shape in scene.shapes if isinstance(shape, Box)]
    assert [bar.x for bar in bars] == [10, 20, 30, 40, 50] and len({bar.height for bar in bars}) == 1
    assert bars[0].title == "column 2: 20 %"


ROWS = (
    LayerField("a", "conv", (3, 3), (1, 1), (1, 1), (8, 8), False),
    LayerField("b", "conv", (5, 5), (1, 1), (2, 2), (8, 8), False),
    LayerField("c", "pool", (12, 10), (2, 2), (3, 3), (4, 4), False),
    LayerField("mean", "pool", (8, 8), (0, 0), (0, 0), (1, 1), True),
)
GROWTH = Growth("net", (8, 8), ROWS)


def test_the_curve_has_a_point_a_layer_and_marks_the_image_and_what_exceeds_it():
    figure = growths.growth_figure(GROWTH, "b")
    assert list(figure.data[0].x) == ["a", "b", "c"] and list(figure.data[0].y) == [3, 5, 12]
    assert (list(figure.data[1].x), list(figure.data[1].y)) == (["mean"], [8])
    assert (list(figure.data[2].x), list(figure.data[2].y)) == (["b"], [5])  # the frame
    said = [note.text for note in figure.layout.annotations]
    assert "12×10: larger than the image" in said and " the image: 8 pixels" in said
    assert {"stride 1", "stride 2", "no place"} <= set(said)
    assert figure.layout.yaxis.range[1] > 12


def test_effective_sizes_are_two_more_curves():
    effective = [EffectiveSize("a", (1, 1), (3, 3), (0.5, 0.6)), EffectiveSize("b", (3, 3), (5, 4), (1.0, 1.1))]
    figure = growths.growth_figure(GROWTH, "mean", effective)
    named = {line.name: list(line.y) for line in figure.data if line.name}
    assert named["95 % of the gradient"] == [3, 5] and named["half of the gradient"] == [1, 3]
    assert growths.stride_runs([1, 1, 2, 4, 4, 0]) == [(0, 1, 1), (2, 2, 2), (3, 4, 4), (5, 5, 0)]
    assert len(set(growths.depth_colours(12))) == 12


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("width", [525.0, 336.0])
def test_a_cone_connects_every_unit_with_its_taps_and_stays_in_its_picture(name, width):
    found = make_stack(PRESETS[name])
    scene = cones.stack_scene(found, name, 256, 56, width)
    wires = [shape for shape in scene.shapes if isinstance(shape, Polyline) and shape.stroke == cones.WIRE]
    units = [len(taps) for taps in found.taps]
    assert len(wires) == sum(n * layer.kernel for n, layer in zip(units, reversed(found.layers), strict=False))
    boxes = [shape for shape in scene.shapes if isinstance(shape, Box) and not shape.title]
    assert len(boxes) == sum(units)
    for shape in scene.shapes:
        if isinstance(shape, Box):
            assert cones.NAMES - 12 <= shape.x and shape.x + shape.width <= width + 12
            assert 0 <= shape.y and shape.y + shape.height <= scene.height


def test_units_stand_over_the_middle_of_what_they_read():
    for layers in PRESETS.values():
        found = make_stack(layers)
        levels = cones.level_places(found)
        for at, layer in enumerate(reversed(found.layers)):
            for unit, x in zip(found.taps[at], levels[at][0], strict=True):
                reads = unit * layer.stride + layer.dilation * np.arange(layer.kernel)
                places = levels[at + 1][0][np.searchsorted(found.taps[at + 1], reads)]
                assert x == pytest.approx((places[0] + places[-1]) / 2)
        assert levels[-1][0].tolist() == found.taps[-1].tolist()


def test_the_sentence_weighs_two_stacks_against_each_other():
    three, seven, five = (make_stack(PRESETS[name]) for name in ("three 3×3", "one 7×7", "one 5×5"))
    said = cones.weights_sentence(three, seven, 256)
    assert "Both see 7 pixels" in said and "1,769,472 against 3,211,264" in said and "the left one gathers" in said
    assert "left one sees 7 pixels a side, the right one 5" in cones.weights_sentence(three, five, 8)
    assert "alike" in cones.weights_sentence(seven, seven, 8)
