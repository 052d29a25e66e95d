"""The URL is the view: copied links, other pages, Back and Forward."""

from typing import Any

import pytest
from visitors import Visitor

pytestmark = pytest.mark.browser


def test_a_copied_link_opens_the_same_view_in_a_new_browser(visitor: Visitor, chromium: Any):
    visitor.open("feature-maps", "net=lenet5")
    visitor.choose_layer("conv2")
    visitor.until(lambda: visitor.query().get("layer") == "conv2", "conv2 was chosen")
    visitor.settled()
    visitor.click_tile("Feature maps of", 6, 0.9, 0.4)
    visitor.until(lambda: "unit" in visitor.query(), "a map was clicked")
    visitor.tab.get_by_text("Each map", exact=True).click()
    visitor.until(lambda: visitor.query().get("scale") == "Each map", "the scale was chosen")
    visitor.settled()
    labels = ("Network", "Weights", "Image", "Layer", "Channel", "Row", "Column")
    mine = [visitor.chosen(label) for label in labels] + [visitor.source("Feature maps of")]
    other = Visitor(chromium, visitor.address)
    other.tab.goto(visitor.tab.url)
    other.arrived("feature-maps")
    other.picture("Feature maps of").wait_for()
    theirs = [other.chosen(label) for label in labels] + [other.source("Feature maps of")]
    other.context.close()
    assert theirs == mine


def test_choices_survive_the_way_through_the_pages_and_back(visitor: Visitor):
    visitor.open("feature-maps", "net=lenet5&image=digit-5&layer=conv2&unit=3&row=2&col=4")
    for page in ("filters", "", "top-9", "feature-maps"):
        visitor.go(page)
        assert (visitor.chosen("Network"), visitor.chosen("Image")) == ("lenet5", "digit-5"), page
        assert visitor.query()["layer"] == "conv2"
    assert [visitor.chosen(label) for label in ("Layer", "Channel", "Row", "Column")] == ["conv2", "3", "2", "4"]
    for page in ("top-9", "", "filters", "feature-maps"):  # each step back is one page, as it was
        visitor.tab.go_back()
        visitor.arrived(page)
        assert (visitor.chosen("Network"), visitor.chosen("Image")) == ("lenet5", "digit-5"), page
    assert [visitor.chosen(label) for label in ("Layer", "Channel", "Row", "Column")] == ["conv2", "3", "2", "4"]
    visitor.tab.go_forward()
    visitor.arrived("filters")
    assert visitor.chosen("Channel") == "3"


def test_back_undoes_a_choice_on_the_same_page(visitor: Visitor):
    visitor.open("filters", "net=lenet5&unit=1")
    more = visitor.bar.locator("[data-testid=stNumberInputStepUp]").first
    more.click()
    visitor.until(lambda: visitor.query().get("unit") == "2", "one more")
    visitor.settled()
    visitor.tab.go_back()
    visitor.until(lambda: visitor.query().get("unit") == "1", "back")
    visitor.settled()
    visitor.until(lambda: visitor.chosen("Channel") == "1", "the picker follows the URL")
    visitor.tab.get_by_text("conv1 · channel 1").wait_for()


def test_quick_clicks_are_all_counted(visitor: Visitor):
    visitor.open("filters", "net=resnet20_cifar&weights=random")
    more = visitor.bar.locator("[data-testid=stNumberInputStepUp]").first
    for _ in range(6):
        more.click()
    visitor.until(lambda: visitor.query().get("unit") == "6", "six clicks")
    visitor.settled()
    assert visitor.chosen("Channel") == "6" and visitor.query()["unit"] == "6"


def test_the_way_to_a_unit_s_patches_takes_the_unit_along(visitor: Visitor):
    visitor.open("feature-maps", "net=lenet5&layer=conv2&unit=9")
    visitor.main.get_by_role("link", name="Patches").click()
    visitor.arrived("top-9")
    assert (visitor.chosen("Network"), visitor.chosen("Layer"), visitor.chosen("Channel")) == ("lenet5", "conv2", "9")


def test_a_quick_second_click_on_the_page_that_is_left_does_not_bring_it_back(visitor: Visitor):
    for round_ in range(4):
        visitor.open("top-9", "net=lenet5&layer=conv2&unit=1")
        visitor.press()
        visitor.tab.evaluate(
            """(delay) => {
              document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "G", bubbles: true, composed: true }))
              const more = document.querySelector(".st-key-cnnviz_bar [data-testid=stNumberInputStepUp]")
              setTimeout(() => more.click(), delay)
            }""",
            round_ * 5,
        )
        visitor.arrived("feature-maps")
        visitor.tab.wait_for_timeout(500)
        visitor.arrived("feature-maps")
        assert "/feature-maps?" in visitor.tab.url
