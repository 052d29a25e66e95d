"""Taking turns: how many jobs run at once, and who comes next."""

from __future__ import annotations

import threading
from collections.abc import Hashable


class Line:
    """At most `places` turns at once, of one person at most `each`; first come, first served among those who may.

    Whoever has no more than `each` running never waits for one who has. Every method is thread-safe."""

    def __init__(self, places: int, each: int | None = None) -> None:
        self.places, self.each = places, each or places
        self._changed = threading.Condition()
        self._waiting: list[Turn] = []
        self._running: list[Turn] = []

    def join(self, who: Hashable | None = None) -> Turn:
        """A turn at the end of the line. `who`: the person; None is nobody in particular."""
        turn = Turn(self, who)
        with self._changed:
            self._waiting.append(turn)
        return turn

    def held_by(self, who: Hashable) -> int:
        """How many turns a person has, waiting and running."""
        with self._changed:
            return sum(turn.who == who for turn in self._waiting + self._running)

    def wake(self) -> None:
        """Let those who wait look again whether they still want to."""
        with self._changed:
            self._changed.notify_all()

    def _next(self) -> Turn | None:
        """Whose turn it is; None while every place is taken."""
        if len(self._running) >= self.places:
            return None
        return next((turn for turn in self._waiting if turn.who is None or self._has_room(turn.who)), None)

    def _has_room(self, who: Hashable) -> bool:
        return sum(turn.who == who for turn in self._running) < self.each


class Turn:
    """One job's place in a line."""

    def __init__(self, line: Line, who: Hashable | None) -> None:
        self.line, self.who = line, who

    @property
    def place(self) -> int:
        """1 for the first who waits; 0 once it is running, or over."""
        with self.line._changed:
            return self.line._waiting.index(self) + 1 if self in self.line._waiting else 0

    def wait(self, given_up: threading.Event) -> bool:
        """Wait for the turn, and take it; False if it was given up meanwhile. Then, too, `end` has to be called."""
        line = self.line
        with line._changed:
            while not given_up.is_set():
                if line._next() is self:
                    line._waiting.remove(self)
                    line._running.append(self)
                    line._changed.notify_all()  # there may be a place for another one
                    return True
                line._changed.wait()
        return False

    def end(self) -> None:
        """Make room for the next."""
        with self.line._changed:
            for turns in (self.line._waiting, self.line._running):
                if self in turns:
                    turns.remove(self)
            self.line._changed.notify_all()
