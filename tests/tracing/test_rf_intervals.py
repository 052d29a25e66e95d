"""Interval arithmetic against sets of pixels written out slowly."""

from fractions import Fraction

import numpy as np
import pytest

from cnnviz.tracing import rf_intervals
from cnnviz.tracing.rf_intervals import image_axis
from cnnviz.tracing.rf_table import FieldTable


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
    beyond = rf_intervals.gather(image_axis(9), np.full((4, 1), -3), 1)
    axis = rf_intervals.collapse_axis(beyond)
    assert rf_intervals.pixel_range(axis, 0, True)[0] == rf_intervals.pixel_range(axis, 0, True)[1]


def test_an_axis_of_several_dimensions_is_read_along_one_of_them():
    both = FieldTable()
    turned = rf_intervals.gather(image_axis(6), np.arange(6)[::-1, None], -1)
    numbers = np.stack([both.add(axis, (6,)) for axis in (image_axis(6), turned)])  # (2, 6): as it is and turned round
    found = rf_intervals.windows(both.read(numbers), 4, 3, dim=1)
    assert [found.low[0, 1], found.high[0, 1], found.low[1, 1], found.high[1, 1]] == [1, 3, 2, 4]
    united = rf_intervals.collapse_axis(found, [0])
    assert [rf_intervals.pixel_range(united, (0, j), True) for j in range(4)] == [(0, 6), (1, 5), (1, 5), (0, 6)]


@pytest.mark.parametrize(
    "move, pace",
    [(np.flip, -1), (lambda n: n[::2], 2), (lambda n: n.repeat(2), Fraction(1, 2)), (lambda n: np.roll(n, 2), 1)],
)
def test_the_step_after_a_move_is_that_from_one_unit_to_the_next(move, pace):
    axis = rf_intervals.windows(image_axis(20), 9, 3, 2)
    table = FieldTable()
    found = table.read(move(table.add(axis, (9,))))
    assert found.step == 2 * pace
    assert found.low.tolist() == move(axis.low).tolist()


def test_elements_that_see_nothing_have_the_number_0():
    table = FieldTable()
    numbers = np.concatenate([[0, 0], table.add(image_axis(3), (3,))])
    found = table.read(numbers)
    assert_bounds(found, [set(), set(), {0}, {1}, {2}])
    assert table.read(numbers[:2]) is None
