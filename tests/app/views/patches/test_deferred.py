"""Results that come after the first paint: the first at once, the others in slices, the next click's last."""

import pytest

from app import limits
from app.session.cache import picture_cache
from app.url import address
from app.views.patches import deferred
from app.views.patches.deferred import Deferred


class Redrawn(Exception):
    """Stands for the end of a run that asks for another."""


@pytest.fixture
def made(monkeypatch):
    """What has been computed, in order. The page is not really drawn, and no time limit ends a slice."""

    def redrawn():
        raise Redrawn

    monkeypatch.setattr(address, "rerun", redrawn)
    monkeypatch.setattr(address, "finish", lambda: None)
    monkeypatch.setattr(deferred, "SLICE", 1e9)
    return []


def page(made, names, soon=()):
    """One run of a page that wants these results, of which small letters lead; returns those that were there."""
    later, found = Deferred(), []
    for name in names:
        result = later.get((name,), lambda n=name: made.append(n) or n, lead=name.islower())
        found += [result] if result is not None else []
    for name in soon:
        later.prepare([((name,), lambda n=name: made.append(n) or n)])
    try:
        later.work()
    except Redrawn:
        return found, True
    return found, False


def test_the_first_result_is_shown_as_soon_as_it_is_there_and_the_others_together(made):
    assert page(made, "abcd") == ([], True) and made == ["a"]
    assert page(made, "abcd") == (["a"], True) and made == list("abcd")
    assert page(made, "abcd") == (list("abcd"), False) and made == list("abcd")


def test_what_leads_comes_first_and_at_once_also_beside_others_that_are_there_or_wait(made):
    assert page(made, "A") == ([], True) and page(made, "A") == (["A"], False)
    assert page(made, "ABab") == (["A"], True) and made == ["A", "a"]
    assert page(made, "ABab") == (["A", "a"], True) and made == ["A", "a", "B", "b"]
    assert page(made, "ABab") == (["A", "B", "a", "b"], False)
    assert page(made, "CD") == ([], True) and made[4:] == ["C", "D"]


def test_what_the_next_click_may_need_is_made_when_nothing_else_waits_and_draws_nothing_anew(made):
    assert page(made, "a", "xy") == ([], True) and made == ["a"]
    assert page(made, "a", "xy") == (["a"], False) and made == ["a", "x", "y"]
    assert page(made, "a", "xy") == (["a"], False) and made == ["a", "x", "y"]
    assert page(made, "x") == (["x"], False)


def test_the_least_recently_used_pictures_go_when_there_are_too_many_bytes(monkeypatch):
    monkeypatch.setattr(limits, "PICTURES", 1000)
    for name in "abc":
        picture_cache().get((name,), lambda: bytes(300))
    picture_cache().get(("a",), lambda: pytest.fail("it is there"))
    picture_cache().get(("d",), lambda: bytes(300))
    assert [(name,) in picture_cache() for name in "abcd"] == [True, False, True, True]
    picture_cache().get(("e",), lambda: [bytes(950)])
    assert [(name,) in picture_cache() for name in "abcde"] == [False, False, False, False, True]
