"""What a click asks for is carried out whole.

Streamlit turns to the next message of the browser wherever the state of the session is read or written, also within
the callback of the one before: a second click, or a press that is said again, cuts the first off in the middle, and
what it should still have chosen is lost."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from streamlit.runtime.state.safe_session_state import SafeSessionState

_PATCHED = "cnnviz_whole"


def carry_out_whole() -> None:
    """From now on the next message waits until all callbacks of the present one have run."""
    run: Callable[..., None] = SafeSessionState.on_script_will_rerun
    if getattr(run, _PATCHED, False):
        return

    @wraps(run)
    def run_whole(self: SafeSessionState, *args: Any, **named: Any) -> None:
        turn = self._yield_callback
        turn()
        object.__setattr__(self, "_yield_callback", _stay)
        try:
            run(self, *args, **named)
        finally:
            object.__setattr__(self, "_yield_callback", turn)

    setattr(run_whole, _PATCHED, True)
    SafeSessionState.on_script_will_rerun = run_whole  # type: ignore[method-assign]


def _stay() -> None:
    """In place of turning to the next message."""
