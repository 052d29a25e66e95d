"""Trained against random: the switch on every page, in the picture and in the URL, there and back."""

import pytest
from visitors import Visitor

pytestmark = pytest.mark.browser
PICTURES = {  # page: (rest of the link, the picture that the weights make)
    "": ("", "Five most probable classes"),
    "filters": ("", "6 filters"),
    "feature-maps": ("&layer=conv2&order=By+index&unit=0", "Feature maps of"),
    "top-9": ("&layer=conv2&unit=0", "Top-9 patches of channel"),
}


def switch(someone: Visitor) -> None:
    someone.bar.locator("label", has_text="Random").first.click()


@pytest.mark.parametrize("page", PICTURES)
def test_the_switch_changes_the_picture_and_the_url_and_back(visitor: Visitor, page: str):
    rest, alt = PICTURES[page]
    visitor.open(page, f"net=lenet5{rest}")
    badge = visitor.tab.locator("h1").get_by_text("random weights", exact=True)
    trained = visitor.source(alt)
    assert badge.count() == 0
    switch(visitor)
    visitor.until_query(untrained="True", net="lenet5")
    visitor.until(lambda: visitor.source(alt) != trained, "the picture is another")
    badge.wait_for()
    assert visitor.chosen("Weights") == "bundled"  # still chosen
    switch(visitor)
    visitor.until_query(untrained=None)
    visitor.until(lambda: visitor.source(alt) == trained, "the picture is as before")
    assert badge.count() == 0


def test_random_weights_go_along_to_the_other_pages_and_back_takes_them_away(visitor: Visitor):
    visitor.open("filters", "net=lenet5")
    trained = visitor.source("6 filters")
    switch(visitor)
    visitor.until_query(untrained="True")
    visitor.go("feature-maps")
    assert visitor.query()["untrained"] == "True"
    visitor.tab.locator("h1").get_by_text("random weights", exact=True).wait_for()
    visitor.tab.go_back()
    visitor.arrived("filters")
    visitor.tab.go_back()
    visitor.until_query(untrained=None)
    visitor.until(lambda: visitor.source("6 filters") == trained, "the trained filters are back")
