"""Whom the server answers: requests and websockets that name this computer, from pages of its own."""

import http.client
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import streamlit as st
from visitors import serving

from app import access, hosts
from app.hosts import find_problem

ROUTES = (
    "/",
    "/inspect",
    "/_stcore/health",
    "/_stcore/metrics",
    "/_stcore/host-config",
    "/_stcore/bidi-components/x/y.js",
    "/component/x/index.html",
    "/static/js/index.js",
    "/media/x.png",
    "/cnnviz-live/x",
    "/favicon.png",
)


# --- the server as it is started ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """`streamlit run app/Home.py`, with nothing else said."""
    with serving(tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("elsewhere")) as url:
        yield int(url.rpartition(":")[2])


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    """(status, body) of a request; `Host` as it is given."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    status, body = answer.status, answer.read().decode("utf-8", "replace")
    connection.close()
    return status, body


def join(port: int, host: str, origin: str) -> int:
    """The status of the opening handshake of the app's websocket: 101 for one that is open."""
    said = {"Host": host, "Origin": origin, "Connection": "Upgrade", "Upgrade": "websocket"}
    key = {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAECAwQFBgcICQoLDA0ODw=="}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/_stcore/stream", headers=said | key | {"Sec-WebSocket-Protocol": "streamlit"})
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_name_that_a_page_elsewhere_has_pointed_here_is_answered_on_no_route(port):
    for path in ROUTES:
        for host in ("evil.example", f"evil.example:{port}", f"localhost.evil.example:{port}", "0.0.0.0"):
            status, body = ask(port, path, Host=host)
            assert status == 403 and "this computer's own names" in body, (path, host)
            assert socket.gethostname() not in body
    assert ask(port, "/_stcore/upload_file/x/y", "PUT", Host="evil.example")[0] == 403
    assert ask(port, "/_stcore/health", Host=f"localhost:{port}") == (200, "ok")
    assert ask(port, "/", Host=f"127.0.0.1:{port}")[0] == 200


def test_a_page_of_another_site_is_not_answered_either(port):
    here = f"127.0.0.1:{port}"
    for origin in ("http://evil.example", "null", f"http://127.0.0.1:{port + 1}", f"https://127.0.0.1:{port}x"):
        status, body = ask(port, "/_stcore/health", Host=here, Origin=origin)
        assert status == 403 and "another site" in body, origin
    assert ask(port, "/_stcore/health", Host=here, Origin=f"http://{here}")[0] == 200


def test_the_websocket_asks_as_much(port):
    here = f"127.0.0.1:{port}"
    assert join(port, here, f"http://{here}") == 101
    assert join(port, f"evil.example:{port}", f"http://evil.example:{port}") == 403
    assert join(port, here, "http://evil.example") == 403
    assert join(port, here, f"http://127.0.0.1:{port + 1}") == 403  # of another program on this computer
    assert join(port, here, "null") == 403


# --- names --------------------------------------------------------------------------------------------------


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Streamlit's options, to be set."""
    said: dict[str, Any] = {"server.address": "127.0.0.1", "browser.serverAddress": "localhost"}
    monkeypatch.setattr(st, "get_option", said.get)
    monkeypatch.delenv("CNNVIZ_HOSTS", raising=False)
    monkeypatch.delenv("CNNVIZ_CLASS_TOKEN", raising=False)
    monkeypatch.setattr(socket, "gethostname", lambda: "Lab7.uni.example")
    hosts._own_names.cache_clear()
    yield said
    hosts._own_names.cache_clear()


def is_answered(host: str, server: str = "127.0.0.1", origin: str = "") -> bool:
    headers = [(b"host", host.encode())] + ([(b"origin", origin.encode())] if origin else [])
    return not find_problem({"type": "http", "headers": headers, "server": (server, 8501)})


def test_this_computer_s_names_are_answered_however_they_are_written(options):
    for host in ("localhost", "LOCALHOST:8501", "localhost.", "127.0.0.1", "[::1]:8501", "[::1]"):
        assert is_answered(host), host
    for host in ("lab7", "lab7.local:8501", "lab7.uni.example", "Lab7.Uni.Example.:8501"):
        assert is_answered(host), host


def test_an_address_is_answered_where_the_request_has_arrived_at_it(options):
    assert is_answered("192.168.1.20:8501", "192.168.1.20")
    assert is_answered("192.168.1.20:8501", "::ffff:192.168.1.20")
    assert is_answered("[fe80::1]:8501", "fe80::1%eth0")
    assert not is_answered("192.168.1.20:8501", "127.0.0.1") and not is_answered("192.168.1.21", "192.168.1.20")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "xlocalhost", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example#localhost"]
    + [
        "evil.example@localhost",
        "localhost@evil.example",
        "localhost:port",
        "localhost/x",
        "[::1",
        "",
        "a b",
        "0.0.0.0",
    ],
)
def test_other_names_and_what_is_no_name_are_not(options, host):
    assert not is_answered(host)


def test_a_request_that_names_no_host_or_two_is_not_answered():
    for headers in ([], [(b"host", b"localhost"), (b"host", b"evil.example")]):
        assert "names no host" in find_problem({"type": "http", "headers": headers, "server": ("127.0.0.1", 8501)})


def test_names_are_given_by_a_variable_or_by_streamlit_s_options(options, monkeypatch):
    assert not is_answered("class.example") and not access.is_shared() and access.is_on_this_computer()
    monkeypatch.setenv("CNNVIZ_HOSTS", "class.example, *.pool.example")
    assert is_answered("class.example") and is_answered("a.pool.example:443")
    assert not is_answered("pool.example") and not is_answered("x.class.example")
    assert access.is_shared() and not access.is_on_this_computer()  # who comes by that name sits elsewhere
    monkeypatch.setenv("CNNVIZ_HOSTS", "*")
    assert is_answered("any.example") and access.is_shared()
    monkeypatch.delenv("CNNVIZ_HOSTS")
    options["server.allowedHosts"] = ["Lecture.example."]
    assert is_answered("lecture.example")
    options["browser.serverAddress"] = "shown.example"
    assert is_answered("shown.example") and not is_answered("other.example")


def test_where_it_listens_to_everything_no_name_follows_from_that(options):
    options["server.address"] = "0.0.0.0"
    assert not is_answered("0.0.0.0:8501", "192.168.1.20") and is_answered("192.168.1.20:8501", "192.168.1.20")
    options["server.address"] = "lab8.example"
    assert is_answered("lab8.example", "10.0.0.1")


def test_a_page_may_ask_the_host_and_port_it_came_from_behind_a_proxy_too(options, monkeypatch):
    monkeypatch.setenv("CNNVIZ_HOSTS", "class.example")
    assert is_answered("class.example", origin="https://class.example")
    assert is_answered("class.example:443", origin="https://class.example")
    assert is_answered("class.example:8443", origin="https://class.example:8443")
    assert not is_answered("class.example", origin="https://class.example:8443")
    assert not is_answered("127.0.0.1:8501", origin="https://class.example")  # the proxy keeps Host to itself
    options["server.corsAllowedOrigins"] = ["https://class.example"]
    assert is_answered("127.0.0.1:8501", origin="https://class.example")
