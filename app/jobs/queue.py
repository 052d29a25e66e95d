"""A queue of jobs: how many run at once, and who comes next."""

from __future__ import annotations

import threading
from collections.abc import Hashable


class JobQueue:
    """At most `places` jobs run at once, of one person at most `each`; first come, first served among those who may.

    Whoever has no more than `each` running never waits for one who has. Every method is thread-safe."""

    def __init__(self, places: int, each: int | None = None) -> None:
        self.places, self.each = places, each or places
        self._changed = threading.Condition()
        self._waiting: list[Ticket] = []
        self._running: list[Ticket] = []

    def join(self, who: Hashable | None = None) -> Ticket:
        """A ticket at the end of the queue. `who`: the person; None is nobody in particular."""
        ticket = Ticket(self, who)
        with self._changed:
            self._waiting.append(ticket)
        return ticket

    def held_by(self, who: Hashable) -> int:
        """How many tickets a person has, waiting and running."""
        with self._changed:
            return sum(ticket.who == who for ticket in self._waiting + self._running)

    def wake(self) -> None:
        """Let those who wait look again whether they still want to."""
        with self._changed:
            self._changed.notify_all()

    def _next(self) -> Ticket | None:
        """Whose turn it is; None while every place is taken."""
        if len(self._running) >= self.places:
            return None
        return next((ticket for ticket in self._waiting if ticket.who is None or self._has_room(ticket.who)), None)

    def _has_room(self, who: Hashable) -> bool:
        return sum(ticket.who == who for ticket in self._running) < self.each


class Ticket:
    """One job's place in a queue."""

    def __init__(self, queue: JobQueue, who: Hashable | None) -> None:
        self.queue, self.who = queue, who

    @property
    def place(self) -> int:
        """1 for the first who waits; 0 once it is running, or over."""
        with self.queue._changed:
            return self.queue._waiting.index(self) + 1 if self in self.queue._waiting else 0

    def wait(self, given_up: threading.Event) -> bool:
        """Wait for the turn, and take it; False if it was given up meanwhile. Then, too, `end` has to be called."""
        queue = self.queue
        with queue._changed:
            while not given_up.is_set():
                if queue._next() is self:
                    queue._waiting.remove(self)
                    queue._running.append(self)
                    queue._changed.notify_all()  # there may be a place for another one
                    return True
                queue._changed.wait()
        return False

    def end(self) -> None:
        """Make room for the next."""
        with self.queue._changed:
            for tickets in (self.queue._waiting, self.queue._running):
                if self in tickets:
                    tickets.remove(self)
            self.queue._changed.notify_all()
