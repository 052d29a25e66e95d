"""What the server does beside Streamlit: it warms up while it starts, collects garbage now and then instead of after
every click, and sends Streamlit's and Plotly's own scripts compressed to browsers elsewhere.

A class of thirty opens the app at once. Of the 7 MB that a browser needs first, most are scripts that never change:
each is compressed once, at its first visit, and sent from memory from then on."""

from __future__ import annotations

import asyncio
import gc
import gzip
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from streamlit import runtime
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage

from app.classroom import room
from app.media import STAY, LastingPictures
from app.plotly_script import FOLDER
from app.session import storage, tabs
from cnnviz.errors import CnnvizError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

TIDY = 30.0  # seconds
LATER = 3.0  # seconds in which the first visitor may come, who needs both cores
_COMPRESSIBLE = (".js", ".css", ".svg", ".json")  # fonts and pictures are compressed already
_PACKED = ("/static/", f"/{FOLDER}/")
_NEAR = frozenset({"127.0.0.1", "::1"})
_PASSED_ON = frozenset({b"x-forwarded-for", b"forwarded", b"via"})
_PARTIAL = frozenset({b"range", b"if-none-match", b"if-modified-since"})  # requests that get no whole file


@asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[None]:
    """Warm up beside the server's first seconds; the first visitor finds the network loaded.

    Raises BadInput for a class whose token could be guessed."""
    room.check_token()
    ending = threading.Event()
    warming = threading.Thread(target=_warm_up, args=(ending,), name="first-view", daemon=True)
    warming.start()
    beside = [asyncio.create_task(task()) for task in (_tidy_now_and_then, _end_closed_tabs, _keep_pictures)]
    yield
    ending.set()
    for task in beside:
        task.cancel()
    await asyncio.to_thread(warming.join, 30)  # an import cut off at shutdown would abort the interpreter
    storage.clear()


async def _tidy_now_and_then() -> None:
    while True:
        await asyncio.sleep(TIDY)
        await asyncio.to_thread(tidy)


async def _end_closed_tabs() -> None:
    """Streamlit forgets the session of a closed tab when the next one is closed, which may be never, and keeps its
    uploads in memory and three files of it open until then: end it as soon as it does not come back."""
    while True:
        await asyncio.sleep(tabs.LOOK)
        server = runtime.get_instance()
        for session in tabs.sweep(server.is_active_session):
            if not server.is_active_session(session):
                server.close_session(session)


async def _keep_pictures() -> None:
    await asyncio.sleep(LATER)  # until the server is there
    files = runtime.get_instance().media_file_mgr._storage  # Streamlit has no public way to it
    if not isinstance(files, MemoryMediaFileStorage):
        return
    lasting = LastingPictures(files)
    while True:
        await asyncio.sleep(STAY)
        lasting.sweep()


def tidy() -> None:
    """Collect what nobody can reach any more, and take the rest out of the collector's sight.

    Streamlit would collect after every click, which took a third of the time of a class that clicks; what Python
    collects by itself looks at objects younger than the last tidying only."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _warm_up(ending: threading.Event) -> None:
    """Import what the first view needs, and load its network; then, unless the server is `ending`, what other pages
    need, which nobody waits for."""
    from app.jobs import clicks
    from app.session import networks, shared
    from app.session.networks import Choice

    warming = shared.warm_up()
    with suppress(ImportError):
        import pandas  # noqa: F401  Streamlit's components look for its frames
    from PIL import Image

    Image.init()
    warming.join()
    try:
        name = networks.default_network()
        choice = Choice(name, networks.weights_options(name)[0])
        shared.layer_shapes(networks.load(choice))
    except (CnnvizError, OSError):
        return  # the page says it
    if ending.wait(LATER):
        return
    clicks.give_way(TIDY)
    import cnnviz.torchvision_import  # noqa: F401

    tidy()


class Compressed:
    """ASGI middleware: Streamlit's scripts and styles and Plotly's script as gzip, each compressed once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: dict[str, tuple[list[tuple[bytes, bytes]], bytes]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer from memory where it can; anything else goes on to Streamlit."""
        if not _is_script(scope):
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path not in self._kept:
            response = _Response()
            await self._app(scope, receive, response.receive)
            if response.status != 200:
                await response.pass_on(send)
                return
            body = await asyncio.to_thread(gzip.compress, bytes(response.body), 6)
            self._kept[path] = _compressed_headers(response.headers, len(body)), body
        headers, body = self._kept[path]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class _Response:
    """What the app behind would have sent."""

    def __init__(self) -> None:
        self.status, self.body = 0, bytearray()
        self.headers: list[tuple[bytes, bytes]] = []

    async def receive(self, message: Message) -> None:
        """Take a part of it; the app behind calls this as its `send`."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")

    async def pass_on(self, send: Send) -> None:
        """Send it as it came."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": bytes(self.body)})


def _is_script(scope: Scope) -> bool:
    """True for the first request of a browser elsewhere for one of Streamlit's own files that is text, or for Plotly's.
    Their names hold a hash of their content or a version, so that nothing kept under a name can grow old."""
    if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(_PACKED):
        return False
    headers = dict(scope["headers"])
    accepted = b"gzip" in headers.get(b"accept-encoding", b"") and not _PARTIAL & headers.keys()
    return accepted and scope["path"].endswith(_COMPRESSIBLE) and not _is_near(scope, headers)


def _is_near(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Whether the browser is on this computer, and nobody passes its requests on: then packing takes longer than
    sending."""
    client = scope.get("client")
    return client is not None and client[0] in _NEAR and not _PASSED_ON & headers.keys()


def _compressed_headers(headers: list[tuple[bytes, bytes]], length: int) -> list[tuple[bytes, bytes]]:
    """The headers of a compressed body."""
    kept = [(name, value) for name, value in headers if name.lower() not in (b"content-length", b"etag")]
    return [*kept, (b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding"), (b"content-length", b"%d" % length)]
