"""Progress bar for a terminal: one line, rewritten in place; plain lines where the output is a file."""

from __future__ import annotations

import sys
import time
from typing import TextIO

WIDTH = 24


def can_show(text: str, stream: TextIO) -> bool:
    """Whether the stream's encoding has all these characters."""
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


class ProgressBar:
    """`update(share, text)` at most ten times a second; `line(text)` prints a line that stays."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()
        self.last, self.length = 0.0, 0

    def update(self, share: float, text: str) -> None:
        """Show `share` (0..1) as a bar beside `text`."""
        now = time.monotonic()
        if now - self.last < (0.1 if self.live else 15.0) and share < 1:
            return
        self.last = now
        filled = round(min(max(share, 0.0), 1.0) * WIDTH)
        shown = f"{'█' * filled}{'░' * (WIDTH - filled)} {text}"
        if self.live:
            self.stream.write("\r" + shown.ljust(self.length))
            self.length = len(shown)
        else:
            self.stream.write(shown + "\n")
        self.stream.flush()

    def line(self, text: str) -> None:
        """A line above the bar."""
        self.clear()
        self.stream.write(text + "\n")
        self.stream.flush()

    def clear(self) -> None:
        """Remove the bar."""
        if self.live and self.length:
            self.stream.write("\r" + " " * self.length + "\r")
            self.length = 0
