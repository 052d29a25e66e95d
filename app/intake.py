"""What uploads may take of the server's memory: checked before a byte of a file is read.

Streamlit keeps every file that a browser sends in memory until its tab is closed, asked for or not, and bounds each
alone."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

from app import limits

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_UPLOAD = re.compile(r".*/_stcore/upload_file/([^/]+)/[^/]+/?")
FRAMING = 64 << 10  # bytes that a form has beside the file in it


def held_bytes() -> dict[str, int]:
    """{session: bytes of the files that it has in memory}."""
    from streamlit import runtime

    if not runtime.exists():
        return {}
    stored = getattr(runtime.get_instance().uploaded_file_mgr, "file_storage", {})
    return {session: sum(len(file.data) for file in list(files.values())) for session, files in list(stored.items())}


class UploadBound:
    """ASGI middleware: refuses a file that would be too large, or one too many for its tab or for all of them.

    `held`: {session: bytes it has here already}."""

    def __init__(self, app: ASGIApp, held: Callable[[], dict[str, int]] = held_bytes) -> None:
        self._app, self._held = app, held
        self._coming: Counter[str] = Counter()
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, an upload while there is room for it."""
        session = _find_session(scope)
        if session is None:
            await self._app(scope, receive, send)
            return
        size = _read_length(scope)
        if problem := self._reserve(session, size):
            await PlainTextResponse(problem, 411 if size is None else 413)(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            with self._lock:
                self._coming[session] -= size or 0
                self._coming += Counter()  # without those that are through

    def _reserve(self, session: str, size: int | None) -> str:
        """Set the room for a file aside; returns why there is none."""
        if size is None:
            return "An upload has to state its length (Content-Length)."
        if size > limits.upload_mb() * limits.MIB + FRAMING:
            return f"Files of up to {limits.upload_mb():,} MB are taken here."
        with self._lock:
            held = Counter(self._held()) + self._coming
            if held[session] + size > limits.uploads_each() + FRAMING:
                most = limits.uploads_each() / limits.MIB
                return f"One tab may have {most:,.0f} MB of files here. Remove some, or reload the page."
            if held.total() + size > limits.uploads_in_all() + FRAMING:
                return "All tabs together have as many files here as there is memory for. Try again in some minutes."
            self._coming[session] += size
        return ""


def _find_session(scope: Scope) -> str | None:
    """The session that a file is sent to; None for any other request."""
    if scope["type"] != "http" or scope["method"] not in ("PUT", "POST"):
        return None
    found = _UPLOAD.fullmatch(scope["path"])
    return found.group(1) if found else None


def _read_length(scope: Scope) -> int | None:
    """Bytes that the request states, which the server holds it to; None where it states none."""
    stated = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(stated[0]) if len(stated) == 1 and stated[0].isdigit() else None
