"""What is needed is in sight, and the pictures fill the window: every page and every stop of the lecture, from a
phone's window to a beamer's.

Each page is opened once, in the light theme and outside of presenter mode; each stop once, presented, every other one
in the dark theme; one tab goes through the four sizes of the window. So each page and each stop is measured at each
size, and both themes and both modes with each size, but not the full product."""

import io

import numpy as np
import pytest
from browser_layout import faults_of_layout
from browser_stage import StageUse, measure_stage
from PIL import Image
from visitors import Visitor

from cnnviz.tours import load_tour

pytestmark = pytest.mark.browser
SIZES = {"laptop": (1440, 900), "projector": (1920, 1080), "old projector": (1024, 768), "phone": (390, 844)}
SHARE = {"laptop": 0.55, "projector": 0.55, "old projector": 0.40}  # of the area beside the frame
BAR = {"laptop": 100, "projector": 100, "old projector": 160, "phone": 190}  # pixels, in large type
FULL = 0.85  # of a phone's width
PAGES = {
    "": "net=resnet20_cifar&image=chelsea",
    "inspect": "net=resnet20_cifar&image=chelsea",
    "camera": "net=lenet5&layer=conv2&camera=Snapshot",
    "filters": "net=lenet5",
    "feature-maps": "net=resnet20_cifar&image=chelsea&layer=layer2.0",
    "top-9": "net=lenet5&layer=conv2",
    "unit": "net=lenet5&layer=conv2&unit=1",
    "anatomy": "net=resnet20_cifar",
    "training": "",
    "landscape": "",
    "equivariance": "net=resnet20_cifar&layer=layer1.0&dx=2",
    "receptive-fields": "net=lenet5&layer=conv2&average=this+image",
    "pooling": "net=lenet5",
    "playground": "",
}
# What falls short for now: (page or stop, window): the share that is reached, which may only grow. 0: the picture is
# not whole in the window.
SHORT: dict[tuple[str, str], float] = {}
NAMED = {2: "Step", 5: "Channel"}  # controls that the notes of a stop speak of


def shortfalls(found: StageUse, window: str) -> list[str]:
    """What of the promises does not hold, in words, apart from the share of the pictures."""
    wrong = []
    if not found.bar_whole or found.bar > BAR[window]:
        wrong.append(f"the bar is {found.bar:.0f} pixels high, or not whole in the window")
    if found.sideways:
        wrong.append("the page moves sideways")
    if window == "phone" and not (found.first_whole and found.wide >= FULL):
        wrong.append(f"the first picture takes {found.wide:.0%} of the width, or is not whole in the window")
    return wrong


def reached(found: StageUse) -> float:
    """The share that the pictures take; 0 where the largest is not whole."""
    return found.share if found.whole else 0.0


def holds(found: StageUse, window: str, short: float | None) -> bool:
    if shortfalls(found, window):
        return False
    return window == "phone" or reached(found) >= (SHARE[window] if short is None else short - 0.01)


def go_through_sizes(visitor: Visitor, name: str, windows: dict[str, tuple[int, int]] = SIZES) -> list[str]:
    """All that is wrong with what the tab shows, in any of the windows."""
    wrong = []
    for window, (width, height) in windows.items():
        visitor.tab.set_viewport_size({"width": width, "height": height})
        short = SHORT.get((name, window))
        for _ in range(12):  # pictures follow the window
            visitor.tab.wait_for_timeout(120)
            found = measure_stage(visitor.tab)
            if holds(found, window, short):
                break
        else:
            told = shortfalls(found, window) or [f"pictures take {reached(found):.2f} of the area beside the frame"]
            wrong += [f"{name or 'home'}, {window}: {'; '.join(told)}"]
        if window in ("laptop", "old projector"):
            wrong += [f"{name or 'home'}, {window}: {fault}" for fault in faults_of_layout(visitor.tab)]
    visitor.tab.set_viewport_size(dict(zip(("width", "height"), SIZES["laptop"], strict=True)))
    return wrong


def all_drawn(visitor: Visitor) -> None:
    visitor.settled()
    visitor.until(lambda: visitor.tab.locator("[data-testid=stSkeleton]").count() == 0, "everything is drawn")
    visitor.until(lambda: visitor.main.get_by_text("being computed").count() == 0, "all of it is computed")


def white_share(visitor: Visitor) -> float:
    """Share of the window that is as white as paper."""
    pixels = np.asarray(Image.open(io.BytesIO(visitor.tab.screenshot())).convert("RGB"))
    return float((pixels.min(axis=2) >= 252).mean())


def test_every_page_fills_each_window(visitor: Visitor):
    wrong = []
    for page, query in PAGES.items():
        visitor.open(page, query)
        all_drawn(visitor)
        wrong += go_through_sizes(visitor, page)
    assert not wrong, "\n".join(wrong)


def test_every_stop_of_the_lecture_fills_each_window_and_has_no_white_paper_in_the_dark(visitor: Visitor):
    stops, wrong = load_tour("lecture").stops, []
    for number, stop in enumerate(stops, 1):
        dark = number % 2 == 0
        visitor.tab.emulate_media(color_scheme="dark" if dark else "light")
        if number == 1:
            visitor.tab.goto(f"{visitor.address}/?tour=lecture&stop=1&present=True")
            visitor.arrived(stop.page)
        else:
            visitor.press("n")
            visitor.until_query(stop=str(number))
        all_drawn(visitor)
        wrong += go_through_sizes(visitor, f"stop {number}")
        if label := NAMED.get(number):
            box = visitor.bar.get_by_label(label).first.bounding_box()
            if not box or box["y"] < 0 or box["y"] + box["height"] > SIZES["laptop"][1]:
                wrong.append(f"stop {number}: {label} is out of sight")
        if dark and (share := white_share(visitor)) > 0.1:
            wrong.append(f"stop {number}: {share:.0%} of the window are white in the dark theme")
    visitor.tab.emulate_media(color_scheme="light")
    assert not wrong, "\n".join(wrong)


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
    visitor.main.get_by_role("button", name="Start", exact=True).click()
    visitor.until_query(tour="lecture", stop="1")
