import io

import numpy as np
import pytest
from PIL import Image

from cnnviz.figures.base.colors import CATEGORIES, EMPTY, from_hex, viridis
from cnnviz.figures.base.scene import Box, Text
from cnnviz.figures.noise import charts
from cnnviz.figures.noise.answers import answers_scene
from cnnviz.figures.noise.masks import ImageVersion, choose_channels, masked_mosaic, versions_strip
from cnnviz.studies.noise.blocks import BlocksRemoved
from cnnviz.studies.noise.drop_connect import MaskedOutputs
from cnnviz.studies.noise.evidence import ClassEvidence


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_bars_are_as_long_as_the_probabilities_and_name_the_winner():
    rows = [("mask 1", np.array([0.75, 0.25, 0.0])), ("mean", np.array([0.2, 0.8, 0.0]))]
    scene = answers_scene(rows, ["cat", "dog", "frog"], chosen=0, bold=(1,))
    bars = [shape for shape in scene.shapes if isinstance(shape, Box) and shape.title]
    whole = next(shape.width for shape in scene.shapes if isinstance(shape, Box))
    assert [bar.width / whole for bar in bars] == pytest.approx([0.25, 0.75, 0.8, 0.2])  # dog is first on average
    words = [shape.text for shape in scene.shapes if isinstance(shape, Text)]
    assert {"cat 75 %", "dog 80 %", "mask 1", "mean"} <= set(words)
    assert all(bar.x + bar.width <= scene.width for bar in bars)


def test_answers_that_do_not_sum_to_one_stay_within_their_bar():
    scene = answers_scene([("a", np.array([0.9, 0.9]))], ["yes", "no"])
    bars = [shape for shape in scene.shapes if isinstance(shape, Box) and shape.title]
    whole = next(shape for shape in scene.shapes if isinstance(shape, Box))
    assert sum(bar.width for bar in bars) == pytest.approx(whole.width)


def test_dropped_units_are_grey_and_the_others_keep_their_colour():
    maps = np.zeros((2, 2, 2), np.float32)
    maps[0, 0, 0] = maps[1, 1, 1] = 1.0
    keep = np.ones((2, 2, 2), bool)
    keep[0, 0, 0] = False
    mosaic = masked_mosaic(maps, keep, 200, 100)
    drawn, (left, top, wide, high) = pixels(mosaic.png), mosaic.box(0)
    assert tuple(drawn[top + 2, left + 2]) == EMPTY
    assert tuple(drawn[top + 2, left + wide - 3]) == tuple(viridis()[0])
    left, top, wide, high = mosaic.box(1)
    assert tuple(drawn[top + high - 3, left + wide - 3]) == tuple(viridis()[-1])


def test_of_many_channels_the_strongest_are_drawn_and_vectors_become_one_table():
    maps = np.arange(30, dtype=np.float32)[:, None, None] * np.ones((30, 2, 2), np.float32)
    assert choose_channels(maps) == list(range(6, 30))
    one = masked_mosaic(maps[:, :1, :1], np.ones((30, 1, 1), bool), 200, 200)
    assert one.items == [0] and one.tile[0] % 5 == 0 and one.tile[1] % 6 == 0  # 5 rows of 6


def test_versions_have_a_frame_that_says_right_or_wrong():
    black = np.zeros((32, 32, 3), np.uint8)
    versions = [ImageVersion(str(right), black, "cat", right) for right in (True, False, None)]
    strip = versions_strip(versions, 64)
    drawn = pixels(strip.png)
    middle = 22 + 4 + 32  # below the words and the frame
    pitch = 64 + 8 + 10
    assert tuple(drawn[middle, 1]) == from_hex(CATEGORIES[2]) and tuple(drawn[middle, pitch + 1]) == from_hex(
        CATEGORIES[4]
    )
    assert (drawn[middle, 2 * pitch + 1] >= 254).all() and (drawn[middle, 2 * pitch + 10] == 0).all()
    assert [text for *_, text in strip.words] == ["True", "cat", "False", "cat", "None", "cat"]
    assert versions_strip(versions, 64, columns=2).size[0] == 2 * pitch - 10


def test_the_ellipse_lies_two_standard_deviations_from_the_mean():
    one = MaskedOutputs("dropout", np.zeros((3, 2)), np.array([1.0, -2.0]), np.array([0.5, 2.0]), 0.6)
    covariance = np.array([[0.25, 0.6], [0.6, 4.0]])
    away = charts.find_ellipse(one) - one.mean[:, None]
    assert np.einsum("ik,ij,jk->k", away, np.linalg.inv(covariance), away) == pytest.approx(4.0)


def test_bars_of_evidence_are_sorted_and_split_into_what_stays_and_what_is_dropped():
    found, keep = ClassEvidence(np.array([1.0, -2.0, 3.0]), 0.0, 0, 1), np.array([True, True, False])
    stays, dropped = charts.evidence_figure(found, keep, ("cat", "dog")).data
    assert list(stays.x) == [1, 2] and list(stays.y) == [1.0, -2.0]
    assert list(dropped.x) == [0] and list(dropped.y) == [3.0]


def test_blocks_that_cannot_be_removed_are_marked_and_have_no_bar():
    one = BlocksRemoved(("a", "b"), ("whole", ""), np.array([0.5, np.nan]), 8)
    bars, marks = charts.removed_figure([("Plain", one)], 10, "a").data
    assert list(bars.y)[0] == 50.0 and np.isnan(bars.y[1]) and list(marks.x) == ["b"]


def test_the_draw_shows_every_block_once():
    alive = np.array([True, False, True])
    line, runs, gone = charts.survival_figure(np.array([0.9, 0.7, 0.5]), alive, ["a", "b", "c"]).data
    assert list(line.y) == [0.9, 0.7, 0.5] and list(runs.x) == [1, 3] and list(gone.x) == [2]
