"""The microscope: four densities with one click between them, clicks that lead somewhere and stay in the address. How
its pictures fill the window is seen by `test_every_page`."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from visitors import Visitor

pytestmark = pytest.mark.browser
LENET = "net=lenet5&layer=conv2"
MAPS, PATCHES, WINNERS, INPUTS = "Feature maps of", "Top-9 wall of", "The 9 winners of", "Preferred inputs of"
MAIN = {"feature-maps": MAPS, "top-9": PATCHES, "preferred-inputs": INPUTS, "unit": WINNERS}
LABELS = ("Network", "Image", "Layer", "Channel", "Row", "Column")
PROJECTION = "What in this image drives the unit, deconvnet"
FIELD = "The input with the receptive field"


def state(someone: Visitor) -> list[str]:
    """The choices that the page shows, and its two pictures of this image."""
    someone.picture(PROJECTION).wait_for()
    shown = [someone.picture(alt).get_attribute("src") for alt in (FIELD, PROJECTION)]
    return [*map(someone.chosen, LABELS), *shown]


def assert_address_is_the_view(visitor: Visitor, chromium: Any, page: str) -> None:
    """Another tab with the same address shows the same."""
    mine, url = state(visitor), visitor.tab.url
    other = Visitor(chromium, visitor.address, visitor.context)
    other.tab.goto(url)
    other.arrived(page)
    theirs = state(other)
    assert theirs == mine and other.tab.url == url and other.wrong == []
    other.tab.close()


def click_wall(visitor: Visitor) -> None:
    visitor.click_tile(MAPS, 12, 0.35, 0.75)  # of 10×10 units: row 7, column 3
    visitor.until_query(unit="12", row="7", col="3")


def click_photograph(visitor: Visitor) -> None:
    box = visitor.box(visitor.picture(FIELD))
    visitor.picture(FIELD).click(position={"x": box["width"] * 0.85, "y": box["height"] * 0.25})
    visitor.until_query(row="2", col="8")


def press_key(visitor: Visitor) -> None:
    visitor.press("u")
    visitor.until_query(unit="3")


def choose_in_strip(visitor: Visitor) -> None:
    visitor.choose_layer("pool2")
    visitor.until_query(layer="pool2")


def test_a_choice_on_the_maps_is_in_the_address_whatever_made_it(visitor: Visitor, chromium: Any):
    for act in (click_wall, click_photograph, press_key, choose_in_strip):
        visitor.open("feature-maps", f"{LENET}&order=By+index&unit=2&row=4&col=4")
        visitor.settled()
        act(visitor)
        mine, link = state(visitor), visitor.tab.url.partition("?")[2]
        visitor.open("filters")
        visitor.open("feature-maps", link)
        assert state(visitor) == mine, act.__name__
    assert_address_is_the_view(visitor, chromium, "feature-maps")


def test_a_chip_leads_to_its_unit_also_in_the_address(visitor: Visitor, chromium: Any):
    visitor.open("unit", f"{LENET}&unit=7")
    chip = visitor.tab.locator(".st-key-microscope_unit a", has_text="conv1 · channel").first
    chip.wait_for()
    number = chip.inner_text().split("channel ")[1].split(" ")[0]
    visitor.settled()
    chip.click()
    visitor.until_query(layer="conv1")  # and the unit, but for the one that the layer opens on
    visitor.until_chosen("Channel", number)
    assert visitor.query().get("unit", number) == number
    assert_address_is_the_view(visitor, chromium, "unit")
    visitor.tab.go_back()
    visitor.until_query(layer="conv2", unit="7")
    visitor.until_chosen("Channel", "7")


def test_a_patch_of_the_wall_leads_to_the_winner_s_image_and_unit(visitor: Visitor, chromium: Any):
    visitor.open("top-9", f"{LENET}&unit=0")
    visitor.picture(PATCHES).wait_for()
    visitor.settled()
    value = (
        visitor.tab.get_by_text("Receptive field 14×14 pixels. Values ").inner_text().split("Values ")[1].split(",")[0]
    )
    visitor.click_tile(PATCHES, 0, 0.05, 0.15)  # the strongest patch of channel 0
    visitor.until(lambda: visitor.query().get("image", "").startswith("upload-"), "the winner's image")
    visitor.settled()
    visitor.tab.get_by_text(f"Value {value}. ").wait_for()  # the unit under the frame is the one that won
    assert_address_is_the_view(visitor, chromium, "top-9")


def test_one_click_between_the_densities_and_the_choices_move_along(visitor: Visitor):
    visitor.open("feature-maps", f"{LENET}&image=digit-5&unit=9&row=2&col=4")
    mine = state(visitor)
    for name, page in (
        ("Patches", "top-9"),
        ("Preferred", "preferred-inputs"),
        ("Unit", "unit"),
        ("Maps", "feature-maps"),
    ):
        visitor.main.get_by_role("link", name=name, exact=True).click()
        visitor.arrived(page)
        visitor.picture(MAIN[page]).wait_for()
        assert state(visitor) == mine, page


def test_a_click_on_the_wall_of_a_layer_chooses_the_channel_while_the_wall_is_being_made(visitor: Visitor):
    visitor.open("preferred-inputs", f"{LENET}&view=Layer&unit=2&start=7")
    visitor.picture(INPUTS).wait_for()
    visitor.click_tile(INPUTS, 6, 0.5, 0.5)
    visitor.until_query(unit="6")
    visitor.picture(f"{INPUTS} conv2, 16 of 16 channels").wait_for()
    visitor.settled()
    assert visitor.chosen("Channel") == "6" and visitor.query()["unit"] == "6"


def photograph() -> bytes:
    random = np.random.default_rng(3)
    picture = Image.fromarray(random.integers(0, 256, (48, 64, 3), np.uint8)).resize((320, 240))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def test_from_a_dropped_photograph_to_what_in_it_drives_a_unit_one_drop_and_one_click(visitor: Visitor):
    visitor.open("feature-maps", "net=resnet20_cifar&layer=layer2.0")
    before = visitor.source(MAPS)
    visitor.drop_on_page(("mine.png", photograph(), "image/png"))
    visitor.until(lambda: visitor.query().get("image", "").startswith("upload-"), "the photograph is chosen")
    visitor.settled()
    visitor.until(lambda: visitor.source(MAPS) != before, "its maps are shown")
    unit = visitor.chosen("Channel")
    visitor.main.get_by_role("link", name="Unit", exact=True).click()
    visitor.arrived("unit")
    visitor.picture(PROJECTION).wait_for()
    assert visitor.chosen("Channel") == unit and visitor.query()["image"].startswith("upload-")
