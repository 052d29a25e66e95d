"""Download one file over http or from a mirror: with progress and checksum, whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener, url2pathname, urlopen

from cnnviz.errors import BadInput, CnnvizError, Offline
from cnnviz.store import atomic
from cnnviz.wording import plural

Progress = Callable[[int, int], None]  # (bytes so far, bytes in all; 0 = unknown)
TIMEOUT_S = 30.0  # without a byte
_CHUNK = 1 << 18


def mirror_url(url: str, mirror: str | None) -> str:
    """Where to fetch `url` from: its file name under `mirror` (a base URL or a folder), or itself."""
    if not mirror:
        return url
    name = urlsplit(url).path.rpartition("/")[2]
    return f"{mirror.rstrip('/')}/{name}" if "://" in mirror else str(Path(mirror).expanduser() / unquote(name))


def download(
    url: str,
    target: str | Path,
    sha256_prefix: str | None = None,
    md5: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetch `url` (http, https, file, or a path) into the file `target` and return it.

    `sha256_prefix`, `md5`: hex digits that the contents must have. `progress(done, total)` is called
    after each piece; what it raises ends the download. `target` appears only when all is there and
    right. Raises Offline if the host, or the file on it, cannot be reached or the connection breaks;
    BadInput if the checksum differs; CnnvizError if `target` cannot be written."""
    target = Path(target)
    wanted = {kind: digits for kind, digits in (("sha256", sha256_prefix), ("md5", md5)) if digits}
    digests = {kind: hashlib.new(kind, usedforsecurity=False) for kind in wanted}
    with _open(url) as (source, total), atomic(target) as file:
        _need_space(target, total)
        done = 0
        for piece in _read_pieces(source, url):
            done += len(piece)
            file.write(piece)
            for digest in digests.values():
                digest.update(piece)
            if progress:
                progress(done, total)
        if total and done != total:
            raise Offline(f"The connection to {_host(url)} broke after {done:,} of {plural(total, 'byte')}. Try again.")
        for kind, digest in digests.items():
            _check(url, kind, digest.hexdigest(), wanted[kind])
    return target


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_args: object) -> None:
        return None


def first_headers(url: str) -> dict[str, str]:
    """The headers of the first answer to a HEAD request, names in lower case; redirects are not followed.

    {} if there is no answer: a missing checksum is no reason to fail."""
    request = Request(url, method="HEAD", headers={"User-Agent": "cnnviz"})
    try:
        with build_opener(_Stay).open(request, timeout=TIMEOUT_S) as answer:
            found = answer.headers
    except HTTPError as error:
        error.close()
        found = error.headers
    except (OSError, ValueError, http.client.HTTPException):
        return {}
    return {name.lower(): value for name, value in found.items()}


@contextmanager
def _open(url: str) -> Iterator[tuple[BinaryIO, int]]:
    """The open source and its size in bytes, 0 where the server does not tell."""
    parts = urlsplit(url)
    try:
        if parts.scheme in ("http", "https"):
            source = urlopen(Request(url, headers={"User-Agent": "cnnviz"}), timeout=TIMEOUT_S)
            total = int(source.headers.get("Content-Length") or 0)
        else:
            path = Path(url2pathname(parts.path) if parts.scheme == "file" else url)
            source, total = path.open("rb"), path.stat().st_size
    except HTTPError as error:
        error.close()
        raise Offline(f"{_host(url)} answered {error.code} {error.reason} for {url}.") from error
    except URLError as error:
        raise Offline(f"No connection to {_host(url)}: {error.reason}.") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or error
        raise Offline(f"Could not fetch {url}: {reason}.") from error
    with source:
        yield source, total


def _read_pieces(source: BinaryIO, url: str) -> Iterator[bytes]:
    while True:
        try:
            piece = source.read(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise Offline(f"The connection to {_host(url)} broke: {error}. Try again.") from error
        if not piece:
            return
        yield piece


def _need_space(target: Path, total: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if total > free:
        raise CnnvizError(
            f"{target.name} needs {total / 1e6:,.0f} MB and {target.parent} has {free / 1e6:,.0f} MB left. "
            "Free space on that disk."
        )


def _check(url: str, kind: str, found: str, wanted: str) -> None:
    if not found.startswith(wanted.lower()):
        raise BadInput(
            f"What {url} sent is not the expected file: its {kind} is {found[:16]}…, "
            f"expected {wanted[:16]}…. Nothing was kept. Try again, or ask who runs that server."
        )


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2] or str(Path(url).parent)
