"""Pictures and words of a unit's page."""

from dataclasses import replace

import numpy as np
import pytest
from readpng import rgb

from cnnviz.figures.base.colors import FRAME
from cnnviz.figures.patches.charts import classes_sentence, maxima_histogram, share_text, statistics_sentence
from cnnviz.figures.patches.context import (
    PER_LINE,
    TITLES,
    WinnerPictures,
    draw_frame,
    list_words,
    winner_cells,
    winners_sheet,
)
from cnnviz.figures.patches.wall import EMPTY, plan_wall
from cnnviz.figures.receptive.fields import BETWEEN, FIELD, fields_picture
from cnnviz.index.records import ChannelStatistics
from cnnviz.index.search.topk import bin_edges

EDGES = bin_edges()


def statistics(counts: dict[float, int], maximum: float) -> ChannelStatistics:
    histogram = np.zeros((1, len(EDGES) + 1), np.int64)
    for value, count in counts.items():
        histogram[0, int(np.searchsorted(EDGES, value))] += count
    return ChannelStatistics(np.array([maximum]), histogram, np.array([2**20 * 5]), np.array([30]), 120, 10)


def test_the_frame_stands_on_the_edges_of_the_box():
    picture = draw_frame(np.full((10, 10, 3), 200, np.uint8), (2, 3, 6, 9), 100)
    assert (picture[20, 30:90] == FRAME).all() and (picture[59, 30:90] == FRAME).all()
    assert (picture[20:60, 30] == FRAME).all() and (picture[20:60, 89] == FRAME).all()
    assert (picture[30:50, 40:80] == 200).all()


def test_the_sheet_holds_a_column_for_every_winner_and_pale_tiles_for_what_is_still_computed():
    image, patch = np.zeros((8, 8, 3), np.uint8), np.full((4, 4, 3), 50, np.uint8)
    seen = [
        WinnerPictures(image, (0, 0, 4, 4), patch, None if i else patch, (f"{i}: 1.5", "a class")) for i in range(11)
    ]
    sheet = winners_sheet(seen, 40)
    picture = rgb(sheet.png)
    assert sheet.columns == PER_LINE and sheet.size == picture.shape[1::-1]
    left, top, width, _height = sheet.box(10)
    column = picture[top:, left : left + width]
    assert (column == 50).all(axis=2).any() and (column == EMPTY).all(axis=2).any()
    assert not (picture[: sheet.pitch[0], : sheet.tile[1]] == EMPTY).all(axis=2).any()


def test_words_of_the_sheet_stand_where_it_is_white():
    patch = np.zeros((4, 4, 3), np.uint8)
    bare = [WinnerPictures(None, (0, 0, 4, 4), patch, patch, ("", "")) for _ in range(11)]
    seen = [replace(one, words=(f"{i}: 1.5", "a class")) for i, one in enumerate(bare)]
    sheet, without = winners_sheet(seen, 40), rgb(winners_sheet(bare, 40).png)
    written, places = rgb(sheet.png), list_words(sheet, seen)
    assert [text for *_, text in places] == [*TITLES, *TITLES, *(w for one in seen for w in one.words)]
    for left, top, width, text in places:
        below = slice(top, top + 15), slice(left, left + width)
        assert not (written[below] >= 254).all() and (text in TITLES or (without[below] >= 254).all())
    assert (without[26 + 2 : 26 + 38, 2:38] == EMPTY).all()  # of the whole image nothing is known


