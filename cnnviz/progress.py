"""Progress of long work: how much is done, how long the rest takes, and how it is stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from cnnviz.errors import Cancelled
from cnnviz.wording import plural


@dataclass(frozen=True, slots=True)
class Progress:
    """Where long work stands. A callback that is given one and returns False stops the work.

    `done` of `total`: steps, images, points; a total of 0 is unknown. `what`: what is counted, or what it is at.
    `seconds_left`: an estimate, NaN while there is none. `part`: 0 … 1, how much of the next step is done. `note`: what
    else is worth saying."""

    done: int
    total: int
    what: str = ""
    seconds_left: float = math.nan
    part: float = 0.0
    note: str = ""

    @property
    def share(self) -> float:
        """0 … 1: how much of the whole is done."""
        return min((self.done + self.part) / self.total, 1.0) if self.total else 0.0

    def describe(self) -> str:
        """ "12 of 300 images, 35 images/s, 8 s left"; of a single step what it is alone."""
        counted = f"{self.done:,} of {self.total:,} {self.what}" if self.total else f"{self.done:,} {self.what}"
        parts = [self.what if self.total == 1 else counted.rstrip(), self.note]
        if self.done and not math.isnan(self.seconds_left):
            parts.append(f"{duration(self.seconds_left)} left")
        return ", ".join(part for part in parts if part)


StudyWatcher = Callable[[Progress], bool | None]


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
        if self.progress(Progress(self.done, self.total, what, left)) is False and self.done < self.total:
            raise Cancelled(f"Stopped after {self.done} of {plural(self.total, 'step')} ({what}). Nothing was changed.")


def duration(seconds: float) -> str:
    """Seconds in words: 42.0 → "42 s", 420 → "7 min", 12,600 → "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def format_ordinal(number: int) -> str:
    """ "1st", "2nd", "3rd", "4th", "11th", "21st"."""
    last = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else last}"
