"""Motion: Space plays and stops, arrows step, the address has what is shown, and who asks for calm gets it."""

import json
import re
from typing import Any

import pytest
from visitors import SCREEN, Visitor

from cnnviz.figures.landscape.plots import CAMERA

pytestmark = pytest.mark.browser
SEVEN = "example=7%C3%977%2C+stride+2%3A+whole"  # nine steps
PLAYER = """() => {
  const inside = [...document.querySelectorAll("*")].filter((one) => one.shadowRoot).map((one) => one.shadowRoot)
  return [document, ...inside].map((root) => root.querySelector(".motion")).find(Boolean)?.dataset ?? {}
}"""


def player(someone: Visitor) -> dict[str, str]:
    """The place that is shown, and whether it plays."""
    return dict(someone.tab.evaluate(f"() => ({{ ...({PLAYER})() }})"))


def until_at(someone: Visitor, *places: str) -> None:
    someone.until(lambda: player(someone).get("at") in places, f"the motion is at {places}")


def start(someone: Visitor) -> None:
    someone.press(" ")
    someone.until(lambda: player(someone).get("playing") == "true", "it plays")


def halted(someone: Visitor) -> None:
    """It stands, and stays for longer than a place of what plays here takes."""
    someone.until(lambda: player(someone).get("playing") == "false", "it stands")
    before = player(someone)["at"]
    someone.tab.wait_for_timeout(600)
    assert player(someone) == {"at": before, "playing": "false"}


def test_space_plays_the_window_and_space_stops_it_where_the_address_says(visitor: Visitor):
    visitor.open("playground", f"{SEVEN}&step=6")
    start(visitor)
    visitor.drawing("Step 7 of").wait_for()
    assert visitor.query()["step"] == "6"  # no run of the server for a frame
    visitor.press(" ")
    halted(visitor)
    number = int(player(visitor)["at"]) + 1
    assert number >= 7
    visitor.until_query(step=str(number))
    assert visitor.drawing(f"Step {number} of").count() == 1
    start(visitor)  # goes on from there, to the end
    visitor.until_query(step="9")
    halted(visitor)
    assert visitor.drawing("Step 9 of").count() == 1


def test_any_click_any_key_and_a_hidden_tab_stop_it(visitor: Visitor):
    visitor.open("playground", SEVEN)
    hide = "() => { Object.defineProperty(document, 'hidden', { value: true, configurable: true });" + (
        "document.dispatchEvent(new Event('visibilitychange')); delete document.hidden }"
    )
    stops = (
        lambda: visitor.tab.mouse.click(700, 880),
        lambda: visitor.press("x"),
        lambda: visitor.tab.evaluate(hide),
        lambda: visitor.tab.get_by_role("button", name="Stop: the window").click(),
    )
    for stop in stops:
        start(visitor)
        stop()
        halted(visitor)
        place = int(player(visitor)["at"])
        wanted = None if place == 0 else str(place + 1)
        visitor.until(lambda wanted=wanted: visitor.query().get("step") == wanted, f"the address has step {wanted}")


def test_arrows_step_what_moves_and_letters_of_a_field_stay_its_own(visitor: Visitor):
    visitor.open("playground", SEVEN)
    visitor.press("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft")
    visitor.drawing("Step 3 of").wait_for()
    visitor.until_query(step="3")
    field = visitor.tab.get_by_label("Kernel", exact=True)
    field.click()
    visitor.press(" ", "ArrowLeft")
    visitor.tab.wait_for_timeout(500)
    assert player(visitor) == {"at": "2", "playing": "false"}


def test_many_steps_are_drawn_run_by_run(visitor: Visitor):
    visitor.open("playground", "grid=" + "%0A".join("+".join("1" for _ in range(11)) for _ in range(11)))
    visitor.press("ArrowRight")
    visitor.until_query(step="2")
    start(visitor)
    shown = visitor.drawing("Step ").first  # a busy browser may leave some out

    def step() -> int:
        return int((re.match(r"Step (\d+) of", shown.get_attribute("aria-label") or "") or [0, 0])[1])

    visitor.until(lambda: step() >= 4, "the window slides")
    visitor.press(" ")
    halted(visitor)
    number = int(player(visitor)["at"]) + 1
    visitor.until_query(step=str(number))
    visitor.drawing(f"Step {number} of").wait_for()


def test_space_goes_through_masks_of_dropout_and_the_address_has_the_one_where_it_stops(visitor: Visitor):
    visitor.open("noise", "net=resnet20_cifar")
    visitor.drawing("Answers under").wait_for()
    visitor.settled()
    visitor.press(" ")
    until_at(visitor, "2", "3")
    visitor.press(" ")
    halted(visitor)
    visitor.until_query(**{"pass": str(int(player(visitor)["at"]) + 1)})


def test_who_asks_for_reduced_motion_steps_and_nothing_plays(chromium: Any, address: str):
    context = chromium.new_context(viewport=SCREEN, reduced_motion="reduce")
    someone = Visitor(chromium, address, context)
    someone.open("playground", SEVEN)
    someone.press(" ")
    until_at(someone, "1")
    halted(someone)
    someone.until_query(step="2")
    someone.press("ArrowRight")
    someone.until_query(step="3")
    assert someone.wrong == []
    context.close()


def test_the_shift_walks_while_its_curve_draws_itself(visitor: Visitor):
    visitor.open("equivariance", "net=lenet5&layer=conv2")
    before = visitor.source("Shift of conv2")
    start(visitor)
    until_at(visitor, "2", "3", "4", "5", "6")
    curve = visitor.tab.locator("[aria-label='Error of conv2 over shifts']")
    drawn = curve.evaluate("plot => [...plot._fullData[0].y].map(Number.isFinite)")
    assert drawn[0] and not drawn[-1] and visitor.source("Shift of conv2") != before
    visitor.press(" ")
    halted(visitor)
    visitor.until_query(dx=player(visitor)["at"])
    whole = "plot => [...plot._fullData[0].y].every(Number.isFinite)"
    visitor.until(lambda: curve.evaluate(whole), "the whole curve is there again")


def test_the_square_sweeps_over_the_image(visitor: Visitor):
    visitor.open("inspect", "net=lenet5&view=Occlusion")
    visitor.picture("Occlusion: ").wait_for()
    start(visitor)
    visitor.until(lambda: int(player(visitor)["at"]) > 4, "the square has moved")
    visitor.press(" ")
    halted(visitor)
    visitor.until(lambda: "place" in visitor.query(), "the place is in the address")
    place = json.loads(f"[{visitor.query()['place']}]")
    assert len(place) == 2


def test_the_surface_turns(visitor: Visitor):
    visitor.open("landscape")
    visitor.tab.locator(".gl-container canvas").first.wait_for()
    start(visitor)
    visitor.until(lambda: int(player(visitor)["at"]) > 2, "it turns")
    visitor.press(" ")
    visitor.until(lambda: "camera" in visitor.query(), "the camera is in the address")
    until_at(visitor, "0")  # the next turn begins here
    halted(visitor)
    x, y, z = map(float, visitor.query()["camera"].split(","))
    opens = CAMERA[0], CAMERA[1]
    assert (x, y) != opens and abs(x * x + y * y - sum(part**2 for part in opens)) < 0.1 and z == CAMERA[2]
