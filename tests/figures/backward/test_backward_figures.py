"""Figures of the backward pass: what they draw is what they are given."""

import numpy as np
import pytest

from cnnviz.figures.backward.flow import flow_figure, flow_sentence, is_growing, norm_text
from cnnviz.figures.backward.through import conv_tables, matrix_tables, pool_tables, slices_strip, tables_scene
from cnnviz.studies.backward.flow import GradientFlow
from cnnviz.studies.convolution.toeplitz import build_toeplitz


def flow(first: float, last: float) -> GradientFlow:
    ones = np.ones(3)
    return GradientFlow("net", ("a", "b", "c"), np.array([first, 1.0, last]), ones, ones, 1.0, 2)


@pytest.mark.parametrize(
    ("first", "last", "says"),
    [
        (400.0, 0.2, "growing 2000-fold towards the input"),
        (4e-12, 0.1, "shrinking 2.5·10¹⁰-fold towards the input"),
        (1.0, 3.0, "of one order"),
        (0.0, 1.0, "no gradient reaches the first layer"),
        (float("nan"), 1.0, "not known"),
    ],
)
def test_the_words_depend_on_what_was_measured(first, last, says):
    found = flow(first, last)
    assert says in flow_sentence("net", found)
    assert is_growing(found) == says.startswith("growing")


def test_a_norm_of_0_has_no_place_on_a_log_axis():
    figure = flow_figure([("net", flow(0.0, 2.0))])
    assert np.isnan(figure.data[0].y[0]) and list(figure.data[0].y[1:]) == [1, 2] and figure.layout.yaxis.type == "log"


@pytest.mark.parametrize(
    ("value", "text"), [(0.12, "0.12"), (354.2, "354"), (4e5, "4.0·10⁵"), (4e-12, "4.0·10⁻¹²"), (0, "0")]
)
def test_norms_are_written_with_two_digits(value, text):
    assert norm_text(value) == text


def test_a_weight_keeps_its_letter_and_colour_when_the_kernel_is_turned():
    kernel = np.arange(1.0, 7).reshape(2, 3)
    forward, spread, turned, result = conv_tables(kernel, np.ones((2, 2)), np.ones((4, 5)), 2)
    assert "".join(cell.corner for line in forward.cells for cell in line) == "abcdef"
    assert "".join(cell.corner for line in turned.cells for cell in line) == "fedcba"
    assert turned.values.tolist() == [[6, 5, 4], [3, 2, 1]] and turned.cells[0][0].fill == forward.cells[1][2].fill
    # laid on without a flip, the turned kernel fits the padded gradient as often as x has values
    assert tuple(n - k + 1 for n, k in zip(spread.values.shape, kernel.shape, strict=True)) == (4, 5)
    assert spread.values.sum() == 4 and result.values.shape == (4, 5)


def test_the_transpose_holds_the_same_weights_in_the_same_colours():
    found = build_toeplitz(np.array([[1.0, 2, 3]]), (1, 5))
    whole, over, _, _ = matrix_tables(found.matrix, found.weight, np.ones((1, 3)), np.ones((1, 5)))
    assert np.array_equal(over.values, whole.values.T)
    assert all(over.cells[j][i] == whole.cells[i][j] for i, j in np.ndindex(*whole.values.shape))


def test_of_equal_maxima_the_first_is_marked_and_scenes_can_be_drawn():
    x = np.array([[3.0, 3], [3, 1]])
    tables = pool_tables(x, np.ones((1, 1)), np.array([[1.0, 0], [0, 0]]), 2, 2)
    assert [[cell.bold for cell in line] for line in tables[0].cells] == [[True, False], [False, False]]
    for width in (860, 380):
        text = tables_scene(tables, "equal", width).svg()
        assert text.count("∂L/∂x") == 1 and "equal" in text


def test_regrouped_slices_name_both_shapes():
    strip = slices_strip(np.ones((20, 3, 3, 3)), np.ones((3, 20, 3, 3)))
    assert [words[3] for words in strip.words] == ["forward: 20×3×3×3", "backward: 3×20×3×3, turned"]
