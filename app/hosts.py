"""Under which names the server answers, and which pages may speak to it.

A page elsewhere can point a name of its own to this computer (DNS rebinding); to the browser cnnviz would then be part
of that page, which could read what it shows, and click. So the header Host has to name this computer, on every route
and on the websocket: an address that the request arrived at, this computer's own names, or a name that whoever started
cnnviz has given: in $CNNVIZ_HOSTS, in Streamlit's options `server.allowedHosts`, `server.address` or
`browser.serverAddress`. Where the browser says which page asks (Origin), it has to be one of the same host and port, or
of Streamlit's `server.corsAllowedOrigins`.

Source: Jackson et al., Protecting browsers from DNS rebinding attacks, CCS 2007, section 5; RFC 6454."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import streamlit as st

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_REFUSED, _CLOSED = 403, 1008  # of HTTP; of a websocket: policy violation, RFC 6455 section 7.4.1


class HostCheck:
    """ASGI middleware: requests and websockets that name another host, or come from another site's page, get no
    further."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it in words."""
        problem = find_problem(scope) if scope["type"] in ("http", "websocket") else ""
        if not problem:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _CLOSED, "reason": ""})
        else:
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
            await send({"type": "http.response.start", "status": _REFUSED, "headers": headers})
            await send({"type": "http.response.body", "body": problem.encode()})


class _Host(NamedTuple):
    """A host as a header names it: without brackets, dot at the end and capitals; None for no port."""

    name: str
    port: int | None


def find_problem(scope: Scope) -> str:
    """Why a request is refused; "" for one that is answered. The words name no host of ours: whoever asks under another
    name could read them."""
    told = [value for name, value in scope["headers"] if name == b"host"]
    host = _read_host(told[0]) if len(told) == 1 else None
    if host is None:
        return "This request names no host. Open cnnviz at the address that it printed when it was started."
    if not _answers(host.name, scope.get("server")):
        return (
            "cnnviz answers under this computer's own names alone. Open it at the address that it printed when it was "
            "started. If it shall be reached under another name, start it with that name in the variable "
            "CNNVIZ_HOSTS, e.g. CNNVIZ_HOSTS=class.example.org."
        )
    if not all(_is_from(value, host) for name, value in scope["headers"] if name == b"origin"):
        return (
            "A page of another site asks, which cnnviz does not answer. A proxy in front of it has to pass the header "
            "Host on as the browser sent it."
        )
    return ""


def _read_host(value: bytes) -> _Host | None:
    """What a header Host says; None for what is none."""
    text = value.decode("latin-1")
    try:
        parts = urlsplit(f"//{text}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not name or parts.netloc != text or "@" in text:
        return None
    return _Host(name.rstrip("."), port)


def _answers(name: str, server: tuple[str, int | None] | None) -> bool:
    if name in _own_names() or (server is not None and name == _plain_address(server[0])):
        return True
    return any(_matches(name, pattern) for pattern in named_hosts())


def _plain_address(address: str) -> str:
    """An address of the server's socket: IPv4 without the prefix that it has on a socket for both kinds."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(found)


@cache
def _own_names() -> frozenset[str]:
    """What this computer is called by itself: the local names, its host name, with and without its domain, and the
    name that multicast DNS gives it in the local network."""
    full = socket.gethostname().lower().rstrip(".")
    short = full.partition(".")[0]
    return LOOPBACK | ({full, short, f"{short}.local"} if short else set())


def named_hosts() -> frozenset[str]:
    """The names that whoever started cnnviz has given; "*.example.org" stands for all below it, "*" for any."""
    options = [st.get_option("server.address"), *(st.get_option("server.allowedHosts") or ())]
    if (shown := st.get_option("browser.serverAddress")) != "localhost":
        options.append(shown)
    listed = re.split(r"[\s,]+", os.environ.get("CNNVIZ_HOSTS", ""))
    return frozenset(_clean_names([*options, *listed]))


def has_other_names() -> bool:
    """Whether a name was given by which other computers come, through a proxy if this one alone is listened to."""
    return bool(named_hosts() - _own_names())


def _clean_names(names: Iterable[str | None]) -> Iterable[str]:
    for name in names:
        kept = (name or "").strip().lower().partition("/")[0].strip("[]").rstrip(".")
        if kept and kept not in ("0.0.0.0", "::"):  # where it listens, which is no name
            yield kept


def _matches(name: str, pattern: str) -> bool:
    return pattern == "*" or name == pattern or (pattern.startswith("*.") and name.endswith(pattern[1:]))


def _is_from(origin: bytes, host: _Host) -> bool:
    """Whether a page of this origin belongs to the host that it asks, or to one that may ask it."""
    text = origin.decode("latin-1")
    if text in (st.get_option("server.corsAllowedOrigins") or ()):
        return True
    try:
        parts = urlsplit(text)
        name, port = parts.hostname, parts.port
    except ValueError:
        return False
    usual = _DEFAULT_PORTS.get(parts.scheme)
    if usual is None or not name:
        return False
    return name.rstrip(".") == host.name and (port or usual) == (host.port or usual)
