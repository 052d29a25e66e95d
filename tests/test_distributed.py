"""How ranks wait for one another."""

import pytest
from torch.distributed import HashStore

from cnnviz.distributed import Group
from cnnviz.errors import CnnvizError


class Late(HashStore):
    """A board on which rank 1 writes `word` right after somebody has looked for it."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self.word = word

    def check(self, keys: list[str]) -> bool:
        there = super().check(keys)
        if keys == ["end/1"]:
            self.set("end/1", self.word)
        return there


def test_a_rank_that_comes_while_it_is_looked_for_is_not_taken_for_one_that_stopped():
    told: list[str] = []
    Group(Late("here"), 0, 2).wait(lambda: told.append("waits"))
    assert told == ["waits"]


def test_a_rank_that_stops_while_it_is_waited_for_ends_the_others_with_its_reason():
    with pytest.raises(CnnvizError, match="Rank 1 stopped: The disk is full"):
        Group(Late("The disk is full."), 0, 2).wait(lambda: None)
