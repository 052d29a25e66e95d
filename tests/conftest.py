"""Fixtures that every test may use."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores: each, and what it starts, has its part of them
    _part = max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    os.environ.setdefault("OMP_NUM_THREADS", str(_part))

os.environ.setdefault("CNNVIZ_PREFERRED_STEPS", "12")  # they stand beside every channel's patches
os.environ.setdefault("CNNVIZ_NETWORK", "resnet20_cifar")  # that pages open on: small, and here without a package

import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fileserver import Server, serving
from torch._ops import OpOverload, OpOverloadPacket

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
def bfloat16_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """bfloat16 is computed where it is asked for, on processors that are slow in it, too."""
    monkeypatch.setattr("cnnviz.device.fast_bfloat16", lambda _device: True)


@pytest.fixture
def avx2(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The processor has AVX2 and nothing beyond, where a fused operation of oneDNN's raises for bfloat16."""
    monkeypatch.setenv("CNNVIZ_CPU", "avx2")
    packet, overload = OpOverloadPacket.__call__, OpOverload.__call__

    def refuse(name: str, given: Iterable[Any]) -> None:
        halves = [one for one in given if isinstance(one, torch.Tensor) and one.dtype == torch.bfloat16]
        if name.startswith("mkldnn::") and halves:
            raise RuntimeError(f"{name}: bf16 path needs the cpu support avx_ne_convert or avx512bw, avx512vl")

    def call_packet(self: OpOverloadPacket, /, *args: Any, **kwargs: Any) -> Any:
        refuse(self._qualified_op_name, (*args, *kwargs.values()))
        return packet(self, *args, **kwargs)

    def call_overload(self: OpOverload, /, *args: Any, **kwargs: Any) -> Any:
        refuse(self._schema.name, (*args, *kwargs.values()))
        return overload(self, *args, **kwargs)

    monkeypatch.setattr(OpOverloadPacket, "__call__", call_packet)
    monkeypatch.setattr(OpOverload, "__call__", call_overload)
    yield


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
