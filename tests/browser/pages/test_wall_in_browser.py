"""Walls of tiles: they fill the room there is at every size, tell what NumPy says, and give back the exact unit."""

import numpy as np
import pytest
from browser_layout import faults_of_layout
from visitors import SCREEN, Visitor

import cnnviz
from cnnviz.data.samples import draw_digit
from cnnviz.figures.base.atlas import maps_atlas

pytestmark = pytest.mark.browser
SIZES = [(1440, 900), (1920, 1080), (1024, 768)]
WALL = "Feature maps of"
LINK = "net=resnet20_cifar&layer=layer3.0&order=By+index"  # 64 maps
ROOM = """
(wall) => {
  const box = wall.parentElement, place = box.getBoundingClientRect(), { columns, pitch, wide, total } = wall.dataset
  return { width: place.width, top: place.top, bottom: place.bottom, height: innerHeight - place.top - 50,
    wide: (columns - 1) * pitch + Number(wide), high: Number(total), scrolls: box.scrollHeight > box.clientHeight + 1,
    under: box.scrollWidth <= box.clientWidth }
}
"""
TOLD = """
(wall) => {
  const loupe = wall.getRootNode().querySelector(".loupe.open"), place = loupe?.getBoundingClientRect()
  const inside = place && place.left >= 0 && place.top >= 0 && place.right <= innerWidth && place.bottom <= innerHeight
  return loupe && { inside, wide: loupe.firstElementChild.offsetWidth,
    lines: [...loupe.querySelectorAll(".told *")].map((line) => line.textContent) }
}
"""


def maps_of(net: str, layer: str, digit: int) -> np.ndarray:
    return cnnviz.capture(cnnviz.load(net), draw_digit(digit), [layer])[layer][0]


@pytest.fixture
def at_any_size(visitor: Visitor):
    yield visitor
    visitor.tab.set_viewport_size(SCREEN)


def test_64_maps_fill_the_room_at_every_size_and_none_is_cut(at_any_size: Visitor):
    at_any_size.open("feature-maps", LINK)
    wall = at_any_size.picture(WALL)
    wall.wait_for()
    seen = []
    for width, height in SIZES:
        at_any_size.tab.set_viewport_size({"width": width, "height": height})
        at_any_size.settled()
        at_any_size.box(wall)
        room = wall.evaluate(ROOM)
        assert max(room["wide"] / room["width"], room["high"] / room["height"]) >= 0.8, (width, room)
        assert room["wide"] <= room["width"] and room["under"] and not room["scrolls"], (width, room)
        assert room["bottom"] <= height, (width, room)
        assert faults_of_layout(at_any_size.tab) == []
        seen.append(at_any_size.tile(WALL, 63))
    assert len({tile[2] for tile in seen}) == 3  # laid out anew for each


def test_many_maps_scroll_in_their_own_box_and_stay_readable(at_any_size: Visitor):
    at_any_size.tab.set_viewport_size({"width": 1024, "height": 768})
    at_any_size.open("feature-maps", "net=squeezenet1_1&weights=random&layer=features.12&count=512")
    wall = at_any_size.picture(WALL)
    wall.wait_for()
    at_any_size.settled()
    room = wall.evaluate(ROOM)
    assert room["scrolls"] and room["under"] and room["bottom"] <= 768
    assert at_any_size.tile(WALL, 0)[2] >= 40
    at_any_size.box(wall)
    wall.evaluate("wall => { wall.parentElement.scrollTop = 1e6 }")
    at_any_size.until(lambda: wall.evaluate("wall => wall.captions.length > 20"), "the last tiles are drawn")
    drawn = wall.evaluate("wall => Number(wall.dataset.milliseconds)")
    assert drawn < 250  # 50 ms on a quiet machine


