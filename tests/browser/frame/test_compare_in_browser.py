"""Compare: from trained to random side by side with one click; pointer, channel and unit are linked; Back undoes it."""

import pytest
from browser_layout import faults_of_layout
from visitors import SCREEN, Visitor

pytestmark = pytest.mark.browser
LINK = "net=lenet5&layer=conv2&order=By+index&unit=0&row=0&col=0"
ALONE, LEFT, RIGHT = "Feature maps of conv2", "Feature maps of conv2, trained", "Feature maps of conv2, random weights"
ECHO = """
(wall) => {
  const echo = wall.getRootNode().querySelector(".echo"), tile = echo.getBoundingClientRect()
  const place = wall.getBoundingClientRect()
  return echo.hidden ? null : { item: Number(echo.dataset.item), unit: echo.dataset.unit, value: echo.textContent,
    left: tile.left - place.left, top: tile.top - place.top }
}
"""
SPOT = """(image) => { const spot = image.getRootNode().querySelector(".spot")
  return spot.hidden ? null : [spot.style.left, spot.style.top].map(parseFloat) }"""


def compare(someone: Visitor) -> None:
    someone.bar.locator(".st-key-compare").get_by_role("button", name="Compare").click()


def point(someone: Visitor, alt: str, number: int, across: float, down: float) -> None:
    place, (left, top, width, height) = someone.box(someone.picture(alt)), someone.tile(alt, number)
    someone.tab.mouse.move(place["x"] + left + across * width, place["y"] + top + down * height)


def test_one_click_puts_random_weights_beside_trained_ones_and_back_takes_them_away(visitor: Visitor):
    visitor.open("feature-maps", LINK)
    alone = visitor.source(ALONE)
    compare(visitor)
    visitor.until_query(beside="random")
    assert visitor.source(LEFT) != visitor.source(RIGHT) and visitor.query()["unit"] == "0"
    places = [visitor.box(visitor.picture(alt)) for alt in (LEFT, RIGHT)]
    assert places[0]["y"] == places[1]["y"] and places[0]["width"] == pytest.approx(places[1]["width"], abs=2)
    assert visitor.tile(LEFT, 15) == pytest.approx(visitor.tile(RIGHT, 15))
    visitor.tab.go_back()
    visitor.until_query(beside=None)
    visitor.until(lambda: visitor.picture(RIGHT).count() == 0, "one wall alone")
    assert visitor.source(ALONE) == alone
    visitor.tab.go_forward()
    visitor.until_query(beside="random")
    visitor.picture(RIGHT).wait_for()


def test_the_pointer_over_one_wall_marks_the_same_unit_of_the_other(visitor: Visitor):
    visitor.open("feature-maps", f"{LINK}&beside=random")
    for over, other in ((LEFT, RIGHT), (RIGHT, LEFT)):
        visitor.settled()
        point(visitor, over, 6, 7.5 / 10, 2.5 / 10)
        visitor.until(lambda other=other: visitor.picture(other).evaluate(ECHO) is not None, "the other wall is marked")
        echo = visitor.picture(other).evaluate(ECHO)
        left, top, _width, _height = visitor.tile(other, 6)
        assert (echo["item"], echo["unit"]) == (6, "2,7") and echo["value"]
        assert (echo["left"], echo["top"]) == pytest.approx((left, top), abs=1)
        assert visitor.picture(over).evaluate(ECHO) is None
    visitor.tab.mouse.move(2, 2)
    visitor.until(lambda: visitor.picture(LEFT).evaluate(ECHO) is None, "nothing is marked")


def test_a_click_on_the_right_half_chooses_channel_and_unit_for_both_and_the_address(visitor: Visitor):
    visitor.open("feature-maps", f"{LINK}&beside=random")
    visitor.settled()
    visitor.click_tile(RIGHT, 11, 3.5 / 10, 2.5 / 10)  # not the peak, which is the default
    visitor.until_query(unit="11", row="2", col="3", beside="random")
    for alt in (LEFT, RIGHT):
        visitor.until(lambda alt=alt: visitor.picture(alt).get_attribute("data-stamp").endswith(" 11 2,3"), alt)
    visitor.tab.go_back()
    visitor.until_query(unit="0", beside="random")
    visitor.until(lambda: visitor.picture(RIGHT).get_attribute("data-stamp").endswith(" 0 0,0"), "as before")


def test_the_pointer_over_one_picture_marks_the_same_place_of_the_others(visitor: Visitor):
    visitor.open("receptive-fields", "net=lenet5&layer=conv2&average=this+image&beside=random")
    photo, heat = (
        visitor.picture(f"{words} of conv2").nth(at) for words, at in (("The field", 0), ("The gradient", 1))
    )
    heat.wait_for()
    visitor.settled()
    place = photo.bounding_box()
    visitor.tab.mouse.move(place["x"] + 0.25 * place["width"], place["y"] + 0.75 * place["height"])
    visitor.until(lambda: heat.evaluate(SPOT) is not None, "the other half is marked")
    assert heat.evaluate(SPOT) == pytest.approx([25, 75], abs=0.5)


@pytest.mark.parametrize("page", ["filters", "feature-maps", "inspect", "receptive-fields", "equivariance"])
def test_both_halves_fit_at_every_size(visitor: Visitor, page: str):
    try:
        visitor.open(page, f"{LINK}&beside=random&average=this+image")
        for width, height in ((1440, 900), (1024, 768), (390, 844)):
            visitor.tab.set_viewport_size({"width": width, "height": height})
            visitor.settled()
            assert visitor.fits(), width
            assert faults_of_layout(visitor.tab) == [], width
    finally:
        visitor.tab.set_viewport_size(SCREEN)
