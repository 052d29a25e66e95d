"""The playground's arithmetic: the lecture's numbers, and PyTorch or a loop as the second opinion."""

from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cnnviz.errors import BadInput
from cnnviz.studies.convolution.convolution import (
    GRID,
    KERNEL,
    SHARPEN,
    SHARPEN_GRID,
    convolve,
    correlate,
    count_visits,
    full_convolution,
    full_correlation,
    output_size,
    pad_axes,
)
from cnnviz.studies.convolution.toeplitz import build_toeplitz


def test_the_first_example_of_the_lecture_with_its_sums_written_out():
    found = convolve(GRID, KERNEL)
    assert found.output[0].tolist() == [[19, 25], [37, 43]]
    assert found.step(0, 0).text == "0·0 + 1·1 + 3·2 + 4·3 = 19"
    assert found.step(1, 1).text == "4·0 + 5·1 + 7·2 + 8·3 = 43"
    assert convolve(GRID, KERNEL, flip=True).output[0].tolist() == [[5, 11], [23, 29]]


def test_a_second_channel_is_added_to_the_first():
    second, weights = np.arange(1, 10).reshape(3, 3), [[1, 2], [3, 4]]
    found = convolve([GRID, second], [KERNEL, weights])
    assert found.output[0].tolist() == [[56, 72], [104, 120]]
    step = found.step(0, 0)
    assert step.sums.tolist() == [19, 37] and step.value == 56 and step.text.endswith("5·4 = 56")


def test_the_sharpening_example_begins_with_114():
    rows = [
        [114, 328, -26, 470, 158],
        [53, 266, -61, -30, 344],
        [403, 116, -47, 295, 244],
        [108, -135, 256, -128, 344],
        [314, 346, 279, 153, 421],
    ]
    found = convolve(SHARPEN_GRID, SHARPEN, padding=1)
    assert found.output[0].tolist() == rows
    assert found.step(0, 0).text == "0·0 + 0·(−1) + 0·0 + 0·(−1) + 60·5 + 113·(−1) + 0·0 + 73·(−1) + 121·0 = 114"
    assert correlate(SHARPEN_GRID, SHARPEN).tolist() == [row[1:4] for row in rows[1:4]]


@pytest.mark.parametrize("stride, padding, dilation, groups", [(1, 0, 1, 1), (2, 1, 1, 2), (3, 2, 2, 4), (1, 2, 3, 1)])
def test_every_setting_agrees_with_pytorch_and_each_step_with_its_output(stride, padding, dilation, groups):
    grain = np.random.default_rng(0)
    grid, kernels, bias = grain.normal(size=(4, 9, 11)), grain.normal(size=(8, 4 // groups, 3, 2)), grain.normal(size=8)
    found = convolve(grid, kernels, bias, stride, padding, dilation, groups)
    expected = F.conv2d(*map(torch.from_numpy, (grid[None], kernels, bias)), stride, padding, dilation, groups)[0]
    np.testing.assert_allclose(found.output, expected.numpy(), atol=1e-12)
    for place in [(0, 0, 0), (7, 1, 2), (3, *(n - 1 for n in found.output.shape[1:]))]:
        step = found.step(place[1], place[2], place[0])
        assert step.products.sum() + step.bias == pytest.approx(found.output[place], abs=1e-12)
        np.testing.assert_allclose(step.sums.sum() + step.bias, step.value, atol=1e-12)


def test_a_one_by_one_convolution_mixes_channels_at_each_place():
    grid, weights = np.random.default_rng(0).normal(size=(3, 4, 5)), np.array([[1.0, -2.0, 0.5]])
    found = convolve(grid, weights[:, :, None, None]).output
    np.testing.assert_allclose(found, np.tensordot(weights, grid, 1), atol=1e-12)


def test_convolution_commutes_and_correlation_does_not():
    a, b = np.random.default_rng(0).normal(size=(4, 6)), np.array(KERNEL, float)
    np.testing.assert_allclose(full_convolution(a, b), full_convolution(b, a), atol=1e-12)
    np.testing.assert_allclose(full_correlation(a, b), full_correlation(b, a)[::-1, ::-1], atol=1e-12)
    assert not np.allclose(full_correlation(a, b), full_correlation(b, a))
    slow = np.zeros((5, 7))
    for i, j, k, m in np.ndindex(4, 6, 2, 2):
        slow[i + k, j + m] += a[i, j] * b[k, m]
    np.testing.assert_allclose(full_convolution(a, b), slow, atol=1e-12)


@pytest.mark.parametrize(
    "n, k, stride, padding, size",
    [
        (6, 3, 1, 0, 4),
        (8, 3, 1, 0, 6),
        (6, 3, 1, 1, 6),
        (32, 5, 1, 0, 28),
        (7, 3, 1, 0, 5),
        (7, 3, 2, 0, 3),
        (7, 3, 1, 1, 7),
        (32, 5, 1, 2, 32),
        (227, 11, 4, 0, 55),
        (55, 3, 2, 0, 27),
        (5, 3, 1, 1, 5),
        (5, 5, 1, 2, 5),
    ],
)
def test_output_sizes_of_the_lecture_by_both_formulas(n, k, stride, padding, size):
    found = output_size(n, k, stride, padding)
    assert found.size == size == (n + 2 * padding - k) // stride + 1 == (n - k + 2 * padding + stride) // stride
    assert found.whole and found.unread == 0
    assert found.per_side.endswith(f"+ 1 = {size}") and found.total.endswith(f"⌋ = {size}")


def test_where_the_division_is_not_whole_it_is_said():
    found = output_size(7, 3, 3)
    assert (found.size, found.exact, found.whole, found.unread) == (2, Fraction(7, 3), False, 1)
    assert output_size(7, 3, 1, 0, 3).size == 1
    assert output_size(10, 3, 2, 0, 2).unread == 1


def test_border_pixels_are_read_less_often():
    assert count_visits((5, 5), 3).tolist()[0] == [1, 2, 3, 2, 1] and count_visits((5, 5), 3)[2, 2] == 9
    assert count_visits((5, 5), 3, padding=1)[0].tolist() == [4, 6, 6, 6, 4]
    ones = torch.zeros(1, 1, 7, 6, requires_grad=True)
    F.conv2d(ones, torch.ones(1, 1, 3, 3), stride=2, padding=1, dilation=2).sum().backward()
    np.testing.assert_array_equal(count_visits((7, 6), 3, 2, 1, 2), ones.grad[0, 0].numpy())


def test_one_dimension_as_a_matrix_has_13_weights_of_25_and_3_that_differ():
    found = build_toeplitz([1.0, 2.0, 3.0], 5, padding=1)
    assert (found.dense, found.local, found.shared) == (25, 13, 3)
    assert found.matrix[1].tolist() == [1, 2, 3, 0, 0] and found.matrix[0].tolist() == [2, 3, 0, 0, 0]
    assert found.weight[4].tolist() == [-1, -1, -1, 0, 1]
    for diagonal in range(-4, 5):  # tied along each diagonal
        assert len(set(np.diagonal(found.matrix, diagonal))) == 1


@pytest.mark.parametrize("stride, padding, dilation", [(1, 0, 1), (2, 1, 1), (1, 2, 2)])
def test_two_dimensions_as_a_matrix_compute_the_convolution(stride, padding, dilation):
    grain = np.random.default_rng(0)
    grid, kernel = grain.normal(size=(6, 5)), grain.normal(size=(3, 2))
    found = build_toeplitz(kernel, (6, 5), stride, padding, dilation)
    expected = correlate(grid, kernel, stride, padding, dilation)
    np.testing.assert_allclose((found.matrix @ grid.ravel()).reshape(found.outputs), expected, atol=1e-12)
    assert found.shared == 6 and found.local == (found.matrix != 0).sum() < found.dense


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((np.zeros(3), KERNEL), "grid"),
        ((GRID, np.zeros((4, 4))), "does not fit"),
        (([GRID, GRID], KERNEL), "groups"),
        ((GRID, KERNEL, None, 0), "stride"),
        ((GRID, KERNEL, None, 1, -1), "padding"),
    ],
)
def test_what_does_not_fit_is_said(arguments, words):
    with pytest.raises(BadInput, match=words):
        convolve(*arguments)
    with pytest.raises(BadInput, match="2×2"):
        convolve(GRID, KERNEL).step(2, 0)
    with pytest.raises(BadInput, match="does not fit"):
        build_toeplitz([1.0], (3, 3))


