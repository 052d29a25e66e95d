"""What uploads may take of the server's memory: each file, each tab and all together, before a byte is read."""

import asyncio
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from app import access, limits
from app.intake import FRAMING, UploadBound

MIB = limits.MIB


class Server:
    """What stands behind the bound: it reads and keeps a file, but for those that it is told to leave waiting."""

    def __init__(self) -> None:
        self.held: dict[str, int] = {}
        self.bound = UploadBound(self._take, lambda: self.held)

    async def _take(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "PUT":
            session = scope["path"].split("/")[-2]
            self.held[session] = self.held.get(session, 0) + int(dict(scope["headers"])[b"content-length"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def send(self, session: str, size: int | None, method: str = "PUT", path: str = "") -> tuple[int, str]:
        """(status, words) of a file of `size` bytes; None: it doesn't say."""
        headers = [] if size is None else [(b"content-length", str(size).encode())]
        path = path or f"/_stcore/upload_file/{session}/x"
        scope = {"type": "http", "method": method, "path": path, "headers": headers}
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            pytest.fail("nothing is read before there is room for it")

        async def send(message: Any) -> None:
            sent.append(message)

        with ThreadPoolExecutor(1) as apart:  # a browser of other tests has a loop of its own in this thread
            apart.submit(asyncio.run, self.bound(scope, receive, send)).result()
        return sent[0]["status"], b"".join(m.get("body", b"") for m in sent[1:]).decode()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(access, "is_shared", lambda: True)
    monkeypatch.setattr(limits, "uploads_in_all", lambda: 1700 * MIB)
    return Server()


def test_the_largest_file_that_is_stated_is_taken_and_a_larger_one_is_not(server):
    most = limits.upload_mb() * MIB
    assert server.send("a", most + FRAMING)[0] == 204
    status, words = server.send("b", most + FRAMING + 1)
    assert status == 413 and "up to 600 MB" in words and "b" not in server.held


def test_a_tab_has_only_so_much_and_all_together_too(server):
    assert [server.send("a", 500 * MIB)[0] for _ in range(2)] == [204, 204]
    status, words = server.send("a", 100 * MIB)
    assert status == 413 and "One tab may have 1,024 MB" in words
    assert server.send("b", 600 * MIB)[0] == 204
    status, words = server.send("c", 200 * MIB)
    assert status == 413 and "All tabs together" in words
    del server.held["a"]  # closed
    assert server.send("c", 200 * MIB)[0] == 204 and server.bound._coming == {}


def test_what_is_still_on_its_way_counts(server):
    async def both() -> list[int]:
        statuses: list[int] = []
        gate = asyncio.Event()

        async def behind(scope: Any, receive: Any, send: Any) -> None:
            await gate.wait()
            await send({"type": "http.response.start", "status": 204, "headers": []})

        bound = UploadBound(behind, dict)
        scope = {"type": "http", "method": "PUT", "path": "/_stcore/upload_file/a/x"}
        scope["headers"] = [(b"content-length", str(600 * MIB).encode())]

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        first = asyncio.create_task(bound(scope, None, send))
        await asyncio.sleep(0)
        await bound(scope, None, send)
        gate.set()
        await first
        await bound(scope, None, send)
        return statuses

    with ThreadPoolExecutor(1) as apart:
        assert apart.submit(asyncio.run, both()).result() == [413, 204, 204]


def test_a_file_that_does_not_say_how_long_it_is_is_not_read(server):
    status, words = server.send("a", None)
    assert status == 411 and "Content-Length" in words
    assert server.send("a", None, "POST", "/base/_stcore/upload_file/a/x")[0] == 411
    assert server.send("a", 9**12, "DELETE")[0] == 204 and server.send("a", None, "GET", "/x")[0] == 204


def test_streamlit_itself_takes_the_largest_file_that_a_page_offers_to_take():
    """It stated 600 MB and took 64: files of VGG-16 or AlexNet were refused by the server."""
    root = Path(__file__).resolve().parents[2]
    for folder in (root, root / "app"):
        config = tomllib.loads((folder / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
        assert config["server"]["maxUploadSize"] * MIB >= limits.upload_mb() * MIB + FRAMING
    assert limits.upload_mb() >= max(limits.zip_mb(), limits.weights_mb(), limits.PHOTO_MB)


def test_nothing_held_is_counted_where_no_server_runs():
    from app.intake import held_bytes

    assert held_bytes() == {}
