"""How a page uses the window, measured in the browser: its bar, its main picture, and how much of the room beside the
frame its pictures fill."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from browser_layout import faults_of_layout
from visitors import Visitor

SIZES = {"laptop": (1440, 900), "projector": (1920, 1080), "old projector": (1024, 768), "phone": (390, 844)}
SHARE = {"laptop": 0.55, "projector": 0.55, "old projector": 0.40}  # of the area beside the frame
BAR = {"laptop": 100, "projector": 100, "old projector": 160, "phone": 190}  # pixels, in large type
FULL = 0.85  # of a phone's width
# What falls short for now: (page or stop, window): the share that is reached, which may only grow. 0: the picture is
# not whole in the window.
SHORT: dict[tuple[str, str], float] = {  # filters beside curves, of the second tour
    ("stop 15", "laptop"): 0.5,
    ("stop 15", "projector"): 0.5,
    ("stop 15", "old projector"): 0.34,
}

# The frame is everything but the container of the page: sidebar, bar, title, controls, panel, and what lies at the foot
# of the window. Pictures within others count once; those within buttons, links and expanders not at all.
_MEASURE = """
() => {
  const PICTURES = ".scroller, .frame, .box, .drawing > svg, .js-plotly-plot, img, canvas, video, svg"
  const APART = "button, a, label, [data-testid=stExpander], [data-testid=stPageLink]"
  const all = (root, found = []) => {
    for (const e of root.querySelectorAll("*")) { found.push(e); if (e.shadowRoot) all(e.shadowRoot, found) }
    return found
  }
  const place = (e) => e.getBoundingClientRect()
  const page = document.querySelector(".st-key-cnnviz_page"), room = place(page)
  const feet = [...document.querySelectorAll(".st-key-tour_bar, .st-key-cnnviz_foot")]
    .map((foot) => place(foot.parentElement)).filter((box) => box.height > 1 && box.width > 1)
  const bottom = Math.min(innerHeight, ...feet.map((box) => box.top)), top = Math.max(0, room.top)
  const pictures = []
  for (const e of all(page)) {
    if (!e.matches(PICTURES) || !e.checkVisibility() || e.closest(APART)) continue
    const { left, top, right, bottom, width, height } = place(e)
    const within = (o) => o.left <= left + 1 && o.top <= top + 1 && o.right >= right - 1 && o.bottom >= bottom - 1
    if (width < 60 || height < 60 || pictures.some(within)) continue
    pictures.push({ left, top, right, bottom, area: width * height })
  }
  const inside = (box) => box.top >= -1 && box.bottom <= bottom + 1 && box.left >= -1 && box.right <= innerWidth + 1
  const first = pictures.toSorted((a, b) => a.top - b.top)[0]
  const largest = pictures.reduce((a, b) => (a && a.area >= b.area ? a : b), null)
  const free = (innerWidth - Math.max(room.left, 0)) * (bottom - top)
  const bar = document.querySelector(".st-key-cnnviz_bar").parentElement
  const named = ["layer", "channel"].map((name) => document.querySelector(`.st-key-cnnviz_bar .st-key-bar_${name}`))
    .filter((slot) => slot && slot.querySelector("[data-testid=stElementContainer]"))
  return {
    bar: place(bar).height,
    bar_whole: [bar, ...named].every((e) => inside(place(e))),
    whole: Boolean(largest) && inside(largest),
    share: pictures.filter(inside).reduce((sum, box) => sum + box.area, 0) / free,
    wide: first ? (first.right - first.left) / innerWidth : 0,
    first_whole: Boolean(first) && inside(first),
    sideways: document.scrollingElement.scrollWidth > innerWidth,
  }
}
"""


@dataclass(frozen=True, slots=True)
class StageUse:
    """`bar`: its height in pixels; `bar_whole`: with layer and channel in the window; `whole`: the largest picture is
    in the window; `share`: of the area beside the frame that the pictures take which are whole in it; `wide`: width of
    the first picture over that of the window; `first_whole`: it is in the window; `sideways`: the page scrolls so."""

    bar: float
    bar_whole: bool
    whole: bool
    share: float
    wide: float
    first_whole: bool
    sideways: bool


def measure_stage(tab: Any) -> StageUse:
    """How the page that a tab shows uses its window."""
    return StageUse(**tab.evaluate(_MEASURE))


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


def go_through_sizes(
    visitor: Visitor,
    name: str,
    windows: dict[str, tuple[int, int]] = SIZES,
    look: Callable[[str], list[str]] = lambda window: [],
) -> list[str]:
    """All that is wrong with what the tab shows, in any of the windows. `look(window)`: what else is, once the pictures
    have followed the window."""
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
        wrong += [f"{name}, {window}: {fault}" for fault in look(window)]
        if window in ("laptop", "old projector"):
            wrong += [f"{name or 'home'}, {window}: {fault}" for fault in faults_of_layout(visitor.tab)]
    visitor.tab.set_viewport_size(dict(zip(("width", "height"), SIZES["laptop"], strict=True)))
    return wrong


def all_drawn(visitor: Visitor) -> None:
    visitor.settled()
    visitor.until(lambda: visitor.tab.locator("[data-testid=stSkeleton]").count() == 0, "everything is drawn")
    visitor.until(lambda: visitor.main.get_by_text("being computed").count() == 0, "all of it is computed")


FIELD, PROJECTION = "The input with the receptive field", "What in this image drives the unit, deconvnet"
_AREA = """
(wall) => {
  const place = wall.closest(".box").getBoundingClientRect()
  const sidebar = document.querySelector("[data-testid=stSidebar]")
  const beside = sidebar?.dataset.collapsed === "false" || sidebar?.ariaExpanded === "true"
  const left = beside ? sidebar.getBoundingClientRect().right : 0
  const top = document.querySelector(".st-key-microscope").getBoundingClientRect().top
  return { share: place.width * place.height / ((innerWidth - left) * (innerHeight - top)), width: place.width,
    inside: place.left >= 0 && place.right <= innerWidth && place.bottom <= innerHeight, page: innerWidth }
}
"""


def faults_of_microscope(visitor: Visitor, picture: str, window: str) -> list[str]:
    """What is wrong with the place of a wall, and of the two pictures of this image beside it: all three lie whole in
    the window, and the wall alone takes the promised share; on a phone it comes first."""
    wall = visitor.picture(picture)
    box, height = visitor.box(wall), SIZES[window][1]
    found = wall.evaluate(_AREA)
    if window == "phone":
        first = visitor.box(visitor.picture(FIELD))
        right = found["width"] >= 0.88 * SIZES[window][0] and box["y"] < first["y"] and visitor.fits()
        return [] if right else [f"the wall does not come first in full width: {found}"]
    wrong = [] if found["inside"] and found["share"] >= SHARE[window] else [f"the wall alone: {found}"]
    for alt in (FIELD, PROJECTION):
        beside = visitor.box(visitor.picture(alt))
        if beside["y"] + beside["height"] > height:
            wrong.append(f"{alt} is not whole in the window: {beside}")
    return wrong
