"""Interval arithmetic against sets of pixels written out slowly."""

from fractions import Fraction

import numpy as np
import pytest

from cnnviz.tracing import rf_intervals
from cnnviz.tracing.rf_intervals import image_axis


def seen_sets(count, kernel, stride, padding, dilation, below):
    """Pixels of each unit, from the definition; `below`: sets of the units of the layer underneath."""
    return [
        set().union(*(below[i] for t in range(kernel) if 0 <= (i := j * stride - padding + dilation * t) < len(below)))
        for j in range(count)
    ]


def assert_bounds(axis, sets):
    assert len(axis) == len(sets)
    for index, pixels in enumerate(sets):
        start, stop = rf_intervals.pixel_range(axis, index, clip=True)
        if pixels:
            assert (start, stop) == (min(pixels), max(pixels) + 1)
        else:
            assert start == stop and 0 <= start <= axis.limit


@pytest.mark.parametrize(
    "kernel, stride, padding, dilation",
    [(1, 1, 0, 1), (3, 1, 1, 1), (3, 2, 1, 1), (2, 5, 0, 1), (3, 1, 4, 2), (2, 1, 3, 7), (4, 3, 2, 1)],
)
def test_windows_cover_the_pixels_of_their_taps(kernel, stride, padding, dilation):
    count = (20 + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    first = rf_intervals.windows(image_axis(20), count, kernel, stride, padding, dilation)
    sets = seen_sets(count, kernel, stride, padding, dilation, [{i} for i in range(20)])
    assert_bounds(first, sets)
    second = rf_intervals.windows(first, count, 3, 1, 1)
    assert_bounds(second, seen_sets(count, 3, 1, 1, 1, sets))


def test_free_bounds_ignore_the_border_and_keep_the_formula():
    axis = rf_intervals.windows(rf_intervals.windows(image_axis(11), 6, 3, 2, 1), 3, 5, 2, 2)
    assert axis.step == 4
    assert axis.free_low.tolist() == [-5, -1, 3]  # −(1 + 2·2) + 4j
    assert (axis.free_high - axis.free_low + 1).tolist() == [11, 11, 11]  # 3 + (5 − 1)·2


def test_adaptive_windows_follow_floor_and_ceil():
    axis = rf_intervals.adaptive_windows(image_axis(10), 3)
    assert [rf_intervals.pixel_range(axis, j, True) for j in range(3)] == [(0, 4), (3, 7), (6, 10)]


def test_spread_is_the_transpose_of_windows():
    kernel, stride, padding, dilation, size = 3, 4, 1, 2, 6
    count = (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1
    axis = rf_intervals.transposed_windows(image_axis(size), count, kernel, stride, padding, dilation)
    readers = [set() for _ in range(count)]
    for i in range(size):
        for t in range(kernel):
            if 0 <= (o := i * stride - padding + dilation * t) < count:
                readers[o].add(i)
    assert_bounds(axis, readers)
    assert set() in readers  # stride 4 with dilation 2 leaves gaps
    assert axis.step == Fraction(1, 4)


def test_merge_takes_the_extremes_and_broadcasts_single_units():
    axis = image_axis(5)
    shifted = rf_intervals.gather(axis, np.arange(5)[:, None] + 1, 1)
    both = rf_intervals.merge([axis, shifted])
    assert [rf_intervals.pixel_range(both, j, True) for j in range(5)] == [(0, 2), (1, 3), (2, 4), (3, 5), (4, 5)]
    gate = rf_intervals.merge([axis, rf_intervals.collapse_axis(axis)])
    assert len(gate) == 5 and rf_intervals.pixel_range(gate, 2, True) == (0, 5)
    assert gate.step == 1


def test_whole_of_nothing_sees_nothing():
    axis = rf_intervals.collapse_axis(rf_intervals.unseen_axis(4, 9))
    assert rf_intervals.pixel_range(axis, 0, True)[0] == rf_intervals.pixel_range(axis, 0, True)[1]


def test_scatter_keeps_what_was_there():
    axis = rf_intervals.scatter(image_axis(6), np.array([1, 3]), rf_intervals.gather(image_axis(6), [[5], [0]], 1))
    assert [rf_intervals.pixel_range(axis, j, True) for j in range(4)] == [(0, 1), (1, 6), (2, 3), (0, 4)]
    assert image_axis(6).low.tolist() == list(range(6))


def test_join_puts_axes_side_by_side():
    axis = rf_intervals.join([image_axis(3), rf_intervals.unseen_axis(1, 3), image_axis(3)])
    assert [rf_intervals.pixel_range(axis, j, True)[0] for j in (0, 2, 4, 6)] == [0, 2, 0, 2]
    assert len(axis) == 7
