"""Progress of long work: the words for the time left."""

import pytest

from cnnviz.progress import duration


@pytest.mark.parametrize(
    "seconds, words", [(0.4, "0 s"), (42, "42 s"), (89.4, "89 s"), (90, "2 min"), (420, "7 min"), (12_600, "3.5 h")]
)
def test_the_time_left_is_said_in_its_largest_sensible_unit(seconds, words):
    assert duration(seconds) == words
