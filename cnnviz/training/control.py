"""Pause, step and stop a training from another thread while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable

LOOK = 0.2  # seconds between two reports of a training that is paused


class TrainingControl:
    """Handed to `train`, and steered from any thread: the training obeys between two steps.

    `pause` and `resume`; `step`: so many steps more, then pause; `stop`: end, so that the same call goes on from
    there."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._paused = self._stopped = False
        self._allowed = 0

    @property
    def paused(self) -> bool:
        """Whether the training waits, or will after the steps that it may still make."""
        with self._changed:
            return self._paused

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        with self._changed:
            return self._stopped

    def pause(self) -> None:
        """Wait before the next step."""
        self._set(paused=True)

    def resume(self) -> None:
        """Go on."""
        self._set(paused=False)

    def step(self, count: int = 1) -> None:
        """Make `count` steps, then pause. Raises ValueError for less than one."""
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}.")
        self._set(paused=True, more=count)

    def stop(self) -> None:
        """End before the next step, for good."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _set(self, paused: bool, more: int = 0) -> None:
        with self._changed:
            self._paused, self._allowed = paused, self._allowed + more if more else 0
            self._changed.notify_all()

    def wait(self, report: Callable[[], bool] = lambda: True) -> bool:
        """Called by the training before each step: True once it may be made, False if it shall end.

        `report()`: asked several times a second while it is paused; False ends it, too."""
        while True:
            with self._changed:
                if self._stopped:
                    return False
                if not self._paused:
                    return True
                if self._allowed:
                    self._allowed -= 1
                    return True
            if not report():
                return False
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or not self._paused or self._allowed > 0, LOOK)
