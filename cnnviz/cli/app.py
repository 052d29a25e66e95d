"""Open the app in the browser, for whoever sits at this computer; from any folder.

The app is at http://localhost:8501, or at the next port that is free. --host makes it reachable from other computers:
whoever opens it uses this machine, its files and its GPU. To have a class follow along: cnnviz class.
Ctrl+C ends the app."""

from __future__ import annotations

import argparse
import os
import subprocess
from urllib.parse import urlsplit

from cnnviz.cli.classroom import (
    ANY,
    add_url,
    bracket,
    check_free,
    find_home,
    lan_address,
    name_plugins,
    read_url,
    server_command,
    stop_at_exit,
)
from cnnviz.errors import BadInput, CnnvizError

PORT, TRIED = 8501, 20  # the first port, and how many from there on may be taken
LOCAL = ("127.0.0.1", "localhost", "::1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("--port", type=int, help=f"default: {PORT}, or the next that is free")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: 127.0.0.1, this computer alone)")
    add_url(parser)
    parser.add_argument("--no-browser", action="store_true", help="say where the app is, and open no browser")


def run(options: argparse.Namespace) -> None:
    """Start the app, and wait until it ends. Raises CnnvizError if it cannot start."""
    home = find_home()
    port = find_port(options.host, options.port)
    options.kept = "The app has ended."
    url = read_url(options)
    address = urlsplit(url).hostname or (lan_address() if options.host in ANY else options.host)
    if options.host not in LOCAL:
        print(f"Whoever can reach {url or f'http://{bracket(address)}:{port}'} uses this machine.", flush=True)
    command = server_command(home, options.host, address, port)
    command += [f"--server.headless={str(options.no_browser).lower()}", "--server.showEmailPrompt=false"]
    with stop_at_exit(subprocess.Popen(command, env={**os.environ, **name_plugins(options.plugin)})) as server:
        code = server.wait()
    if code:
        raise CnnvizError(f"The app ended with code {code}; what it said stands above.")


def find_port(host: str, wanted: int | None) -> int:
    """`wanted` if it is free; by default the first free one. Raises BadInput if there is none."""
    if wanted is not None:
        check_free(host, wanted)
        return wanted
    for port in range(PORT, PORT + TRIED):
        try:
            check_free(host, port)
        except BadInput:
            if port == PORT + TRIED - 1:
                raise
        else:
            return port
    raise AssertionError("one of the ports was the last")