def test_a_winner_s_cells_are_its_image_with_the_frame_its_patch_and_its_projection():
    image, patch = np.full((10, 10, 3), 200, np.uint8), np.full((4, 4, 3), 50, np.uint8)
    seen = [
        WinnerPictures(image, (2, 3, 6, 9), patch, patch // 2, ()),
        WinnerPictures(None, (0, 0, 4, 4), patch, None, ()),
    ]
    cells = winner_cells(seen, 40)
    assert cells.shape == (2, 1, 3, 40, 40, 3)
    assert (cells[0, 0, 0] == draw_frame(image, (2, 3, 6, 9), 40)).all()
    assert (cells[:, 0, 1] == 50).all() and (cells[0, 0, 2] == 25).all()
    assert (cells[1, 0, 0] == EMPTY).all() and (cells[1, 0, 2] == EMPTY).all()


def test_theoretical_and_effective_field_share_scale_and_middle():
    weight = np.zeros((5, 5), np.float32)
    weight[2, 2] = 1.0
    png, (width, height) = fields_picture(weight, (32, 32), [], side=110)
    picture = rgb(png)
    wide = (width - BETWEEN) // 2
    left, right = picture[:, :wide], picture[:, wide + BETWEEN :]
    rows, cols = np.nonzero((left == FIELD).all(axis=2))
    assert rows.min() + rows.max() == height - 1 and cols.min() + cols.max() == wide - 1
    bright = np.argwhere(right[..., 0].astype(int) + right[..., 1] - right[..., 2] > 200)
    np.testing.assert_allclose(bright.mean(axis=0), (height / 2 - 0.5, wide / 2 - 0.5), atol=0.6)


def test_a_field_larger_than_the_image_is_cut_to_it():
    _png, (width, height) = fields_picture(np.ones((61, 61), np.float32), (32, 32), [(61, 61)], side=128)
    assert (width - BETWEEN) // 2 == height <= 128


def test_the_sentence_gives_maximum_median_and_density():
    text = statistics_sentence(statistics({0.0: 10, 1.2: 60, 3.0: 30}, 3.9), 0, EDGES)
    assert "over 100 images" in text and "highest 3.9" in text and "median 1 to 1.41" in text
    assert "10 images (10 %)" in text and "is 0.5;" in text and "25 % of the units" in text


def test_a_dead_channel_is_said_to_be_dead():
    text = statistics_sentence(statistics({0.0: 7}, -0.25), 0, EDGES)
    assert text.startswith("Dead over these 7 images") and "-0.25" in text


@pytest.mark.parametrize("least", [1.5, None, -2.0])
def test_the_histogram_has_a_bar_for_every_image_and_the_line_in_the_right_half_octave(least):
    counts = statistics({0.0: 10, 1.2: 60, 1.6: 5, 3.0: 30}, 3.9).histogram[0]
    figure = maxima_histogram(counts, EDGES, least)
    assert sum(figure.data[0].y) == 105
    assert len(figure.layout.shapes) == (least is not None and least > 0)
    if figure.layout.shapes:
        place = int(np.searchsorted(EDGES, least))
        assert place - 0.5 <= figure.layout.shapes[0].x0 <= place + 0.5


def test_ticks_of_the_histogram_stand_between_bins_at_their_own_value():
    figure = maxima_histogram(statistics({1.2: 60, 30.0: 5}, 31.0).histogram[0], EDGES, None)
    for mark, text in zip(figure.layout.xaxis.tickvals, figure.layout.xaxis.ticktext, strict=True):
        assert EDGES[int(mark - 0.5)] == pytest.approx(float(text), rel=0.01)


def test_classes_and_shares_in_words():
    assert classes_sentence({"dog": 2, "cat": 7}, 0.76, 0.76).startswith("Classes of the 9 winners: cat 7, dog 2.")
    assert [share_text(x) for x in (0.0042, 0.314, 1.0, 0.0)] == ["0.42 %", "31 %", "100 %", "0 %"]


def test_at_true_scale_the_side_of_a_patch_is_proportional_to_its_field():
    sides = [plan_wall((f, f), (224, 224), 64, True)[2] for f in (16, 32, 112, 400)]
    assert sides == [8, 16, 56, 112]
    assert [plan_wall((f, f), (32, 32), 64, True)[2] for f in (3, 7, 64)] == [9, 21, 96]
    for field in (3, 11, 59, 224):
        blocks, kept, side = plan_wall((field, field), (224, 224), 512, True)
        assert 1 <= blocks <= 24 and kept == min(field, side)
