"""Progress of long work: how far it is, the time left in words, and how it is stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cnnviz.errors import Cancelled

StudyWatcher = Callable[["StudyProgress"], bool | None]


@dataclass(frozen=True, slots=True)
class StudyProgress:
    """Where a study stands: `done` of `total` steps, `what` it is at, an estimate of the seconds left.
    A callback that returns False stops the study."""

    done: int
    total: int
    what: str
    seconds_left: float


class Ticker:
    """Counts a study's steps and tells `progress` of each."""

    def __init__(self, total: int, progress: StudyWatcher | None = None) -> None:
        self.total, self.progress, self.done = total, progress, 0
        self.started = time.monotonic()

    def tick(self, what: str, steps: int = 1) -> None:
        """`steps` more are done. Raises Cancelled if the callback returns False."""
        self.done += steps
        if self.progress is None:
            return
        left = (time.monotonic() - self.started) / max(self.done, 1) * max(self.total - self.done, 0)
        if self.progress(StudyProgress(self.done, self.total, what, left)) is False and self.done < self.total:
            raise Cancelled(f"Stopped after {self.done} of {self.total} steps ({what}). Nothing was changed.")


def duration(seconds: float) -> str:
    """Seconds in words: 42.0 → "42 s", 420 → "7 min", 12,600 → "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
