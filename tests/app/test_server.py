"""Streamlit's own scripts are packed for browsers elsewhere, once, and sent as they are to one on this computer."""

import asyncio
import gzip
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app import server
from app.server import Compressed
from app.session import tabs

SCRIPT = b"const answer = 42\n" * 500


def ask(
    app: Compressed, client: str = "10.0.0.5", path: str = "/static/js/a.1b2c.js", **headers: str
) -> tuple[Any, ...]:
    """(status, headers, body) of a request."""
    sent: list[Any] = []
    listed = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": path, "headers": listed, "client": (client, 5000)}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    with ThreadPoolExecutor(1) as apart:  # a browser of other tests has a loop of its own in this thread
        apart.submit(asyncio.run, app(scope, receive, send)).result()
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], dict(sent[0]["headers"]), body


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def app(asked: list[str]) -> Compressed:
    async def behind(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        status = 200 if scope["path"].endswith((".js", ".woff2")) else 404
        length = (b"content-length", str(len(SCRIPT)).encode())
        await send({"type": "http.response.start", "status": status, "headers": [length]})
        await send({"type": "http.response.body", "body": SCRIPT[:1000], "more_body": True})
        await send({"type": "http.response.body", "body": SCRIPT[1000:]})

    return Compressed(behind)


def test_a_browser_elsewhere_gets_it_packed_and_the_second_time_from_memory(app, asked):
    for _ in range(2):
        status, headers, body = ask(app, accept_encoding="gzip, br")
        assert status == 200 and headers[b"content-encoding"] == b"gzip"
        assert gzip.decompress(body) == SCRIPT and int(headers[b"content-length"]) == len(body) < len(SCRIPT) / 10
    assert asked == ["/static/js/a.1b2c.js"]


@pytest.mark.parametrize("client", ["127.0.0.1", "::1"])
def test_a_browser_on_this_computer_gets_it_as_it_is_unless_somebody_passes_its_requests_on(app, client):
    _, headers, body = ask(app, client, accept_encoding="gzip")
    assert b"content-encoding" not in headers and body == SCRIPT
    _, headers, body = ask(app, client, accept_encoding="gzip", x_forwarded_for="203.0.113.7")
    assert headers[b"content-encoding"] == b"gzip" and gzip.decompress(body) == SCRIPT


@pytest.mark.parametrize(
    "path, headers",
    [
        ("/static/js/a.1b2c.js", {}),
        ("/static/js/a.1b2c.js", {"accept_encoding": "gzip", "range": "bytes=0-9"}),
        ("/static/media/font.woff2", {"accept_encoding": "gzip"}),
        ("/media/a.js", {"accept_encoding": "gzip"}),
        ("/static/js/gone.css", {"accept_encoding": "gzip"}),
    ],
)
def test_what_is_no_script_a_part_or_missing_is_passed_on(app, path, headers):
    status, told, body = ask(app, path=path, **headers)
    assert b"content-encoding" not in told and body == SCRIPT and status == (404 if path.endswith("css") else 200)


class Sessions:
    """Streamlit's runtime as far as ending sessions asks it; `open`: whose browser is connected."""

    def __init__(self, *connected: str) -> None:
        self.open, self.closed = set(connected), list[str]()

    def is_active_session(self, session: str) -> bool:
        return session in self.open

    def close_session(self, session: str) -> None:
        self.closed.append(session)


def test_sessions_of_closed_tabs_are_ended_soon_and_others_are_left_alone(monkeypatch):
    """Streamlit keeps the event loop of each, three open files, until the next tab is closed after two minutes."""
    sessions = Sessions("here", "back")
    here = {name: tabs._Tab(name) for name in ("here", "gone", "back")}
    here["gone"].left = here["back"].left = -10 * tabs.GRACE
    tabs._tabs().here.update(here)
    monkeypatch.setattr(server.runtime, "get_instance", lambda: sessions)
    monkeypatch.setattr(tabs, "LOOK", 0.01)

    async def look() -> None:
        task = asyncio.create_task(server._end_closed_tabs())
        while not sessions.closed:
            await asyncio.sleep(0.01)
        task.cancel()

    with ThreadPoolExecutor(1) as apart:
        apart.submit(asyncio.run, look()).result(30)
    assert sessions.closed == ["gone"] and set(tabs._tabs().here) == {"here", "back"}
    assert tabs.GRACE + tabs.LOOK < 120  # seconds after which Streamlit would not find it any more
