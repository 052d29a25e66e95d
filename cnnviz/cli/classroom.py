"""Start the app for a class: students on the same network open an address and follow the lecturer.

Binds the address of this computer in the local network, prints it with a QR code, and prints a link for the
lecturer with a token that is made anew at every start. Whoever has the token leads: students see the page and
the view that the lecturer sees, within two seconds, or look around on their own. Long work (indexing,
landscapes, measurements over many images) is the lecturer's, unless a switch in the lecturer's sidebar lets
students start it. Anyone in the local network who knows the address can open it: use it in class, not for good.

If students cannot reach the address, let the port through this computer's firewall, or name another of its
addresses with --host; some guest networks keep their visitors apart, and a phone's hotspot does not.
Tours are YAML files in assets/tours and in the folder that CNNVIZ_TOURS names."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from cnnviz.cli.bar import can_show
from cnnviz.errors import BadInput, CnnvizError, explain_import, import_package
from cnnviz.paths import project

PATIENCE = 120.0  # seconds that the server may take to answer
ANY = ("0.0.0.0", "::")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("--port", type=int, default=8501, help="default: 8501")
    parser.add_argument("--host", help="address to bind (default: this computer's in the local network)")
    add_url(parser)
    parser.add_argument("--tour", metavar="NAME", help="the lecturer's link opens this tour, e.g. lecture")


def run(options: argparse.Namespace) -> None:
    """Start the app, say where it is, and wait until it ends. Raises CnnvizError if it cannot start."""
    home = find_home()
    if options.tour:
        from cnnviz.tours import load_tour

        load_tour(options.tour)  # better refused here than in front of the class
    host = options.host or lan_address()
    check_free(host, options.port)
    token, url = secrets.token_urlsafe(18), read_url(options)
    address = urlsplit(url).hostname or (lan_address() if host in ANY else host)
    url = url or f"http://{bracket(address)}:{options.port}"
    here = f"http://{'127.0.0.1' if host in ANY else bracket(host)}:{options.port}"
    environment = {**os.environ, "CNNVIZ_CLASS_TOKEN": token, "CNNVIZ_CLASS_ADDRESS": url}
    environment |= name_plugins(options.plugin)
    command = [*server_command(home, host, address, options.port), "--server.headless=true"]
    options.kept = "The class has ended."
    with stop_at_exit(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)) as server:
        _wait_for(here, server)
        print(announcement(url, token, options.tour), flush=True)
        code = server.wait()
    if code:
        raise CnnvizError(f"The app ended with code {code}; what it said stands above.")


def server_command(home: Path, host: str, address: str, port: int) -> list[str]:
    """The command that starts the app. Under which names it answers: app/hosts.py."""
    command = [sys.executable, "-m", "streamlit", "run", str(home)]
    return command + [f"--server.address={host}", f"--server.port={port}", f"--browser.serverAddress={address}"]


def add_url(parser: argparse.ArgumentParser) -> None:
    """--url, for an app behind a reverse proxy."""
    text = "where visitors open it, if that is elsewhere: of a reverse proxy, https://cnn.example.org (or $CNNVIZ_URL)"
    parser.add_argument("--url", default=os.environ.get("CNNVIZ_URL"), help=text)


def read_url(options: argparse.Namespace) -> str:
    """--url without what stands behind the host; "" without it. Raises BadInput for what is no address."""
    if not options.url:
        return ""
    with contextlib.suppress(ValueError):
        parts = urlsplit(options.url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.path in ("", "/"):
            return f"{parts.scheme}://{parts.netloc}"
    raise BadInput(f"--url is an address such as https://cnn.example.org, got {options.url!r}.")


def announcement(url: str, token: str, tour: str | None = None) -> str:
    """What the lecturer reads in the terminal. The token stands behind the "#", which no server is ever sent."""
    first = f"{url}/{f'?tour={tour}' if tour else ''}#lecturer={token}"
    return f"""
The class is open.

  Students:  {url}
  Lecturer:  {first}

{qr_code(url)}
The lecturer's link holds the token: keep it to yourself, and show the students' address only.
To take the lead in an open window: sidebar, “I am the lecturer”, token {token}
Ctrl+C ends the class.
"""


def qr_code(text: str) -> str:
    """A QR code in characters, dark on light whatever the terminal's colours are."""
    import io

    try:
        import segno
    except ImportError as error:
        return f"(No QR code: {explain_import('segno', error)})\n"
    drawing = io.StringIO()
    segno.make(text, error="m").terminal(drawing, compact=can_show("▀▄█", sys.stdout))  # else in a terminal's colours
    return drawing.getvalue()


def lan_address() -> str:
    """This computer's address in the local network. Raises BadInput if there is none.

    A UDP socket that is connected sends nothing, yet knows which of the addresses would be used."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # an address reserved for documentation, RFC 5737
        found = probe.getsockname()[0]
        if not found.startswith(("127.", "0.")):
            return found
    raise BadInput("This computer has no address in a local network. Join one, or name the address with --host.")


def check_free(host: str, port: int) -> None:
    """Raise BadInput unless the port can be bound on this address."""
    if not 1 <= port <= 65535:
        raise BadInput(f"--port {port} is no port; ports go from 1 to 65535.")
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise BadInput(
            f"{host} port {port} cannot be used ({error.strerror or error}). Another app may run there: choose "
            "another with --port, or another address of this computer with --host."
        ) from error


def find_home() -> Path:
    """The app's entry point. Raises CnnvizError if it, or Streamlit, is not there."""
    home = project() / "app" / "Home.py"
    if not home.is_file():
        raise CnnvizError(f"The app is not where it belongs, {home}. Install cnnviz again: pip install cnnviz")
    import_package("streamlit", "The app is drawn with Streamlit")
    return home


def bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@contextlib.contextmanager
def stop_at_exit(server: subprocess.Popen) -> Iterator[subprocess.Popen]:
    """The server, which ends when this command does: by Ctrl+C, by a signal, or by an error."""
    try:
        yield server
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def name_plugins(files: list[str]) -> dict[str, str]:
    """The environment variable that names the files of --plugin to the server, after those that it names already."""
    named = [*filter(None, [os.environ.get("CNNVIZ_PLUGINS")]), *(str(Path(file).resolve()) for file in files)]
    return {"CNNVIZ_PLUGINS": os.pathsep.join(named)} if files else {}


def _wait_for(url: str, server: subprocess.Popen) -> None:
    """Until the app answers. No proxy: the address is this computer's own."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), direct.open(f"{url}/_stcore/health", timeout=5):
            return
        time.sleep(0.2)
    raise CnnvizError(f"The app did not start at {url}; what it said stands above.")
