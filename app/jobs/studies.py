"""Studies of shifts that take more than a moment: beside the page, with progress, each result kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

from app.jobs import watch
from app.jobs.background import Report
from app.session.cache import study_cache
from cnnviz.errors import Cancelled

Make = Callable[[Report], Any]


def name_of(recipe: tuple) -> str:
    """The key of a job and its result; `recipe` names everything the result depends on."""
    return "equivariance " + hashlib.sha256(repr(recipe).encode()).hexdigest()[:20]


def result(slot: str, recipe: tuple, words: str, make: Make, at_once: bool = True) -> Any | None:
    """What `make(progress)` returns; None while it is computed, with its progress on the page.

    `slot`: where on the page; what this tab was waiting for there before is given up. `at_once`: begin without
    being asked, else behind a button, which also tries again what failed or was cancelled here."""
    key = name_of(recipe)
    watch.follow(slot, key)
    if (found := study_cache().find(key)) is not None:
        return found
    offer = f"Compute: {words}" if at_once else words
    if watch.start_or_offer(slot, key, words, partial(_work, key, make), offer, at_once) is not None:
        watch.draw_jobs(slot, [key])
    return None


def _work(key: str, make: Make, report: Report) -> None:
    if study_cache().find(key) is not None:
        return  # it has come while the page looked for it
    try:
        study_cache().put(key, make(report))
    except Cancelled:
        return  # nothing of it can be kept
