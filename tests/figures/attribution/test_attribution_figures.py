"""Panels of attributions, the bars of an answer, and their words."""

import io

import numpy as np
from PIL import Image

from cnnviz.figures.attribution.answers import ClassScore, answer_bars, probability_text
from cnnviz.figures.attribution.panels import (
    GAP,
    TITLE,
    ImagePanel,
    blend_over_photo,
    compose_panels,
    cover_square,
    find_peak,
    label_panel,
    map_panel,
    panel_side,
    photo_panel,
)
from cnnviz.figures.attribution.sanity import cascade_figure
from cnnviz.figures.attribution.words import completeness_sentence, correlation_text, seconds_text
from cnnviz.figures.base.colors import CATEGORIES, signed_palette, viridis
from cnnviz.figures.base.scene import Text
from cnnviz.figures.base.text import text_width

SEEN = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def test_zero_is_white_for_signed_maps_and_dark_violet_for_others_at_full_opacity():
    values = np.zeros((8, 8), np.float32)
    values[2, 3], values[5, 1] = 2.0, -2.0
    pixels = blend_over_photo(SEEN, values, True, 1.0, 24, 2.0)
    assert pixels.shape == (24, 24, 3) and (pixels[0, 0] == signed_palette()[128]).all()
    assert (pixels[7, 10] == signed_palette()[255]).all() and (pixels[16, 4] == signed_palette()[1]).all()
    assert (blend_over_photo(SEEN, values, False, 1.0, 24, 2.0)[0, 0] == viridis()[0]).all()


def test_opacity_mixes_the_map_with_the_gray_image():
    values = np.full((8, 8), 1.0, np.float32)
    gray = SEEN.mean(axis=2, keepdims=True)
    none = blend_over_photo(SEEN, values, False, 0.0, 8, 1.0)
    half = blend_over_photo(SEEN, values, False, 0.5, 8, 1.0)
    np.testing.assert_allclose(none, np.repeat(gray, 3, 2), atol=0.6)
    np.testing.assert_allclose(half, 0.5 * gray + 0.5 * viridis()[255], atol=0.6)


def test_a_coarse_map_is_stretched_smoothly_and_a_fine_one_keeps_its_pixels():
    coarse = blend_over_photo(SEEN, np.array([[0.0, 1.0], [0.0, 1.0]], np.float32), False, 1.0, 64, 1.0)
    assert len(np.unique(coarse[32], axis=0)) > 10
    fine = blend_over_photo(SEEN, SEEN[:, :, 0].astype(np.float32), False, 1.0, 64, 255.0)
    assert (fine.reshape(8, 8, 8, 8, 3) == fine[::8, ::8][:, None, :, None]).all()


def test_outliers_of_a_gradient_do_not_hide_the_rest():
    values = np.ones((100, 100))
    values[0, 0] = -1000.0
    assert find_peak(values, True) == 1.0 and find_peak(values, False) == 1000.0
    assert find_peak(np.full((2, 2), np.nan), True) == 0.0
    values[:] = 0
    values[0, 0] = -3.0
    assert find_peak(values, True) == 3.0  # nothing but outliers


def test_the_side_of_a_panel_is_a_whole_multiple_of_a_small_input():
    assert [panel_side(pixels, 224) for pixels in (28, 32, 224, 299)] == [224, 224, 224, 224] and panel_side(
        32, 140
    ) == 128


def test_panels_stand_where_the_scene_says_and_what_is_missing_is_pale():
    red = np.full((16, 16, 3), (255, 0, 0), np.uint8)
    found = compose_panels(
        [ImagePanel(red, "a", "positive", 3.0), ImagePanel(None, "b"), ImagePanel(red, "c", note="12 ms")], 2, 16
    )
    pixels = np.asarray(Image.open(io.BytesIO(found.png)))
    assert found.size == (pixels.shape[1], pixels.shape[0]) == (32 + GAP, pixels.shape[0])
    assert (pixels[TITLE : TITLE + 16, :16] == (255, 0, 0)).all()
    assert (pixels[TITLE : TITLE + 16, 16 + GAP :] == (236, 238, 241)).all()
    texts = [text for *_place, text in found.words]
    assert texts == ["a", "0", "3", "b", "being computed", "c", "12 ms"]