def test_the_channels_of_the_lecture_s_example_are_written_out_and_added_up():
    grid = np.stack([np.arange(9).reshape(3, 3), np.arange(1, 10).reshape(3, 3)])
    found = convolve(grid, np.array([[[0, 1], [2, 3]], [[1, 2], [3, 4]]]))
    assert found.output[0].tolist() == [[56, 72], [104, 120]]
    step = found.step(0, 0)
    assert step.lines == ("0·0 + 1·1 + 3·2 + 4·3 = 19", "1·1 + 2·2 + 4·3 + 5·4 = 37")
    assert step.total == "19 + 37 = 56"
    biased = convolve(grid[:1], np.array([[[-1, 0], [0, 0]]]), np.array([0.5])).step(0, 1)
    assert biased.total == "(−1) + 0.5 = −0.5"


def test_a_row_is_padded_at_its_ends_alone():
    row, kernel = np.arange(1.0, 6)[None], np.array([[1.0, 0, -1]])
    pads = pad_axes(row.shape, kernel.shape, 1)
    found, matrix = convolve(row, kernel, padding=pads), build_toeplitz(kernel, row.shape, 1, pads)
    wanted = F.conv1d(torch.tensor(row)[None], torch.tensor(kernel)[None], padding=1)[0]
    assert pads == (0, 1) and np.array_equal(found.output[0], wanted.numpy())
    assert (matrix.dense, matrix.local, matrix.shared) == (25, 13, 3)  # O(m n), O(k n), and k numbers
    assert np.array_equal(matrix.matrix @ row.ravel(), wanted.numpy().ravel())
    assert pad_axes((5, 1), (3, 1), 2) == (2, 0) and pad_axes((1, 1), (1, 1), 2) == (0, 0)
    assert pad_axes((1, 5), (3, 3), 1) == pad_axes((5, 5), (1, 3), 1) == (1, 1)  # they would not fit, or be conv2d
    both = convolve(np.arange(6.0).reshape(2, 3), np.ones((2, 2)), padding=(1, 0)).output
    assert np.array_equal(
        both, F.conv2d(torch.arange(6.0).reshape(1, 1, 2, 3), torch.ones(1, 1, 2, 2), padding=(1, 0))[0]
    )
