"""Plotly's own script, which the browser fetches once and keeps: a file with an address of its own.

Within a component it would be a message of four megabytes to every tab, and Streamlit looks at all of a component for
each plot of each run."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import FileResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

FOLDER = "cnnviz-plotly"
ADDRESS = f"{FOLDER}/{version('plotly')}.js"  # from the app's own address on; another version has another
_HEADERS = {
    "cache-control": "public, max-age=31536000, immutable",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
}


def routes() -> list[Route]:
    """GET ADDRESS, at the root and below any base path: the script of the Plotly that is installed."""
    spec = find_spec("plotly")  # found, not imported: the server starts without it
    assert spec is not None and spec.origin is not None
    script = Path(spec.origin).parent / "package_data" / "plotly.min.js"

    async def answer(_request: Request) -> FileResponse:
        return FileResponse(script, media_type="text/javascript; charset=utf-8", headers=_HEADERS)

    return [Route(f"{base}/{ADDRESS}", answer, methods=["GET"]) for base in ("", "/{base:path}")]
