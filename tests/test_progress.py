"""Progress of long work: its share, its words, and those for the time left."""

import pytest

from cnnviz.progress import Progress, duration


@pytest.mark.parametrize(
    "seconds, words", [(0.4, "0 s"), (42, "42 s"), (89.4, "89 s"), (90, "2 min"), (420, "7 min"), (12_600, "3.5 h")]
)
def test_the_time_left_is_said_in_its_largest_sensible_unit(seconds, words):
    assert duration(seconds) == words


def test_progress_is_said_with_what_is_counted_a_note_and_the_time_left():
    assert (
        Progress(12, 3000, "images", 8.2, note="35 images/s").describe() == "12 of 3,000 images, 35 images/s, 8 s left"
    )
    assert Progress(0, 9, "shifts", 8.2).describe() == "0 of 9 shifts"  # no estimate before the first step
    assert Progress(3, 0, "MB").describe() == "3 MB"  # how many there are is not known
    assert Progress(0, 1, "preparing").describe() == "preparing"


def test_the_share_counts_the_step_that_is_under_way_and_stays_within_the_whole():
    assert Progress(1, 4, part=0.5).share == 0.375
    assert Progress(5, 4).share == 1.0 and Progress(5, 0).share == 0.0
