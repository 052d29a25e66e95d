"""Fixtures that every test may use."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores: each, and what it starts, has its part of them
    _part = max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    os.environ.setdefault("OMP_NUM_THREADS", str(_part))

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fileserver import Server, serving

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real images and weights that lie beside the project; absent elsewhere."""
    folder = ROOT.parent / "shared"
    if not (folder / "weights").is_dir():
        pytest.skip("real images and weights (../shared) are not here")
    return folder


@pytest.fixture
def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def server() -> Iterator[Server]:
    """A web server on this machine; see fileserver.py."""
    with serving() as running:
        yield running


@pytest.fixture
def nobody() -> Iterator[str]:
    """A base URL at which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"


@pytest.fixture
def weights_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of downloaded weights, empty; no mirror, no proxy, no other hub."""
    proxies = [f"{kind}_proxy" for kind in ("http", "https", "all")]
    variables = [
        "CNNVIZ_WEIGHTS_MIRROR",
        "HF_ENDPOINT",
        "HF_HUB_OFFLINE",
        *proxies,
        *(name.upper() for name in proxies),
    ]
    for name in variables:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "hub" / "checkpoints"
