"""Numbers in words: units, sensible digits, bars as long as their share."""

import numpy as np
import pytest
from readpng import rgb

from cnnviz.figures.base import charts
from cnnviz.figures.base.charts import (
    bars_png,
    channel_name,
    count_text,
    network_sentence,
    preprocessing_sentence,
    range_sentence,
    scale_sentence,
    signed_tiles,
    value_text,
)
from cnnviz.figures.base.colors import signed_palette

SMALL = [(0.0123, "0.0123"), (4.56, "4.56"), (0, "0"), (-0.5, "-0.5"), (np.float32(1.5), "1.5")]
LARGE = [(1360, "1360"), (123.4, "123"), (-2048.6, "-2049"), (99.96, "100")]


@pytest.mark.parametrize("value, text", SMALL + LARGE)
def test_values_keep_three_sensible_digits(value, text):
    assert value_text(value) == text


FEW = [(0, "0"), (269, "269"), (999, "999"), (1000, "1 k"), (61706, "61.7 k"), (269722, "270 k")]
MANY = [(999_999, "1 M"), (1249424, "1.25 M"), (143_667_240, "144 M"), (1.96e10, "19.6 G")]


@pytest.mark.parametrize("number, text", FEW + MANY)
def test_counts_are_given_with_their_unit(number, text):
    assert count_text(number) == text


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_a_bar_is_as_long_as_its_share(share):
    picture = rgb(bars_png([("cat", share)], width=400))
    bar = (picture[60] == (51, 99, 141)).all(axis=1)
    assert bar.sum() == pytest.approx(400 * share, abs=2)
    assert bar[: bar.sum()].all()


def test_there_is_a_bar_for_each_name_and_long_names_are_shortened():
    picture = rgb(bars_png([("a" * 200, 0.6), ("dog", 0.4)], width=400))
    assert picture.shape == (184, 400, 3)
    assert (picture[4:46, 275:285] == 255).all()  # room between name and percentage
    assert (picture[:46, 290:] < 100).any()


def test_one_channel_tiles_are_blue_white_red_and_rgb_tiles_stay():
    tiles = np.array([0, 1, 128, 255], np.uint8).reshape(1, 2, 2, 1)
    np.testing.assert_array_equal(signed_tiles(tiles)[0, 1], signed_palette()[[128, 255]])
    colour = np.zeros((1, 2, 2, 3), np.uint8)
    assert signed_tiles(colour) is colour


def test_the_preprocessing_is_one_sentence_with_its_numbers():
    gray = preprocessing_sentence({"size": [28, 28], "resize": None, "mean": [0.1307], "std": [0.3081]})
    assert gray.startswith("28×28 pixels, luminance: the short side is resized to 28,")
    assert gray.endswith("mean 0.131 and std 0.308.")
    rgb_words = preprocessing_sentence({"size": [224, 224], "resize": 256, "mean": [0.5] * 3, "std": [0.2] * 3})
    assert "RGB: the short side is resized to 256" in rgb_words


def test_a_network_is_described_with_accuracy_only_where_it_is_known():
    facts = {"title": "LeNet-5", "parameters": 61706, "classes": 10, "source": "LeCun 1998"}
    plain = "LeNet-5 (`lenet5`): 61.7 k parameters, 10 classes. Source: LeCun 1998."
    assert network_sentence("lenet5", facts, {}) == plain
    assert network_sentence("lenet5", facts, {"accuracy": "high"}) == plain
    told = network_sentence("lenet5", facts, {"accuracy": {"test": 0.9913, "test_images": 3000}})
    assert "Accuracy 99.1 % on 3000 test images." in told


def test_channels_of_colour_images_have_names():
    assert [channel_name(i, 3) for i in range(3)] == ["Red", "Green", "Blue"]
    assert channel_name(3, 4) == "Channel 3"


def test_sentences_name_the_range_and_the_silent_maps():
    assert range_sentence("Weights", np.array([-0.5, 0.25])) == "Weights; from -0.5 to 0.25."
    maps = np.zeros((4, 2, 2))
    maps[1], maps[3] = 3.5, -1
    assert scale_sentence(maps) == "The layer's maximum is 3.5. 3 of 4 maps have no value above 0 here."
    assert scale_sentence(np.ones((2, 2, 2))) == "The layer's maximum is 1."


def test_a_kernel_says_which_colour_zero_has():
    one, three = np.zeros((1, 5, 5), np.float32), np.zeros((3, 7, 7), np.float32)
    assert "White is 0" in charts.kernel_sentence(one, 0.5, False)
    assert "5×5 pixels, 1 input channel;" in charts.kernel_sentence(one, 0.5, False)
    assert "Mid-gray is 0" in charts.kernel_sentence(three, 0.5, True)
    assert "3 input channels;" in charts.kernel_sentence(three, 0.5, True)


def test_a_unit_without_a_map_has_no_stride_and_nothing_to_click():
    assert ", stride 4. Click another pixel." in charts.unit_sentence(1.5, (27, 27), 4, 54 * 54)
    alone = charts.unit_sentence(11.4, (28, 28), 0, 1)
    assert "stride" not in alone and "Click" not in alone and "28×28" in alone
