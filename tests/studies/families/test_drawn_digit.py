"""Strokes become the text they came from, and an image as MNIST's; LeNet-5 reads a drawn digit."""

import numpy as np
import pytest

import cnnviz
from app.views.families.drawn import THREE
from cnnviz.errors import BadInput
from cnnviz.studies.families.drawn_digit import ALPHABET, LONGEST, draw_strokes, parse_strokes


def test_text_is_read_as_the_strokes_it_was_written_from():
    strokes = (((0, 63), (10, 11)), ((5, 5),))
    text = ".".join("".join(ALPHABET[x] + ALPHABET[y] for x, y in stroke) for stroke in strokes)
    assert parse_strokes(text) == strokes and parse_strokes(".") == () == parse_strokes("")


@pytest.mark.parametrize("text", ["A", "A!", "AB.ABC", "AB" * LONGEST])
def test_what_is_no_drawing_is_refused_in_words(text):
    with pytest.raises(BadInput, match="Draw it anew"):
        parse_strokes(text)


@pytest.mark.parametrize("moved", [(0, 0), (20, 7)])
def test_a_drawing_fits_20_pixels_and_its_mass_lies_in_the_middle(moved):
    stroke = tuple((5 + x + moved[0], 3 + y + moved[1]) for x, y in ((0, 0), (0, 40), (12, 40), (20, 30)))
    pixels = draw_strokes((stroke,)).astype(float)
    rows, cols = np.flatnonzero(pixels.sum(1)), np.flatnonzero(pixels.sum(0))
    assert 19 <= rows[-1] - rows[0] + 1 <= 21 and cols[-1] - cols[0] < 20
    middle = (np.arange(28) + 0.5) @ pixels.sum(0) / pixels.sum(), (np.arange(28) + 0.5) @ pixels.sum(1) / pixels.sum()
    np.testing.assert_allclose(middle, 14, atol=0.15)
    np.testing.assert_array_equal(pixels, draw_strokes((((stroke[0][0], stroke[0][1]), *stroke[1:]),)))


def test_nothing_drawn_is_black_and_a_dot_a_dot():
    assert not draw_strokes(()).any()
    assert 3 <= (draw_strokes((((7, 50),),)) > 127).sum() <= 9  # a circle of 2.4 pixels has 4.5


def test_lenet_reads_the_drawn_three():
    image = np.repeat(draw_strokes(parse_strokes(THREE))[:, :, None], 3, 2)
    scores = cnnviz.load("lenet5", "bundled", "cpu").predict(image)[0]
    assert scores.argmax() == 3 and scores[3] > 0.9
