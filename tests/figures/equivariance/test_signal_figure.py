"""The figure of one dimension: teeth at the stride, and rings where responses differ."""

import numpy as np

from cnnviz.figures.equivariance.signal import signal_figure
from cnnviz.studies.equivariance.signal import KERNELS, make_signal, shift_signal

SHIFTS = np.arange(9)


def drawn(shift: int, stride: int):
    over = [shift_signal(make_signal(), KERNELS["peak"], int(steps), stride) for steps in SHIFTS]
    return over[shift], signal_figure(over[shift], stride, 1, SHIFTS, over)


def lines(figure) -> dict[str, list[float]]:
    return {line.name: list(line.y) for line in figure.data}


def test_the_error_is_zero_at_multiples_of_the_stride_and_nowhere_else():
    _, figure = drawn(3, 4)
    errors = np.array(lines(figure)["error"])
    assert np.array_equal(errors == 0, SHIFTS % 4 == 0)
    marks = [shape.x0 for shape in figure.layout.shapes if shape.line.dash == "dash"]
    assert marks == [0, 4, 8]
    assert not [shape for shape in drawn(3, 1)[1].layout.shapes if shape.line.dash == "dash"]


def test_rings_stand_where_responses_differ_and_the_response_has_the_stride_s_pitch():
    found, figure = drawn(3, 2)
    moved, other, rings = (line for line in figure.data if line.xaxis == "x2")
    assert list(moved.x) == list(range(0, 64, 2)) and list(moved.y) == list(found.moved)
    apart = [abs(found.moved[at] - found.response_shifted[at]) > 0.01 * max(found.moved) for at in range(32)]
    loop = [2 * at for at in range(32) if apart[at]]
    assert list(rings.x) == loop and loop and list(other.y) == list(found.response_shifted)
    rings = [line for line in drawn(4, 2)[1].data if line.xaxis == "x2"][2]
    assert list(rings.x) == []  # a multiple of the stride


def test_pooling_keeps_more_than_it_is_given():
    _, figure = drawn(0, 1)
    before, after = lines(figure)["before pooling"], lines(figure)["after"]
    assert before[0] == after[0] == 100 and after[1] > before[1]
