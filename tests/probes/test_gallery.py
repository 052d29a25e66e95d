import numpy as np
import pytest
import torch
from torch import nn

from cnnviz.data.corpus import MemoryCorpus
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput
from cnnviz.figures.attribution.gallery import OTHER, RIGHT, WRONG, count_right, gallery_strip, pick_colour
from cnnviz.figures.base.colors import EMPTY
from cnnviz.models.model import LoadedModel
from cnnviz.probes.gallery import draw_places, predict_gallery


class Brightest(nn.Module):
    """The class is the colour that is strongest: red, green or blue."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 9 * x.mean((2, 3))


MODEL = LoadedModel(Brightest(), "brightest", Preprocessing((8, 8)), ["Red", "green", "deep_blue"], torch.device("cpu"))
PIXELS = np.zeros((4, 8, 8, 3), np.uint8)
for _at, _colour in enumerate((0, 1, 2, 0)):
    PIXELS[_at, ..., _colour] = 255


def corpus(labels: list[str] | None) -> MemoryCorpus:
    return MemoryCorpus("colours", ["a", "b", "c", "d"], PIXELS, labels=labels)


def test_answers_are_judged_by_their_labels_whatever_their_case():
    found = predict_gallery(MODEL, corpus(["red", "green", "deep blue", "green"]), [0, 1, 2, 3], k=3)
    assert [one.right for one in found] == [True, True, True, False]
    assert [one.top[0][0] for one in found] == ["Red", "green", "deep_blue", "Red"]
    want = torch.softmax(9 * MODEL.preprocess(PIXELS[0]).mean((1, 2)), 0)
    assert found[0].top[0][1] == pytest.approx(float(want[0])) and len(found[0].top) == 3
    assert count_right(found) == "3 of 4 images are answered rightly, 4 have their label among the five"
    wrong = found[3]
    assert pick_colour(wrong, "Red", 0) not in (EMPTY, pick_colour(wrong, "green", 1))
    assert len({RIGHT, WRONG, OTHER}) == 3


def test_nothing_is_judged_without_labels_or_with_labels_of_other_classes():
    for labels in (None, ["dog", "cat", "cat", "cat"]):
        found = predict_gallery(MODEL, corpus(labels), [3, 0])
        assert [one.right for one in found] == [None, None] and [one.image_id for one in found] == ["d", "a"]
        assert "none is judged" in count_right(found) and pick_colour(found[0], "Red", 0) == EMPTY
    strip = gallery_strip(found, columns=1)
    assert [words[3] for words in strip.words if words[0] == 0] == ["cat", "dog"]
    assert "Red 100 %" in [words[3] for words in strip.words]


def test_places_are_different_and_the_same_for_a_seed():
    assert draw_places(4, 100, 7) == draw_places(4, 100, 7) != draw_places(4, 100, 8)
    assert sorted(draw_places(12, 5, 0)) == [0, 1, 2, 3, 4]


def test_images_of_which_none_can_be_read_are_refused():
    with pytest.raises(BadInput, match="None of the images"):
        predict_gallery(MODEL, corpus(None), [])
