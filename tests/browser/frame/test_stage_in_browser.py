"""What is needed is in sight, and the pictures fill the window at every stop of the lecture, from a phone's window to a
beamer's: presented, every other stop in the dark theme. Of the pages, light and not presented, `test_every_page` sees
the same, so both themes and both modes are measured at each size, but not the full product."""

import io

import numpy as np
import pytest
from browser_stage import SIZES, all_drawn, go_through_sizes, measure_stage
from PIL import Image
from visitors import Visitor

from cnnviz.tours import load_tour

pytestmark = pytest.mark.browser
LOWER = """() => {  // something comes above the picture, and the run ends
  const app = document.querySelector("[data-testid=stApp]"), above = document.createElement("div")
  above.style.height = "60px"
  document.querySelector(".st-key-cnnviz_page").prepend(above)
  for (const state of ["running", "notRunning"]) app.dataset.testScriptState = state
}"""
NAMED = {("lecture", 2): "Step", ("lecture", 5): "Channel"}  # controls that the notes of a stop speak of


def white_share(visitor: Visitor) -> float:
    """Share of the window that is as white as paper."""
    pixels = np.asarray(Image.open(io.BytesIO(visitor.tab.screenshot())).convert("RGB"))
    return float((pixels.min(axis=2) >= 252).mean())


@pytest.mark.parametrize("tour", ["lecture", "how-networks-learn"])
def test_every_stop_of_a_tour_fills_each_window_and_has_no_white_paper_in_the_dark(visitor: Visitor, tour: str):
    stops, wrong = load_tour(tour).stops, []
    for number, stop in enumerate(stops, 1):
        dark = number % 2 == 0
        visitor.tab.emulate_media(color_scheme="dark" if dark else "light")
        if number == 1:
            visitor.tab.goto(f"{visitor.address}/?tour={tour}&stop=1&present=True")
            visitor.arrived(stop.page)
        else:
            visitor.press("n")
            visitor.until_query(stop=str(number))
        all_drawn(visitor)
        visitor.until(lambda: measure_stage(visitor.tab).share > 0, "what is computed beside the page is drawn")
        wrong += go_through_sizes(visitor, f"stop {number}")
        if label := NAMED.get((tour, number)):
            box = visitor.bar.get_by_label(label).first.bounding_box()
            if not box or box["y"] < 0 or box["y"] + box["height"] > SIZES["laptop"][1]:
                wrong.append(f"stop {number}: {label} is out of sight")
        if dark and (share := white_share(visitor)) > 0.1:
            wrong.append(f"stop {number}: {share:.0%} of the window are white in the dark theme")
    visitor.tab.emulate_media(color_scheme="light")
    assert not wrong, "\n".join(wrong)


def test_a_plot_that_was_moved_down_ends_above_the_bar_of_the_tour_again(visitor: Visitor):
    visitor.open("training", "tour=how-networks-learn&stop=1&present=True")
    all_drawn(visitor)
    visitor.until(lambda: measure_stage(visitor.tab).share > 0.5, "the plot is whole above the bar")
    visitor.tab.evaluate(LOWER)
    visitor.until(lambda: measure_stage(visitor.tab).share > 0.5, "and again")


def test_on_a_phone_the_controls_are_a_sheet_that_button_and_escape_close(visitor: Visitor):
    visitor.tab.set_viewport_size(dict(zip(("width", "height"), SIZES["phone"], strict=True)))
    visitor.tab.goto(f"{visitor.address}/feature-maps?net=lenet5&layer=conv2")
    visitor.arrived("feature-maps")
    weights = visitor.tab.get_by_role("combobox", name="Weights", exact=True)
    scale = visitor.tab.get_by_role("radiogroup", name="Scale")
    button = visitor.tab.get_by_role("button", name="Controls", exact=True)
    assert not weights.is_visible() and not scale.is_visible()  # nor for the keyboard or a screen reader
    button.focus()
    visitor.tab.keyboard.press("Enter")
    scale.wait_for()
    for control in (weights, scale):
        box = visitor.box(control)
        assert box["y"] > 0.3 * 844 and box["y"] + box["height"] <= 844 and box["x"] >= 0
    visitor.tab.get_by_text("Each map", exact=True).click()
    visitor.until_query(scale="Each map")
    assert scale.is_visible()  # it stays while choices are made
    visitor.tab.locator("[data-testid=stMain]").focus()
    visitor.tab.keyboard.press("Escape")
    scale.wait_for(state="hidden")
    assert button.evaluate("one => one.getRootNode().activeElement === one")
    button.click()
    visitor.tab.get_by_role("button", name="Close the controls").click()
    scale.wait_for(state="hidden")
    assert visitor.fits()


def test_keys_step_through_the_views_and_take_random_weights_and_back(visitor: Visitor):
    visitor.open("equivariance", "net=lenet5&layer=conv2")
    visitor.press("v")
    visitor.until_query(view="Map")
    visitor.press("V")
    visitor.until_query(view=None)
    visitor.press("w")
    visitor.until_query(untrained="True")
    visitor.tab.get_by_text("random weights").first.wait_for()
    visitor.press("w")
    visitor.until_query(untrained=None)


def test_home_offers_the_lecture_with_what_it_takes(visitor: Visitor):
    visitor.open("", "net=lenet5")
    tour = load_tour("lecture")
    visitor.main.get_by_text(f"{len(tour.stops)} stops, about {tour.minutes} minutes").wait_for()
    visitor.main.get_by_role("button", name="Start", exact=True).first.click()  # tours are in the order of their titles
    visitor.until_query(tour="lecture", stop="1")
