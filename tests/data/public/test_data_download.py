"""One file over a real connection: whole and right, or not at all, with the reason."""

import hashlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cnnviz.data.public.download import download, mirror_url
from cnnviz.errors import BadInput, Cancelled, CnnvizError, Offline

CONTENT = bytes(range(256)) * 4096  # 1 MiB


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802
        if self.path == "/missing":
            return self.send_error(404)
        self.send_response(200)
        if self.path != "/unsized":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // 3] if self.path == "/dropped" else CONTENT)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def host():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def straight(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_a_good_file_arrives_whole_with_growing_progress(host, tmp_path):
    steps = []
    target = download(
        f"{host}/good",
        tmp_path / "new" / "a.bin",
        sha256_prefix=hashlib.sha256(CONTENT).hexdigest()[:8],
        md5=hashlib.md5(CONTENT).hexdigest(),
        progress=lambda *step: steps.append(step),
    )
    assert target.read_bytes() == CONTENT
    assert steps[-1] == (len(CONTENT), len(CONTENT)) and len(steps) > 2
    assert [done for done, _ in steps] == sorted({done for done, _ in steps})


def test_a_server_that_tells_no_size_reports_0_in_all(host, tmp_path):
    steps = []
    download(f"{host}/unsized", tmp_path / "a", progress=lambda *step: steps.append(step))
    assert steps[-1] == (len(CONTENT), 0)
    assert (tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("checksum", [{"sha256_prefix": "00000000"}, {"md5": "0" * 32}])
def test_a_wrong_checksum_keeps_nothing_and_the_old_file(host, tmp_path, checksum):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(BadInput, match="expected 0000"):
        download(f"{host}/good", tmp_path / "a", **checksum)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_404_names_the_address(host, tmp_path):
    with pytest.raises(Offline, match=r"404 .*/missing"):
        download(f"{host}/missing", tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_a_dropped_connection_leaves_no_half_file(host, tmp_path):
    with pytest.raises(Offline, match="broke after"):
        download(f"{host}/dropped", tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_a_host_that_does_not_answer_is_named(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(Offline, match=f"127.0.0.1:{port}"):
        download(f"http://127.0.0.1:{port}/a", tmp_path / "a")


def test_a_cancelling_progress_ends_the_download_and_keeps_nothing(host, tmp_path):
    def cancel(done, total):
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        download(f"{host}/good", tmp_path / "a", progress=cancel)
    assert not list(tmp_path.iterdir())


def test_paths_and_file_urls_are_copied(tmp_path):
    source = tmp_path / "source with space"
    source.write_bytes(CONTENT)
    for i, url in enumerate((str(source), source.as_uri())):
        assert download(url, tmp_path / str(i)).read_bytes() == CONTENT
    with pytest.raises(Offline, match="gone"):
        download(str(tmp_path / "gone"), tmp_path / "b")


def test_a_target_that_cannot_be_written_is_no_network_error(host, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CnnvizError, match="Could not write"):
        download(f"{host}/good", tmp_path / "file" / "a")


def test_a_mirror_is_a_base_url_or_a_folder(tmp_path):
    url = "https://host.example/models/net-0123abcd.pth?x=1"
    assert mirror_url(url, None) == url
    assert mirror_url(url, "http://class/w/") == "http://class/w/net-0123abcd.pth"
    assert mirror_url(url, str(tmp_path)) == str(tmp_path / "net-0123abcd.pth")
