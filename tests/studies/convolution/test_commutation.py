import numpy as np
import pytest

from cnnviz.errors import BadInput
from cnnviz.studies.convolution.commutation import swap_operands
from cnnviz.studies.convolution.convolution import shrink_sizes


def full_convolution(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """By the definition, one product at a time."""
    found = np.zeros((a.shape[0] + b.shape[0] - 1, a.shape[1] + b.shape[1] - 1))
    for (i, j), x in np.ndenumerate(a):
        for (k, m), y in np.ndenumerate(b):
            found[i + k, j + m] += x * y
    return found


@pytest.mark.parametrize("shapes", [((3, 3), (2, 2)), ((1, 5), (3, 2)), ((4, 2), (2, 4))])
def test_convolution_commutes_and_correlation_turns_its_result(shapes):
    a, b = (np.random.default_rng(n).normal(size=shape) for n, shape in enumerate(shapes))
    found = swap_operands(a, b, flip=True)
    assert found.equal and np.allclose(found.first, full_convolution(a, b))
    other = swap_operands(a, b, flip=False)
    assert other.turned and not other.equal
    assert np.allclose(other.first, full_convolution(a, b[::-1, ::-1]))


def test_symmetric_tables_hide_the_difference():
    plus = np.array([[0.0, 1, 0], [1, 4, 1], [0, 1, 0]])
    assert swap_operands(plus, np.ones((2, 2)), flip=False).equal


def test_a_row_of_numbers_is_no_table():
    with pytest.raises(BadInput, match="two tables"):
        swap_operands(np.ones(3), np.ones((2, 2)), True)


def test_maps_shrink_until_no_window_fits():
    assert shrink_sizes(32, 5, 1, 0, 7) == [32, 28, 24, 20, 16, 12, 8, 4]
    assert shrink_sizes(32, 5, 1, 0, 20) == [32, 28, 24, 20, 16, 12, 8, 4]
    assert shrink_sizes(32, 5, 1, 2, 3) == [32, 32, 32, 32]
    assert shrink_sizes(227, 11, 4, 0, 1) == [227, 55]
    with pytest.raises(BadInput):
        shrink_sizes(32, 0, 1, 0, 1)
