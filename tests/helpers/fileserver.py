"""A web server on this machine that plays a weights host: files by name, headers of its own, broken connections."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """`files`: {name: contents}, whatever the folder. `asked`: paths of the GETs. `drop`: send half of a file.
    `hold`: wait for it after half of a file. `told`: headers that answer a HEAD, beside a redirect, as the hub does
    for large files."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.told: dict[str, str] = {}
        self.drop = False
        self.hold: threading.Event | None = None
        self.address = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # noqa: N802
        self.server.asked.append(self.path)
        content = self.server.files.get(self.path.rpartition("/")[2])
        if content is None:
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        half = len(content) // 2
        self.wfile.write(content[:half])
        if self.server.hold is not None:
            self.server.hold.wait(60)
        self.wfile.write(b"" if self.server.drop else content[half:])

    def do_HEAD(self) -> None:  # noqa: N802
        self.send_response(302 if self.server.told else 200)
        for name, value in self.server.told.items():
            self.send_header(name, value)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Server]:
    """A running server."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
