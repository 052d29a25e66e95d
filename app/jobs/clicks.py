"""Clicks come first: long work waits for a moment while a page is drawn, by the server and then by the browser."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

PAINT = 0.15  # seconds that a browser on the same cores has for a page that the server has drawn
MOST = 1.0  # seconds that work waits at once: pages that are drawn without end do not stop it
_changed = threading.Condition()
_drawing, _drawn_at = 0, 0.0  # pages under way; when the last ended, by time.monotonic()


@contextmanager
def drawing() -> Iterator[None]:
    """Inside, a page is drawn."""
    global _drawing, _drawn_at
    with _changed:
        _drawing += 1
    try:
        yield
    finally:
        with _changed:
            _drawing, _drawn_at = _drawing - 1, time.monotonic()
            _changed.notify_all()


def give_way(most: float = MOST) -> None:
    """Return once no page is being drawn, or was a moment ago; after `most` seconds at the latest."""
    until = time.monotonic() + most
    with _changed:
        while (now := time.monotonic()) < until:
            left = until - now if _drawing else _drawn_at + PAINT - now
            if left <= 0:
                return
            _changed.wait(min(left, until - now))
