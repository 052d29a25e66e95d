"""The LeNet of lecture slides, a plugin of the server, is shown by every page."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from lecture_lenet import write_slide
from visitors import TITLES, Visitor, serving

pytestmark = pytest.mark.browser
_PICTURES = "img[alt]:not([alt='']), svg[aria-label], .js-plotly-plot, [role=img]"
_TROUBLE = ("Error:", "view size", "No architecture named", "RuntimeError")


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[str, str]]:
    """Channels: (name of the network, file)."""
    folder = tmp_path_factory.mktemp("plugins")
    return {channels: (name, str(file)) for channels in (1, 3) for name, file in [write_slide(folder, channels)]}


@pytest.fixture(scope="module")
def address(chromium: Any, plugins: dict, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own that knows the network for one and for three channels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNVIZ_PLUGINS", os.pathsep.join(file for _name, file in plugins.values()))
        with serving(tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("elsewhere")) as url:
            yield url


@pytest.mark.parametrize("page, channels", [(page, (1, 3)[at % 2]) for at, page in enumerate(sorted(TITLES))])
def test_every_page_shows_the_network_of_the_slide(visitor: Visitor, plugins: dict, page: str, channels: int):
    """For one channel and for three, in turn."""
    name = plugins[channels][0]
    layer = "" if page in ("", "filters", "inspect", "anatomy", "playground") else "&layer=conv2&unit=1"
    visitor.open(page, f"net={name}{layer}")
    pictures = visitor.main.locator(_PICTURES)
    visitor.until(lambda: pictures.count() > 0, f"{page} has a picture of {name}")
    visitor.settled()
    text = visitor.tab.locator("body").inner_text()
    assert not [word for word in _TROUBLE if word in text], text
    faults = "[data-testid=stException], [data-testid=stAlertContentError]"
    assert visitor.main.locator(faults).all_inner_texts() == []
    assert visitor.query().get("net", name) == name
