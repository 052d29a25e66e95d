"""The real app in a real browser: one server for all tests, Chromium through Playwright."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from visitors import SCREEN, Visitor, serving

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
_FAILED = pytest.StashKey[bool]()


def missing(what: str) -> None:
    """Skip where there is no browser; fail where one was promised."""
    if os.environ.get("CNNVIZ_REQUIRE_BROWSER") == "1":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("Playwright is not installed: pip install playwright")
    program = os.environ.get("CNNVIZ_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    if not Path(program).is_file():
        missing(f"There is no Chromium at {program}; set CNNVIZ_CHROMIUM to one.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def address(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server that all tests share."""
    with serving(tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("elsewhere")) as url:
        yield url


@pytest.fixture(scope="session")
def profile(chromium: Any) -> Iterator[Any]:
    """The browser context that visitors share one after the other: it has compiled Streamlit's scripts already."""
    context = chromium.new_context(viewport=SCREEN)
    yield context
    context.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Any:
    """Note for the fixture below whether the test failed, and tell what every tab showed then."""
    report = yield
    if call.when == "call":
        item.stash[_FAILED] = report.failed
        if report.failed:
            for someone in Visitor.alive:
                with contextlib.suppress(Exception):  # its browser has gone
                    report.sections.append(("Tab", someone.describe()))
    return report


@pytest.fixture(scope="session")
def kept() -> list[Visitor]:
    """The visitor whose tab the next test of the same server goes on in; one, since a tab behind another sleeps."""
    return []


@pytest.fixture
def visitor(
    chromium: Any, profile: Any, address: str, kept: list[Visitor], request: pytest.FixtureRequest
) -> Iterator[Visitor]:
    """A visitor of the app; at the end nothing may have gone wrong. Tests share one tab after the other, since the
    address is the view, but for those marked own_tab."""
    alone = request.node.get_closest_marker("own_tab") is not None
    for other in kept[:]:
        if alone or other.address != address:
            other.leave()
            kept.remove(other)
    someone = kept.pop() if kept else Visitor(chromium, address, profile)
    yield someone
    text = someone.tab.locator("body").inner_text()
    failed = request.node.stash.get(_FAILED, False)
    if failed and (folder := os.environ.get("CNNVIZ_SCREENSHOTS")):
        someone.tab.screenshot(path=Path(folder) / f"{request.node.name.partition('[')[0]}.png")
    dialogs, wrong = someone.tab.locator("[role=dialog]").all_inner_texts(), list(someone.wrong)
    if alone or failed or dialogs or wrong:
        someone.leave()
    else:
        someone.forget()
        kept.append(someone)
    assert "Traceback" not in text and dialogs == []  # e.g. "Connection error"
    assert wrong == []
