"""Pooling, against the book's figures, loops and PyTorch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nets import images

from cnnviz.errors import BadInput
from cnnviz.studies.pooling.maxout import learned_invariance, quarter_turns
from cnnviz.studies.pooling.pooling import KINDS, pool, pool_channels, pool_row, pool_rows, stochastic_mean

GRID = np.arange(9).reshape(3, 3)


def test_the_book_s_rows_four_inputs_and_two_outputs_change():
    found = pool_rows()
    assert found.detector.tolist() == [0.1, 1, 0.2, 0.1] and found.shifted.tolist() == [0.3, 0.1, 1, 0.2]
    assert found.pooled.tolist() == [1, 1, 1, 0.2] and found.pooled_shifted.tolist() == [0.3, 1, 1, 1]
    assert found.sentence == "4 of 4 inputs and 2 of 4 outputs change"


def test_rows_shift_either_way_as_far_as_one_likes():
    assert pool_rows([1, 2, 3], [8, 9], 2).shifted.tolist() == [9, 8, 1]
    assert pool_rows([1, 2, 3], [8, 9], -2).shifted.tolist() == [3, 8, 9]
    assert pool_rows([1, 2, 3], [7, 8, 9], 5).shifted.tolist() == [9, 9, 9]
    assert not pool_rows([1, 2, 3], [], 0).outputs_changed.any()
    with pytest.raises(BadInput, match="enters"):
        pool_rows([1, 2], [], 1)
    assert pool_row([1, 5, 2, 3], "average", 2, 2).tolist() == [3, 2.5]


def test_the_lecture_s_three_by_three_grid():
    assert pool(GRID, "max", 2, 1).tolist() == [[4, 5], [7, 8]]
    assert pool(GRID, "average", 2, 1).tolist() == [[2, 3], [5, 6]]


@pytest.mark.parametrize("size, stride", [(2, 2), (3, 2), (3, 1)])
def test_pooling_agrees_with_pytorch(size, stride):
    maps = images(1, (9, 8)).double()
    np.testing.assert_allclose(pool(maps[0].numpy(), "max", size, stride), F.max_pool2d(maps, size, stride)[0])
    np.testing.assert_allclose(pool(maps[0].numpy(), "average", size, stride), F.avg_pool2d(maps, size, stride)[0])
    power = F.lp_pool2d(maps, 2, size, stride)[0] / size
    np.testing.assert_allclose(pool(maps[0].numpy(), "rms", size, stride), power)


def test_invariant_11_average_is_at_most_rms_is_at_most_maximum():
    maps = np.random.default_rng(0).random((5, 12, 12))
    average, rms, largest = (pool(maps, kind, 3, 2) for kind in ("average", "rms", "max"))
    assert (average <= rms + 1e-12).all() and (rms <= largest + 1e-12).all()
    signed = -maps
    assert (pool(signed, "average", 3, 2) < pool(signed, "rms", 3, 2)).all()
    assert (pool(signed, "rms", 3, 2) > pool(signed, "max", 3, 2)).all()  # only of values from 0 up


def test_invariant_12_stochastic_pooling_draws_in_proportion_and_is_seeded():
    window = np.array([[1.0, 0.0], [3.0, 2.0]])
    draws = np.array([float(pool(window, "stochastic", 2, seed=s)[0, 0]) for s in range(4000)])
    shares = {value: (draws == value).mean() for value in (0.0, 1.0, 2.0, 3.0)}
    assert shares[0.0] == 0 and shares[3.0] == pytest.approx(3 / 6, abs=0.03)
    expected = (1 + 9 + 4) / 6
    assert float(stochastic_mean(window)[0, 0]) == pytest.approx(expected)
    assert draws.mean() == pytest.approx(expected, abs=5 * draws.std() / np.sqrt(len(draws)))
    maps = np.random.default_rng(1).random((3, 8, 8))
    np.testing.assert_array_equal(pool(maps, "stochastic", seed=5), pool(maps, "stochastic", seed=5))
    assert not np.array_equal(pool(maps, "stochastic", seed=5), pool(maps, "stochastic", seed=6))
    assert not pool(np.zeros((4, 4)), "stochastic").any() and not stochastic_mean(np.zeros((4, 4))).any()
    with pytest.raises(BadInput, match="0 or more"):
        pool(-window, "stochastic")


def test_invariant_7_a_strided_maximum_is_the_dense_one_subsampled():
    maps = np.random.default_rng(0).normal(size=(2, 11, 10))
    for size, stride in [(2, 2), (3, 2), (3, 3), (2, 5)]:
        dense = pool(maps, "max", size, 1)[:, ::stride, ::stride]
        np.testing.assert_array_equal(pool(maps, "max", size, stride), dense)


def test_invariant_6_a_strided_convolution_is_the_dense_one_subsampled():
    torch.manual_seed(0)
    x, w = images(1, (12, 12)).double(), torch.randn(4, 3, 3, 3, dtype=torch.float64)
    padded = F.pad(x.roll((5, 2), (2, 3)), (1, 1, 1, 1), mode="circular")
    dense = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="circular"), w).roll((5, 2), (2, 3))
    torch.testing.assert_close(F.conv2d(padded, w, stride=3), dense[:, :, ::3, ::3], rtol=1e-10, atol=1e-10)


def test_invariant_10_averages_keep_their_mean_under_every_shift_and_maxima_do_not():
    x = images(1, (12, 12)).double()
    for d in range(1, 12):
        moved = x.roll((d, 2 * d), (2, 3))
        averages = [F.avg_pool2d(m, 3) for m in (x, moved)]
        torch.testing.assert_close(averages[0].mean((2, 3)), averages[1].mean((2, 3)), rtol=1e-10, atol=1e-10)
        if d % 3:
            assert (averages[0] - averages[1]).abs().max() > 0.1  # although the map changes
            maxima = [F.max_pool2d(m, 3).mean((2, 3)) for m in (x, moved)]
            assert (maxima[0] - maxima[1]).abs().max() > 1e-3


def test_invariant_13_a_maximum_over_rotated_filters_does_not_see_a_turn():
    grain = np.random.default_rng(0)
    found = learned_invariance(grain.normal(size=(3, 3)), grain.normal(size=(7, 7)))
    assert np.ptp(found.pooled) < 1e-10 and np.ptp(found.responses[:, 0]) > 0.1
    assert sorted(np.round(found.responses[1], 9)) == sorted(np.round(found.responses[0], 9))
    assert (found.responses.argmax(1) - found.responses[0].argmax()).tolist() != [0] * 4
    corner = found.maps[:, :, 0, 0].max(axis=1)
    assert np.ptp(corner) > 0.1  # elsewhere the map itself is turned
    with pytest.raises(BadInput, match="middle"):
        learned_invariance(np.ones((2, 2)), np.ones((7, 7)))


@pytest.mark.parametrize("dtype, limit", [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_invariant_14_turning_the_image_is_turning_the_filter_back_and_stride_2_wants_odd_lengths(dtype, limit):
    torch.manual_seed(0)
    w = torch.randn(4, 3, 3, 3, dtype=dtype)

    def error(n: int, stride: int) -> float:
        x = images(1, (n, n)).to(dtype)
        turned = F.conv2d(x.rot90(1, (2, 3)), w, stride=stride, padding=1)
        other = F.conv2d(x, w.rot90(-1, (2, 3)), stride=stride, padding=1).rot90(1, (2, 3))
        return float((turned - other).norm() / other.norm())

    assert error(8, 1) < limit and error(9, 1) < limit and error(9, 2) < limit
    assert error(8, 2) > 0.1


def test_a_maximum_across_channels_takes_neighbours_together():
    maps = np.arange(12).reshape(4, 3, 1) % 5
    np.testing.assert_array_equal(pool_channels(maps), maps.max(0, keepdims=True))
    np.testing.assert_array_equal(pool_channels(maps, 2), np.stack([maps[:2].max(0), maps[2:].max(0)]))
    with pytest.raises(BadInput, match="at a time"):
        pool_channels(maps, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_windows_that_do_not_fit_are_refused(kind):
    with pytest.raises(BadInput, match="does not fit"):
        pool(np.ones((2, 2)), kind, 3)
    with pytest.raises(BadInput, match="max, average"):
        pool(np.ones((2, 2)), "median")
    with pytest.raises(BadInput, match="square"):
        quarter_turns(np.ones((2, 3)))


def test_l2_is_the_root_of_the_sum_of_squares_as_pytorch_has_it():
    maps = images(1, (9, 8)).double()
    np.testing.assert_allclose(pool(maps[0].numpy(), "l2", 3, 2), F.lp_pool2d(maps, 2, 3, 2)[0])
    assert pool_row([3, 4, 0], "l2", 3).tolist() == [5, 5, 4]


def test_a_row_is_drawn_by_its_seed_and_only_a_window_that_changed_draws_anew():
    row = [0.1, 1, 0.2, 0.1]
    windows = [row[:2], row[:3], row[1:], row[2:]]
    draws = np.array([pool_row(row, "stochastic", 3, seed=seed) for seed in range(3000)])
    for unit, window in enumerate(windows):
        assert set(draws[:, unit]) <= set(window)
        assert draws[:, unit].mean() == pytest.approx(np.square(window).sum() / sum(window), abs=0.03)
    same = pool_rows([0.5, 0.5, 0.5], [0.5], 1, "stochastic", seed=3)
    assert not same.outputs_changed.any()
    with pytest.raises(BadInput, match="0 or more"):
        pool_row([1, -1], "stochastic")


def test_rounding_is_no_change():
    found = pool_rows([0.1, 0.2, 0.3, 0.1, 0.2, 0.3], [0.3], 1, "average", 3)
    assert found.inputs_changed.all()
    assert found.outputs_changed.tolist() == [True, False, False, False, False, True]