def test_a_map_of_classes_has_a_legend_of_the_most_frequent():
    labels = np.zeros((8, 8), int)
    labels[:, 4:] = 7
    labels[0, :3] = [2, 3, 4]
    found = label_panel(SEEN, labels, [f"class {n}" for n in range(9)], "classes", 32, 1.0, most=2)
    assert found.lines == ((CATEGORIES[0], "class 7"), (CATEGORIES[1], "class 0"), ("#b9c0ca", "3 more"))
    assert tuple(found.pixels[31, 31]) == (0, 114, 178) and tuple(found.pixels[31, 0]) == (230, 159, 0)


def test_the_square_covers_its_box_alone():
    covered = cover_square(SEEN, (1, 2, 4, 8))
    assert (
        (covered[1:4, 2:8] == 128).all() and (covered[4:] == SEEN[4:]).all() and (covered[:, :2] == SEEN[:, :2]).all()
    )


def test_a_map_panel_tells_its_scale():
    values = np.full((8, 8), -0.5, np.float32)
    for side, ends in ((32, ["±0.5"]), (224, ["−0.5", "0.5"])):
        found = map_panel(SEEN, values, True, "IG", side, 0.7, note="1 s")
        assert [text for *_place, text in compose_panels([found], 1, side).words] == ["IG", *ends, "1 s"]
    nothing = map_panel(SEEN, 0 * values, True, "IG", 32, 0.7)
    untouched = photo_panel(SEEN, "x", 32)
    assert nothing.across == "0 everywhere" and nothing.scale == untouched.scale == ""
    assert not np.array_equal(nothing.pixels, untouched.pixels) and nothing.pixels.min() > 150  # dark words on it
    *_, (left, top, width, said) = compose_panels([nothing], 1, 120).words
    assert said == "0 everywhere" and 24 < top < 24 + 120 and 0 <= left < left + width <= 120  # within the picture


def test_bars_grow_with_the_numbers_and_the_chosen_class_stands_out():
    rows = [ClassScore("cat", 4.0, 0.9, 1), ClassScore("a very long name " * 4, -2.0, 0.1, 2, chosen=True)]
    svg = answer_bars(rows).svg()
    assert "90.0 %" in svg and "−2.00" in svg and "softmax" in svg and svg.count("#e85d04") == 2 and "…" in svg
    for width in (720, 530):
        drawn = answer_bars([*rows, ClassScore("rare", -9.0, 1e-9, 3)], width=width)
        texts = [shape for shape in drawn.shapes if isinstance(shape, Text) and shape.anchor == "start"]
        assert all(one.x + text_width(one.text, one.size, one.bold) <= width for one in texts)
    assert "1 / (1 + exp(−z))" in answer_bars(rows[:1], single=True).svg()


def test_numbers_are_written_for_people():
    assert [probability_text(p) for p in (0, 0.931, 0.00012, 1e-9)] == ["0.0 %", "93.1 %", "0.01 %", "< 0.0001 %"]
    assert [seconds_text(s) for s in (0.0312, 2.34)] == ["31 ms", "2.3 s"]
    assert completeness_sentence([(-0.05, 10.0), (0.2, 0.0)]).endswith(": 0.05 (0.5 %); 0.2.")
    assert correlation_text(-0.123) == "ρ = −0.12" and "constant" in correlation_text(float("nan"))


def test_the_cascade_has_one_curve_for_maps_without_signs_and_two_for_signed_ones():
    values = np.array([1.0, 0.4, 0.1])
    assert len(cascade_figure(["", "fc", "conv"], values, values).data) == 1
    both = cascade_figure(["", "fc", "conv"], -values, values)
    assert len(both.data) == 2 and both.data[0].text == ("trained", "fc", "conv")
    assert cascade_figure(["", "fc"], np.full(2, np.nan), np.full(2, np.nan)).layout.yaxis.range[0] == -0.15