def test_the_pointer_is_told_number_value_and_maximum_as_numpy_says(visitor: Visitor):
    maps = maps_of("lenet5", "conv2", 3)
    visitor.open("feature-maps", "net=lenet5&layer=conv2&order=By+index&scale=Each+map&unit=0&row=0&col=0")
    wall = visitor.picture(WALL)
    place = visitor.box(wall)
    for channel, row, col in ((5, 3, 8), (11, 0, 0), (2, 9, 9)):
        left, top, width, height = visitor.tile(WALL, channel)
        visitor.tab.mouse.move(
            place["x"] + left + (col + 0.5) / 10 * width, place["y"] + top + (row + 0.5) / 10 * height
        )
        visitor.until(lambda: wall.evaluate(TOLD) is not None, "a tile has grown")
        told = wall.evaluate(TOLD)
        assert told["inside"]
        peak, value = float(maps[channel].max()), float(maps[channel, row, col])
        assert told["lines"][0] == f"channel {channel}" and told["lines"][2] == f"maximum {peak:.3g}"
        where, said = told["lines"][1].split(": ")
        assert where == f"({row}, {col})"
        digits = max(0, int(np.ceil(-np.log10(peak / 255))))
        if round(max(value, 0) / peak * 255) == 0:
            assert said.startswith("≤ ") and value <= float(said[2:]) <= peak / 400 + 10.0 ** -(digits + 1)
        else:
            assert abs(float(said) - value) <= peak / 510 + 0.5 * 10.0**-digits
            assert len(said.partition(".")[2]) == digits
    visitor.tab.mouse.move(2, 2)
    visitor.until(lambda: wall.evaluate(TOLD) is None, "it is small again")


def test_a_small_tile_grows_to_160_pixels_at_least(visitor: Visitor):
    visitor.open("feature-maps", LINK)
    wall = visitor.picture(WALL)
    place = visitor.box(wall)
    left, top, width, height = visitor.tile(WALL, 63)  # in the corner
    visitor.tab.mouse.move(place["x"] + left + width * 0.9, place["y"] + top + height * 0.9)
    visitor.until(lambda: wall.evaluate(TOLD) is not None, "a tile has grown")
    told = wall.evaluate(TOLD)
    assert told["inside"] and told["wide"] >= 0.85 * max(160, 3 * width)


def test_a_click_gives_the_unit_under_it_and_marks_it(visitor: Visitor):
    visitor.open("feature-maps", LINK)
    visitor.click_tile(WALL, 41, 5.5 / 8, 2.5 / 8)
    visitor.until_query(unit="41", col="5")
    assert [visitor.chosen(label) for label in ("Channel", "Row", "Column")] == ["41", "2", "5"]
    visitor.until(lambda: visitor.picture(WALL).get_attribute("data-stamp").endswith(" 41 2,5"), "it is marked")


def test_by_keyboard_arrows_move_among_the_tiles_and_enter_chooses(visitor: Visitor):
    visitor.open("feature-maps", "net=lenet5&layer=conv2&order=By+index&unit=0")
    visitor.settled()
    keys = visitor.tab.get_by_role("grid", name=WALL)
    keys.focus()
    columns = int(visitor.picture(WALL).get_attribute("data-columns"))
    for key in ("ArrowRight", "ArrowDown", "ArrowRight", "ArrowRight", "ArrowLeft"):
        visitor.tab.keyboard.press(key)
    assert visitor.tab.get_by_role("gridcell").inner_text().startswith(f"channel {columns + 2},")
    assert visitor.query()["unit"] == "0"  # the app's own arrow keys are silent here
    visitor.tab.keyboard.press("Enter")
    visitor.until_query(unit=str(columns + 2))
    peak = divmod(int(maps_of("lenet5", "conv2", 3)[columns + 2].argmax()), 10)
    visitor.until(lambda: (visitor.chosen("Row"), visitor.chosen("Column")) == (str(peak[0]), str(peak[1])), "its peak")


READ = """
(wall) => {
  const { columns, pitch, line, wide, high } = wall.dataset, ratio = devicePixelRatio, pen = wall.getContext("2d")
  const found = []
  for (let n = 0; n < 16; n++) {
    const left = 3 + (n % columns) * pitch, top = 3 + Math.floor(n / columns) * line
    for (let row = 0; row < 10; row++) for (let col = 0; col < 10; col++) {
      const x = (left + (col + .5) / 10 * wide) * ratio, y = (top + (row + .5) / 10 * high) * ratio
      found.push([...pen.getImageData(Math.floor(x), Math.floor(y), 1, 1).data].slice(0, 3))
    }
  }
  return found
}
"""


def test_every_unit_is_painted_in_the_colour_of_its_level(visitor: Visitor):
    visitor.open("feature-maps", "net=lenet5&layer=conv2&order=By+index&unit=0&row=0&col=0")
    visitor.settled()
    maps = maps_of("lenet5", "conv2", 3)
    levels = np.rint(np.maximum(maps, 0) / maps.max() * 255).astype(int)
    expected = maps_atlas(maps).palette[levels].reshape(-1, 3)
    painted = np.array(visitor.picture(WALL).evaluate(READ))
    assert np.array_equal(painted[1:], expected[1:])  # the first carries the mark of the chosen unit
