"""The app run by Streamlit's own test harness: an empty cache folder and fresh caches for every test."""

import functools
import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from app_pages import stop_jobs, turned
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest
from torch import nn

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.models.catalogue import architecture, registry
from cnnviz.models.catalogue.architecture import Architecture

HOME = Path(__file__).resolve().parents[2] / "app" / "Home.py"
Open = Callable[..., AppTest]


@pytest.fixture(autouse=True, scope="session")
def manifests() -> Iterator[None]:
    """Streamlit reads the metadata of all installed packages for every harness anew; they stay the same."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            manifest_scanner, "scan_component_manifests", functools.cache(manifest_scanner.scan_component_manifests)
        )
        yield


@pytest.fixture(autouse=True)
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness knows at once what it is told; what a browser still sends: test_late.py."""
    monkeypatch.setattr("app.url.late.PATIENCE", 0)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The test's own cache folder."""
    folder, main = tmp_path / "cache", sys.modules["__main__"]
    monkeypatch.setenv("CNNVIZ_CACHE", str(folder))
    st.cache_data.clear()
    st.cache_resource.clear()
    yield folder
    stop_jobs()
    st.cache_data.clear()
    st.cache_resource.clear()
    sys.modules["__main__"] = main  # a script that ran is that now; processes started later would run it again
    gc.unfreeze()  # the app freezes what it loads; here it would pile up


@pytest.fixture
def opened() -> Open:
    """`opened("feature_maps", net="lenet5")`: that page, opened by a link with these query parameters."""

    def start(page: str = "home", **query: str) -> AppTest:
        at = AppTest.from_file(str(HOME), default_timeout=90)
        if page != "home":  # the harness knows the pages after a first run: of a Home that computes nothing
            at.query_params["weights"] = "file-gone"
            at.run()
            at.query_params.clear()
        at.query_params.update(query)
        return at.run() if page == "home" else turned(at, page)

    return start


@pytest.fixture
def registered() -> Iterator[Callable[[str, Callable[[int], nn.Module], int], str]]:
    """Enter a test architecture (name, builder, input channels) for the length of a test."""
    names: list[str] = []

    def enter(name: str, builder: Callable[[int], nn.Module], channels: int = 3) -> str:
        expects = Preprocessing((16, 16), mean=(0.5,) * channels, std=(0.25,) * channels)
        registry.architectures()
        architecture.add(Architecture(name, name.title(), "Test", builder, expects, 4, "cifar10", "a test"))
        names.append(name)
        return name

    yield enter
    for name in names:
        del architecture._CATALOGUE[name]
