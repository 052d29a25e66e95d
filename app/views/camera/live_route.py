"""The way of the live pictures to the browser: a route of our own beside Streamlit's.

A fragment that runs several times a second sends whether or not the browser has drawn what came before; on a busy
machine the pictures pile up, and a click waits behind all of them. Here the browser asks for the next picture when it
has painted the last one, so that nothing piles up and no script runs for a frame."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from starlette.responses import Response
from starlette.routing import Route

from app.views.camera.worker import LiveView, News

if TYPE_CHECKING:
    from starlette.requests import Request

PATH = "cnnviz-live"  # the component's script names it, too
WAIT = 5.0  # seconds that a request waits for something new
LOOK = 0.02  # seconds between two looks; the drawing thread never touches the event loop, so that either may end first
_VIEWS: WeakValueDictionary[str, LiveView] = WeakValueDictionary()
_HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "content-encoding": "identity",  # PNG inside: to compress it anew would cost more than the pass of a small network
}


def register(live: LiveView) -> str:
    """The unguessable key under which the browser gets this view's pictures, until `forget` or the view's end."""
    key = secrets.token_urlsafe(24)
    _VIEWS[key] = live
    return key


def forget(key: str) -> None:
    """Nobody gets pictures under `key` any more."""
    _VIEWS.pop(key, None)


async def newer(live: LiveView, after: int, wait: float) -> News | None:
    """What is newer than number `after`, as soon as there is any; None after `wait` seconds without."""
    loop = asyncio.get_running_loop()
    until = loop.time() + wait
    while True:
        if (news := live.news) is not None and news.number > after:
            return news
        if loop.time() >= until:
            return None
        await asyncio.sleep(LOOK)


def routes(wait: float = WAIT) -> list[Route]:
    """GET cnnviz-live/<key>?after=<number>, at the root and below any base path.

    200: JSON of the newest picture after `number`, see `LiveView.news`; 204: none within `wait` seconds; 400: `number`
    is none; 403: another site asks; 404: no such key."""

    async def answer(request: Request) -> Response:
        if not _same_origin(request):
            return _said(403, "These pictures are for the page of cnnviz that shows them.")
        if (live := _VIEWS.get(request.path_params["key"])) is None:
            return _said(404, "This camera has ended. Open the page Live camera again.")
        after = request.query_params.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) < 16):
            return _said(400, "`after` has to be the number of the last picture, e.g. after=0.")
        news = await newer(live, int(after), wait)
        if news is None:
            return Response(status_code=204, headers=_HEADERS)
        return Response(news.body, media_type="application/json", headers=_HEADERS)

    return [Route(f"{base}/{PATH}/{{key}}", answer, methods=["GET"]) for base in ("", "/{base:path}")]


def _same_origin(request: Request) -> bool:
    """Whether the page that asks came from here, as far as the browser tells."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    here = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    return here and site in (None, "same-origin")


def _said(status: int, words: str) -> Response:
    return Response(words, status, _HEADERS, "text/plain")
