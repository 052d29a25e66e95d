"""Figures of normalisation: bars, histograms, cubes and curves show the numbers that they are given."""

import numpy as np
import pytest
from readpng import rgb

from cnnviz.figures.base.scene import Polyline, Text
from cnnviz.figures.normalisation import channel as channel_figures
from cnnviz.figures.normalisation import company as company_figures
from cnnviz.figures.normalisation import cubes, curves
from cnnviz.figures.normalisation.preprocessing import CAPTION, GAP, SIDE, difference_pixels, preprocessing_strip
from cnnviz.studies.normalisation.channel import NormChannel
from cnnviz.studies.normalisation.company import CompanyAnswers, CompanySpread
from cnnviz.studies.normalisation.descent import descend, made_problems
from cnnviz.studies.normalisation.memory import ActivationMemory
from cnnviz.studies.normalisation.preprocessing import mean_image
from cnnviz.studies.normalisation.response import local_response

NAMES = ["cat", "dog", "frog", "ship"]
ANSWERS = CompanyAnswers(
    np.array([0, 1, 3]),
    np.array([0.9, 0.1, 0.0, 0.0]),
    np.array([[np.nan] * 4, [0.2, 0.0, 0.75, 0.05], [0.6, 0.3, 0.05, 0.05]]),
    ("single value", "", ""),
)


def test_answers_are_stacked_to_one_with_the_winner_above_and_classes_below_the_limit_together():
    figure = company_figures.answers_figure(ANSWERS, NAMES)
    bars = {bar.name: list(bar.y) for bar in figure.data}
    assert list(bars) == ["cat", "frog", "dog", "all others"]
    assert bars["cat"][2:] == pytest.approx([20, 60]) and bars["frog"][2:] == pytest.approx([75, 5])
    assert [sum(column) for column in list(zip(*bars.values(), strict=True))[2:]] == pytest.approx([100, 100])
    told = [note.text for note in figure.layout.annotations]
    assert told == ["<b>cat</b><br>90 %", "not<br>possible", "<b>frog</b><br>75 %", "<b>cat</b><br>60 %"]
    colours = [note.font.color == company_figures.CHOSEN for note in figure.layout.annotations]
    assert colours == [False, False, True, False]  # where another class wins than in evaluation


def test_the_spread_shows_shares_of_draws_and_the_mean_probability():
    spread = CompanySpread(np.array([1, 3]), np.array([[0, 2], [1, 0]]), 0, np.array([[0.8, 0.1], [0.4, 0.9]]))
    mean, changed = company_figures.spread_figure(spread, "cat").data
    assert list(mean.y) == pytest.approx([60, 50]) and list(changed.y) == pytest.approx([50, 50])
    assert list(mean.x) == ["2", "4"]


