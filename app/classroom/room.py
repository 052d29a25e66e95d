"""A class that follows its lecturer: the state that all sessions share.

`cnnviz class` starts the app with a token in CNNVIZ_CLASS_TOKEN; without it there is no class. Who may do what in one:
app/access.py."""

from __future__ import annotations

import hmac
import os
import threading
import time
from dataclasses import dataclass, field

import streamlit as st

from cnnviz.errors import BadInput

TRIES, PAUSE = 5, 60.0  # wrong tokens that one session may send within so many seconds
SHORTEST = 16  # characters of a token: whoever opens new sessions may guess on, and has to guess in vain
GONE = 6.0  # seconds after which a student who was not heard of has left
PRIVATE = frozenset({"present", "device", "folder", "indexfile"})  # of the lecturer's own screen and disk


@dataclass(frozen=True, slots=True)
class View:
    """What the lecturer shows. `version` grows with every change; 0: nothing yet."""

    version: int = 0
    page: str = ""
    query: dict[str, str] = field(default_factory=dict)


class Classroom:
    """The lecturer's view, who is there, and who asked for the lecturer's role. Every method is thread-safe.

    `allowed`: whether students may start long work. `shared`: whether the class is led at present."""

    def __init__(self, token: str) -> None:
        self._token, self._lock = token.encode(), threading.Lock()
        self._view = View()
        self._seen: dict[str, tuple[float, bool]] = {}
        self._wrong: dict[str, list[float]] = {}
        self.allowed, self.shared = False, True

    @property
    def view(self) -> View:
        """The view that students follow."""
        return self._view

    def publish(self, page: str, query: dict[str, str], same: bool = False) -> View:
        """Show this view to the class; a new version only if it differs from the last. `same`: it is the last one,
        written in another way."""
        query = {key: value for key, value in query.items() if key not in PRIVATE}
        with self._lock:
            if (page, query) != (self._view.page, self._view.query) or not self._view.version:
                self._view = View(self._view.version + (not same), page, query)
            return self._view

    def admit(self, token: str, who: str, now: float | None = None) -> bool:
        """Whether `token` is the lecturer's. `who`: names the session, and no address, which behind a proxy all share,
        so that no student's guesses lock the lecturer out; `now`: seconds of a steady clock.

        Raises BadInput after TRIES wrong ones of the same session within PAUSE seconds, also for the right one."""
        now = time.monotonic() if now is None else now
        with self._lock:
            self._wrong = {one: [t for t in times if now - t < PAUSE] for one, times in self._wrong.items()}
            self._wrong = {one: times for one, times in self._wrong.items() if times}
            if len(self._wrong.get(who, ())) >= TRIES:
                raise BadInput(f"{TRIES} wrong tokens came from here. Wait a minute, then try again.")
            if hmac.compare_digest(token.strip().encode(errors="surrogatepass"), self._token):
                return True
            self._wrong.setdefault(who, []).append(now)
            return False

    def hear(self, who: str, following: bool, now: float | None = None) -> None:
        """A student's browser is there."""
        now = time.monotonic() if now is None else now
        with self._lock:
            self._seen[who] = now, following

    def count_students(self, now: float | None = None) -> tuple[int, int]:
        """(students who are there, of whom follow)."""
        now = time.monotonic() if now is None else now
        with self._lock:
            self._seen = {who: seen for who, seen in self._seen.items() if now - seen[0] < GONE}
            return len(self._seen), sum(following for _time, following in self._seen.values())


def check_token() -> None:
    """Raise BadInput for a class whose token could be guessed; `cnnviz class` makes one that cannot."""
    token = os.environ.get("CNNVIZ_CLASS_TOKEN", "")
    if 0 < len(token) < SHORTEST:
        raise BadInput(
            f"CNNVIZ_CLASS_TOKEN has {len(token)} characters, which can be guessed: give at least {SHORTEST}, e.g. of "
            'python -c "import secrets; print(secrets.token_urlsafe(18))".'
        )


@st.cache_resource(show_spinner=False)
def get_room() -> Classroom:
    """The room of this class, one for all sessions."""
    return Classroom(os.environ["CNNVIZ_CLASS_TOKEN"])


def address_for_students() -> str:
    """Where students open the app, as `cnnviz class` told them."""
    return os.environ.get("CNNVIZ_CLASS_ADDRESS", "")
