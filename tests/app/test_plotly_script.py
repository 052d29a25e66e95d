"""Plotly's script as a file of its own: whole, kept by the browser, compressed for browsers elsewhere."""

import gzip

import plotly.offline
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app import plotly_script
from app.server import Compressed

SCRIPT = plotly.offline.get_plotlyjs()


@pytest.mark.parametrize("base", ["", "/classes", "/classes/cnn"])
def test_the_script_is_plotly_s_own_and_may_be_kept(base: str):
    with TestClient(Starlette(routes=plotly_script.routes())) as client:
        answer = client.get(f"{base}/{plotly_script.ADDRESS}")
        assert answer.status_code == 200 and answer.text == SCRIPT
        assert answer.headers["content-type"].startswith("text/javascript")
        assert "immutable" in answer.headers["cache-control"]
        assert plotly.__version__ in plotly_script.ADDRESS
        assert client.get(f"{base}/cnnviz-plotly/other.js").status_code == 404


@pytest.mark.parametrize(("asker", "packed"), [("10.0.0.7", True), ("127.0.0.1", False)])
def test_it_is_compressed_for_a_browser_elsewhere(asker: str, packed: bool):
    app = Compressed(Starlette(routes=plotly_script.routes()))
    with TestClient(app, client=(asker, 50000)) as client:
        for _ in range(2):
            with client.stream("GET", f"/{plotly_script.ADDRESS}", headers={"accept-encoding": "gzip"}) as answer:
                raw = b"".join(answer.iter_raw())
            assert (answer.headers.get("content-encoding") == "gzip") == packed
            assert (gzip.decompress(raw) if packed else raw).decode() == SCRIPT
            assert len(raw) < 0.4 * len(SCRIPT) or not packed