def test_the_batch_shows_its_images_in_order_and_where_batches_end():
    images = [np.full((8, 8, 3), 10 * at, np.uint8) for at in range(10)]
    drawn = company_figures.batch_strip(images, [1, 2, 8, 10])
    pixels, pitch = rgb(drawn.png), company_figures.TILE + company_figures.GAP
    for at in (0, 7, 9):
        assert (pixels[at // 8 * pitch + 5, at % 8 * pitch + 5] == 10 * at).all()
    assert [text for *_, text in drawn.words] == ["N = 8", "N = 10"]


@pytest.mark.parametrize("running", [False, True])
def test_histograms_hold_all_values_and_the_identity_lies_on_what_entered(running):
    values = np.random.default_rng(0).normal(2, 3, (4, 50))
    found = NormChannel(values, values.mean(), values.var(), 1.0, 4.0, 1.5, -0.5, 1e-5, 0.1)
    figure = channel_figures.channel_figure(found, running, *found.identity(running))
    enters, normal, leaves, outline = figure.data
    for bars in (enters, normal, leaves):
        assert sum(bars.y) == pytest.approx(100)
    np.testing.assert_allclose(leaves.y, outline.y)
    x = found.normalise(running)
    assert normal.x[0] == pytest.approx(x.min(), abs=0.2) and normal.x[-1] == pytest.approx(x.max(), abs=0.2)
    lines = [(shape.x0, shape.x1) for shape in figure.layout.shapes]
    sigma = values.std()
    assert lines[0] == pytest.approx((values.mean(),) * 2)
    assert lines[1] == pytest.approx((values.mean() - sigma, values.mean() + sigma))
    assert lines[2] == (1.0, 1.0) and lines[3] == (-1.0, 3.0)
    assert "largest |y − x|" in figure.layout.xaxis3.title.text


def test_a_channel_of_one_value_has_a_histogram_too():
    middles, shares = channel_figures.histogram(np.full(5, 2.0), 2.0, 2.0)
    assert sum(shares) == 100 and middles[int(np.argmax(shares))] == pytest.approx(2.0, abs=0.02)


def marked(kind: str, vectors: bool = False) -> int:
    """Visible faces of a cube that share the corner's statistics."""
    scene = cubes.cubes_scene([cubes.NormCube(kind, "over", "means", "values")], vectors)
    return sum(isinstance(shape, Polyline) and shape.fill == cubes.MARKED for shape in scene.shapes)


def test_cubes_mark_the_cells_that_share_a_mean():
    images, channels, places = cubes.IMAGES, cubes.CHANNELS, cubes.PLACES
    assert marked("Batch norm") == places + images + images * places  # front, top and side of one channel
    assert marked("Layer norm") == channels * places + channels + places  # all of one image
    assert marked("Instance norm") == places + 1 + places
    assert marked("Group norm") == (channels // 2) * (places + 1) + places
    assert marked("Local response") == 5 + 5 + 1  # five channels of one place
    assert marked("Batch norm", vectors=True) == 1 + images + images
    assert marked("Layer norm", vectors=True) == channels + channels + 1


def test_cubes_stand_in_rows_and_a_filled_polygon_is_in_both_formats():
    four = [cubes.NormCube(kind, "averages over N", "3 means", "of 4 values") for kind in cubes.cube_kinds()[:4]]
    wide, tall = cubes.cubes_scene(four, columns=4), cubes.cubes_scene(four, columns=2)
    assert (wide.width, tall.width) == (4 * cubes.WIDTH, 2 * cubes.WIDTH) and tall.height == 2 * wide.height
    assert {"Batch norm", "3 means", "H, W"} <= {shape.text for shape in wide.shapes if isinstance(shape, Text)}
    assert f'fill="{cubes.MARKED}"' in wide.svg()
    blue = tuple(int(cubes.MARKED[at : at + 2], 16) for at in (1, 3, 5))
    assert (rgb(wide.png(1)) == blue).all(axis=2).any()


def test_memory_adds_up_layer_by_layer():
    found = ActivationMemory(("a", "b"), np.array([2_000_000, 1_000_000]), np.array([0, 500_000]))
    held, batch, single = curves.memory_figure(found, 10).data
    assert list(held.y) == [20.0, 10.5] and list(batch.y) == [20.0, 30.5] and list(single.y) == [2.0, 3.5]
    assert batch.name == "a batch of 10: 30.5 MB" and single.name == "one image after another: 3.5 MB"


def test_the_response_shows_before_and_after_and_a_band_over_the_neighbours():
    found = local_response(np.array([1.0, 2.0, 3.0, 4.0]), 3, 0.5, 1.0, 2.0)
    figure = curves.response_figure(found, 3, factor=2.0)
    before, after = figure.data
    assert list(before.y) == [1, 2, 3, 4] and after.y[3] == pytest.approx(2 * 4 / (2 + 0.5 * 25))
    (band,) = figure.layout.shapes
    assert (band.x0, band.x1) == (1.5, 3.5)


def test_bowls_have_their_minimum_at_the_star_and_one_unit_on_all_axes():
    bowls = [
        ("one", problem, descend(problem, problem.largest_rate / 2, problem.best + 1, 5))
        for problem in made_problems(5, 0)
    ]
    figure = curves.bowls_figure(bowls)
    for (_, problem, path), (contour, line, star) in zip(bowls, (figure.data[:3], figure.data[3:]), strict=True):
        row, column = np.unravel_index(np.argmin(contour.z), contour.z.shape)
        assert (contour.x[column], contour.y[row]) == pytest.approx(tuple(problem.best))
        assert (star.x[0], star.y[0]) == pytest.approx(tuple(problem.best))
        np.testing.assert_allclose(np.stack([line.x, line.y], 1), path)
    assert figure.layout.yaxis.scaleanchor == "x" and figure.layout.yaxis2.scaleanchor == "x2"


def test_a_path_that_leaves_is_drawn_to_where_it_has_left():
    problem, _ = made_problems(5, 0)
    path = descend(problem, 1.3 * problem.largest_rate, problem.best + 1, 40)
    line = curves.bowls_figure([("one", problem, path)]).data[1]
    assert 2 < len(line.x) < 41 and np.abs(line.y[:-1] - problem.best[1]).max() <= 3.6 < abs(line.y[-1])


def test_means_are_a_curve_a_norm():
    figure = curves.means_figure(
        np.array([1, 2]), {"Batch norm": np.array([0.5, 0.1]), "Layer norm": np.array([0.3, 0.3])}
    )
    assert {line.name: list(line.y) for line in figure.data} == {"Batch norm": [0.5, 0.1], "Layer norm": [0.3, 0.3]}


def test_a_photograph_minus_a_mean_is_gray_where_both_are_equal():
    pixels = np.full((4, 4, 3), (200, 100, 50), np.uint8)
    other = np.full((4, 4, 3), (100, 100, 50), np.uint8)
    mean = mean_image([pixels, other])
    assert difference_pixels(pixels, mean.image)[0, 0].tolist() == [152, 128, 128]  # 127.5 + half of 50, 0, 0
    drawn = preprocessing_strip(pixels, mean)
    shown = rgb(drawn.png)
    for row in (CAPTION + 5, SIDE + 2 * CAPTION + 5):
        assert shown[row, 5].tolist() == [200, 100, 50]
        assert shown[row, SIDE + GAP + 5].tolist() == [150, 100, 50]
        assert shown[row, 2 * (SIDE + GAP) + 5].tolist() == [152, 128, 128]
    assert {"− mean image, 48 numbers", "− channel means, 3 numbers"} <= {text for *_, text in drawn.words}
