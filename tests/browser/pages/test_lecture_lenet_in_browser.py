"""The LeNet of lecture slides, a plugin of the server, is shown by every page."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from lecture_lenet import write_slide
from visitors import TITLES, Visitor, serving

pytestmark = pytest.mark.browser
_PICTURES = "img[alt]:not([alt='']), svg[aria-label], .js-plotly-plot, [role=img]"
_TROUBLE = ("Traceback", "Error:", "view size", "No architecture named", "RuntimeError")


@pytest.fixture(scope="module")
def slides(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    """(address, names) of a server that knows the network for one and for three channels."""
    folder = tmp_path_factory.mktemp("plugins")
    plugins = [write_slide(folder, channels) for channels in (1, 3)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNVIZ_PLUGINS", os.pathsep.join(str(file) for _name, file in plugins))
        with serving(tmp_path_factory.mktemp("cache"), folder) as address:
            yield address, [name for name, _file in plugins]


@pytest.mark.parametrize("page, which", [(page, number % 2) for number, page in enumerate(sorted(TITLES))])
def test_every_page_shows_the_network_of_the_slide(chromium: Any, profile: Any, slides, page: str, which: int):
    """For one channel and for three, in turn."""
    address, names = slides
    someone = Visitor(chromium, address, profile)
    try:
        name = names[which]
        layer = "" if page in ("", "filters", "inspect", "anatomy", "playground") else "&layer=conv2&unit=1"
        someone.open(page, f"net={name}{layer}")
        pictures = someone.main.locator(_PICTURES)
        someone.until(lambda: pictures.count() > 0, f"{page} has a picture of {name}")
        someone.settled()
        text = someone.tab.locator("body").inner_text()
        assert not [word for word in _TROUBLE if word in text], text
        faults = "[data-testid=stException], [data-testid=stAlertContentError]"
        assert someone.main.locator(faults).all_inner_texts() == []
        assert someone.tab.locator("[role=dialog]").count() == 0 and someone.wrong == []
        assert someone.query().get("net", name) == name
    finally:
        someone.leave()
