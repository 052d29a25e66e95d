"""The app run by Streamlit's own test harness: an empty cache folder and fresh caches for every test."""

import gc
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
import torch
from streamlit.testing.v1 import AppTest
from torch import nn

from app import jobs
from cnnviz.models import registry
from cnnviz.models.preprocessing import Preprocessing
from cnnviz.models.registry import Architecture

HOME = Path(__file__).resolve().parents[2] / "app" / "Home.py"
Open = Callable[..., AppTest]


def stop_jobs() -> None:
    """Cancel every job and wait for its thread."""
    running, _lock = jobs._registry()
    for job in running.values():
        job.cancel()
        job._thread.join(60)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The test's own cache folder."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("CNNVIZ_CACHE", str(folder))
    st.cache_data.clear()
    st.cache_resource.clear()
    yield folder
    stop_jobs()
    st.cache_data.clear()
    st.cache_resource.clear()
    gc.unfreeze()  # the app freezes what it loads; here it would pile up


@pytest.fixture
def opened() -> Open:
    """`opened("feature_maps", net="lenet5")`: that page, opened by a link with these query parameters."""

    def start(page: str = "home", **query: str) -> AppTest:
        at = AppTest.from_file(str(HOME), default_timeout=90)
        at.query_params.update(query)
        at.run()
        return at if page == "home" else turned(at, page)

    return start


def turned(at: AppTest, page: str) -> AppTest:
    """The same visitor on another page."""
    return at.switch_page(f"../pages/{page}.py").run()


def errors(at: AppTest) -> list[str]:
    """Messages of the page; none may be an exception."""
    assert not at.exception, [e.value for e in at.exception]
    return [e.value for e in at.error]


def pictures(at: AppTest) -> dict[str, dict[str, Any]]:
    """{key: data} of the clickable pictures."""
    return {shown.key: json.loads(shown.proto.json) for shown in at.get("bidi_component")}


def frame(picture: dict[str, Any]) -> tuple[float, float, float, float]:
    """(left, top, width, height) of a picture's only box."""
    (box,) = picture["boxes"]
    return box["x"], box["y"], box["width"], box["height"]


class Failing(nn.Module):
    """(N, 3, 16, 16) → never: its second layer expects another number of channels."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 3)
        self.body = nn.Conv2d(7, num_classes, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(self.stem(x)).mean((2, 3))


class FourChannels(nn.Sequential):
    """(N, 4, 16, 16) → logits; the first layer takes four channels, e.g. RGB and near infrared."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__(
            nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 5, 3, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, num_classes),
        )  # fmt: skip


@pytest.fixture
def registered() -> Iterator[Callable[[str, Callable[[int], nn.Module], int], str]]:
    """Enter a test architecture (name, builder, input channels) for the length of a test."""
    names: list[str] = []

    def enter(name: str, builder: Callable[[int], nn.Module], channels: int = 3) -> str:
        expects = Preprocessing((16, 16), mean=(0.5,) * channels, std=(0.25,) * channels)
        registry.architectures()
        registry.add(Architecture(name, name.title(), "Test", builder, expects, 4, "cifar10", "a test"))
        names.append(name)
        return name

    yield enter
    for name in names:
        del registry._CATALOGUE[name]
