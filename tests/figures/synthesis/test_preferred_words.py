"""What is said of preferred inputs, and the picture of a mixture."""

import io

import numpy as np
import pytest
from PIL import Image

from cnnviz.figures.synthesis.between import mixture_picture
from cnnviz.figures.synthesis.words import compare_with_best


@pytest.mark.parametrize(
    "activation, best, said",
    [
        (21.6, 13.8, "21.6, 1.57 × the best of digits (13.8)"),
        (5.0, None, "5"),
        (2.0, -0.5, "2, against the best of digits (-0.5)"),
        (2.0, 0.0, "2, against the best of digits (0)"),
    ],
)
def test_the_ratio_to_the_best_is_said_where_there_is_one(activation, best, said):
    assert compare_with_best(activation, best, "digits") == said


def test_the_chosen_mixture_is_large_between_the_ends_and_framed_among_all():
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    images = [np.full((8, 8, 3), colour, np.uint8) for colour in colours]
    drawn = mixture_picture(images, ["a", "b", "c"], [1.0, 2.0, 3.0], 1)
    pixels = np.asarray(Image.open(io.BytesIO(drawn.png)))
    assert pixels.shape[:2] == drawn.size[::-1]
    counts = [int((pixels == colour).all(axis=2).sum()) for colour in colours]
    assert counts[1] > 3 * counts[0] == 3 * counts[2]
    middle = pixels[:480]
    lefts = [np.flatnonzero((middle == colour).all(axis=2).any(axis=0)) for colour in colours]
    assert lefts[0].max() < lefts[1].min() < lefts[1].max() < lefts[2].min()
    assert [text for *_place, text in drawn.words] == ["b: 2", "a: 1", "c: 3"]
    waiting = mixture_picture(images, ["a", "b", "c"], None, 0)
    assert [text for *_place, text in waiting.words] == ["a", "a", "c"]
